"""Families of this package with the kernels of others."""

import torch
from torch import Tensor

import kernbench
from kernbench.kernels.building_blocks import Bank
from kernbench_basis.compact import BSpline
from kernbench_basis.fourier import Fourier


def fourier_of_discrete(discrete: kernbench.KernelModule) -> Bank:
    """All harmonics of an odd K are a basis."""
    own = Fourier(discrete.spec, modes=discrete.spec.kernel_size // 2)
    return _solved(own, torch.as_tensor(discrete.weight))


def bspline_of_discrete(discrete: kernbench.KernelModule) -> Bank:
    """Straight lines between knots, one at each tap."""
    return _solved(BSpline(discrete.spec, knots=discrete.spec.kernel_size, degree=1), torch.as_tensor(discrete.weight))


def _solved(own: Bank, kernel: Tensor) -> Bank:
    """The mixing weights of a bank of K atoms that give a kernel."""
    own.mix.copy_(torch.linalg.solve(own.bank(own.spec.grid()), kernel, left=False))
    return own
