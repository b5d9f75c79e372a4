"""Hermite functions, mixed."""

import math

import torch
from torch import Tensor, nn

import kernbench
from kernbench.kernels.building_blocks import Bank, bounded, ends


class Hermite(Bank):
    """k[o, i, m] = sum over n of mix[o, i, n] psi_n((m - c) / s), c and s [samples] one for the layer, learned.

    psi_n(u) is the Hermite function of order n, H_n(u) exp(-u^2 / 2) with unit norm; the functions are made by
    psi_{n+1} = u sqrt(2 / (n + 1)) psi_n - sqrt(n / (n + 1)) psi_{n-1}, which no order overflows.

    Args:
        spec: channels, kernel size, extent.
        order: highest n; at most K - 1, as K taps hold no more functions.
        width: s at the start, share of the extent.
    """

    def __init__(self, spec: kernbench.KernelSpec, order: int = 11, width: float = 0.2) -> None:
        super().__init__(spec)
        self.functions = min(order + 1, spec.kernel_size)
        self.center = nn.Parameter(torch.tensor(sum(ends(spec)) / 2))
        self.log_width = nn.Parameter(torch.tensor(max(width * spec.extent, 0.7 * spec.dilation)).log())
        self.draw_mix(self.functions)

    def atoms(self, lags: Tensor) -> Tensor:
        """The functions at the lags: (K,) -> (order + 1, K)."""
        width = bounded(self.log_width.to(lags.dtype), 0.3 * self.spec.dilation, 4 * self.spec.extent + 1)
        u = (lags - self.center.to(lags.dtype)) / width
        found = [torch.exp(-0.5 * u.square())]
        for n in range(self.functions - 1):
            before = found[n - 1] if n else torch.zeros_like(u)
            found.append(u * math.sqrt(2 / (n + 1)) * found[n] - math.sqrt(n / (n + 1)) * before)
        return torch.stack(found)

    @staticmethod
    def param_count(spec: kernbench.KernelSpec, order: int = 11, width: float = 0.2) -> int:
        """(order + 1) P + 2, P channel pairs."""
        return min(order + 1, spec.kernel_size) * spec.pairs + 2

    @staticmethod
    def kernel_flops(spec: kernbench.KernelSpec, order: int = 11, width: float = 0.2) -> int:
        """About 2 K P (order + 1): the mixing."""
        return 2 * spec.kernel_size * spec.pairs * min(order + 1, spec.kernel_size)
