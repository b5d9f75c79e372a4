"""Derivatives of a Gaussian of learned width."""

import math

import torch
from torch import Tensor, nn

import kernbench
from kernbench.kernels.building_blocks import Bank, bounded, ends, places


class NJet(Bank):
    """k = sum over places c and n <= N of a_(c, n) sigma^n g^(n)(m - c; sigma), with one learned sigma.

    g^(n) = (-1 / (sigma sqrt 2))^n H_n(u) g with u = m / (sigma sqrt 2) and the Hermite polynomials of physics.
    Evaluated on all taps, so K does not follow sigma.

    Args:
        spec: channels, kernel size, extent.
        order: highest derivative N.
        centres: places; 1 is the published kernel, all derivatives at the middle.
        width: sigma at the start, in gaps between places (of one place: of the reach).
    """

    centre: Tensor

    def __init__(self, spec: kernbench.KernelSpec, order: int = 4, centres: int = 4, width: float = 0.4) -> None:
        super().__init__(spec)
        self.order = order
        middle = places(spec, centres)
        first, last = ends(spec)
        gap = (last - first) / max(len(middle) - 1, 2)
        sigma = max(width * gap, 0.7 * spec.dilation)  # below, a Gaussian is under-sampled
        self.log_sigma = nn.Parameter(torch.tensor(math.log(sigma)))
        self.register_buffer("centre", middle.to(torch.get_default_dtype())[:, None])
        self.draw_mix(len(middle) * (order + 1))

    def atoms(self, lags: Tensor) -> Tensor:
        """sigma^n g^(n) of every order at every place, each place with all its orders."""
        sigma = bounded(self.log_sigma, 0.5 * self.spec.dilation, 1e6).to(lags.dtype)
        u = (lags - self.centre.to(lags.dtype)) / (sigma * math.sqrt(2))
        hermite = [torch.ones_like(u), 2 * u]
        for n in range(1, self.order):
            hermite.append(2 * u * hermite[n] - 2 * n * hermite[n - 1])
        gauss = torch.exp(-u.square()) / (sigma * math.sqrt(2 * math.pi))
        found = [(-math.sqrt(0.5)) ** n * hermite[n] * gauss for n in range(self.order + 1)]
        return torch.stack(found, dim=1).flatten(0, 1)

    @staticmethod
    def param_count(spec: kernbench.KernelSpec, order: int = 4, centres: int = 4, **_: object) -> int:
        """C (N + 1) P + 1 with C places."""
        return min(centres, spec.kernel_size) * (order + 1) * spec.pairs + 1

    @staticmethod
    def kernel_flops(spec: kernbench.KernelSpec, order: int = 4, centres: int = 4, **_: object) -> int:
        """2 K C (N + 1) P: the mixing."""
        return 2 * spec.kernel_size * min(centres, spec.kernel_size) * (order + 1) * spec.pairs
