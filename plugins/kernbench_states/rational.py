"""Rational transfer functions."""

import math

import torch
from torch import Tensor, nn

import kernbench
from kernbench.kernels.building_blocks import interpolated, sides


class RationalTransfer(kernbench.KernelModule):
    """Impulse response of b(z) / (1 + a(z)), of each side of lag 0 its own, by a Fourier transform over its taps.

    b of every channel pair, a of every output channel; a = 0 at the start, where the kernel is b itself. The
    response wraps around at the last tap; where the largest pole has died out by then it is that of the recursion.

    Args:
        spec: channels, kernel size, extent.
        order: N, coefficients of b and of a; lowered to the taps of a side.
    """

    def __init__(self, spec: kernbench.KernelSpec, order: int = 16) -> None:
        super().__init__(spec)
        count = _order(spec, order)
        shape = (sides(spec), *spec.shape[:2], count)
        self.numerator = nn.Parameter(torch.randn(shape) / math.sqrt(spec.shape[1] * count * sides(spec)))
        self.denominator = nn.Parameter(torch.zeros(sides(spec), spec.out_channels, 1, count))

    def forward(self, grid: kernbench.LagGrid) -> Tensor:
        """The responses of the sides; straight lines between taps."""
        later = self._half(0, _later(self.spec))
        if self.spec.side == "causal":
            later = later.flip(-1)
        if self.spec.side == "centered" and self.spec.kernel_size > 1:
            before = self._half(1, self.spec.kernel_size - _later(self.spec))
            later = torch.cat([before.flip(-1), later], dim=-1)
        return interpolated(self.spec, later.to(grid.lags.dtype), grid)

    def _half(self, side: int, taps: int) -> Tensor:
        above = torch.fft.rfft(self.numerator[side], taps)  # cut to the taps where there are fewer than coefficients
        below = 1 + torch.fft.rfft(nn.functional.pad(self.denominator[side], (1, 0)), taps)
        response: Tensor = torch.fft.irfft(above / below, taps)
        return response

    def scale_(self, factor: float) -> None:
        """Multiply the kernel by a number."""
        self.numerator.mul_(factor)

    @staticmethod
    def param_count(spec: kernbench.KernelSpec, order: int = 16) -> int:
        """N P + N out_channels of each side."""
        return _order(spec, order) * sides(spec) * (spec.pairs + spec.out_channels)

    @staticmethod
    def kernel_flops(spec: kernbench.KernelSpec, order: int = 16) -> int:
        """About 5 P K log2 K: two transforms."""
        return int(5 * spec.pairs * spec.kernel_size * math.log2(spec.kernel_size + 1))


def _later(spec: kernbench.KernelSpec) -> int:
    """Taps of the side of lag 0."""
    return spec.kernel_size - spec.kernel_size // 2 if spec.side == "centered" else spec.kernel_size


def _order(spec: kernbench.KernelSpec, order: int) -> int:
    """Coefficients for which the side of lag 0 has a tap."""
    return min(order, _later(spec))
