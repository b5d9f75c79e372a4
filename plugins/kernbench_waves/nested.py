"""Families of this package with the kernels of others."""

import math

import torch

import kernbench
from kernbench_waves.wave_bank import WIDEST
from kernbench_waves.wavelets import Chirplet, Gabor


def chirplet_of_gabor(gabor: kernbench.KernelModule) -> Chirplet:
    """No sweep."""
    own = Chirplet(gabor.spec, waves=len(torch.as_tensor(gabor.phase)))
    own.load_state_dict({**own.state_dict(), **_parameters(gabor)})
    own.sweep.zero_()
    return own


def gabor_of_cosine(cosine: kernbench.KernelModule) -> Gabor:
    """The widest waves, at lag 0."""
    own = Gabor(cosine.spec, waves=len(torch.as_tensor(cosine.phase)))
    own.load_state_dict({**own.state_dict(), **_parameters(cosine)})
    own.log_width.fill_(math.log(WIDEST))
    own.centre.zero_()
    return own


def _parameters(module: kernbench.KernelModule) -> dict[str, torch.Tensor]:
    return dict(module.named_parameters())
