"""Families of this package with the kernels of others."""

import torch

import kernbench
from kernbench_taps.free import Decay
from kernbench_taps.scales import MultiResolution
from kernbench_taps.spacings import LearnableSpacings


def decay_of_discrete(discrete: kernbench.KernelModule) -> Decay:
    """No decay."""
    own = Decay(discrete.spec, strength=0.0)
    own.weight.copy_(torch.as_tensor(discrete.weight))
    return own


def multires_of_discrete(discrete: kernbench.KernelModule) -> MultiResolution:
    """The first group has all taps, the others are silent."""
    taps = discrete.spec.kernel_size
    own = MultiResolution(discrete.spec, taps=taps)
    own.mix.zero_()
    own.mix[..., :taps].copy_(torch.as_tensor(discrete.weight))
    return own


def dcls_of_discrete(discrete: kernbench.KernelModule) -> LearnableSpacings:
    """A tap at each whole step; the sum that it is divided by is 1e-7 larger than 1."""
    own = LearnableSpacings(discrete.spec, taps=discrete.spec.kernel_size, version="v1")
    own.place.copy_(discrete.spec.grid().lags)
    own.weight.copy_(torch.as_tensor(discrete.weight))
    return own
