"""Families of this package with the kernels of others."""

import math
from typing import Any

import kernbench
from kernbench_implicit.multiplicative import Masked
from kernbench_implicit.sines import MultiSine, Winner

_LAYERS = ("first", "second", "last")


def winner_of_siren(siren: Any) -> Winner:  # Any: a class of another plugin
    """The weights that weight normalization gives, and no noise."""
    own = Winner(siren.spec, omega_0=siren.omega_0, hidden=len(siren.first.bias))
    for name in _LAYERS:
        getattr(own, name).weight.copy_(getattr(siren, name).weight())
        getattr(own, name).bias.copy_(getattr(siren, name).bias)
    return own


def siren_multi_of_siren(siren: Any) -> MultiSine:  # Any: a class of another plugin
    """One frequency; the others are in the weights of the second layer, and in the phases."""
    omega = siren.omega_0
    own = MultiSine(siren.spec, lowest=omega / (2 * math.pi), blocks=1, hidden=len(siren.first.bias))
    own.first.weight.copy_(siren.first.weight())
    own.first.bias.copy_(omega * siren.first.bias)
    own.second.weight.copy_(omega * siren.second.weight())
    own.second.bias.copy_(omega * siren.second.bias)
    own.last.weight.copy_(siren.last.weight())
    own.last.bias.copy_(siren.last.bias)
    return own


def masked_of_gabor_mfn(network: kernbench.KernelModule) -> Masked:
    """A mask of a million extents, which is the widest."""
    own = Masked(network.spec)
    own.kernel.load_state_dict(dict(network.named_parameters()), strict=False)
    own.log_width.fill_(math.log(1e6))
    return own
