"""One free weight per tap, shrunk, or under a fixed decay."""

import math

import torch
from torch import Tensor, nn

import kernbench
from kernbench.kernels.building_blocks import interpolated


class LongConvolution(kernbench.KernelModule):
    """k = sign(w) max(0, |w| - lambda): dense taps of which small ones are 0, after a moving average if asked for.

    lambda is a share of the standard deviation at the start: the published default of the stand-alone code, 50 of
    them, leaves no tap and no gradient.

    Args:
        spec: channels, kernel size, extent.
        shrink: lambda over the standard deviation of w at the start.
        smooth: whether w is averaged over 7 taps before it is shrunk.
    """

    threshold: Tensor

    def __init__(self, spec: kernbench.KernelSpec, shrink: float = 0.5, smooth: bool = False) -> None:
        super().__init__(spec)
        self.smooth = smooth
        deviation = 1 / math.sqrt(spec.shape[1] * spec.kernel_size)
        self.weight = nn.Parameter(deviation * torch.randn(spec.shape))
        averaged = deviation * (1 / math.sqrt(7) if smooth else 1.0)
        self.register_buffer("threshold", torch.tensor(shrink * averaged))

    def forward(self, grid: kernbench.LagGrid) -> Tensor:
        """The taps; straight lines between them."""
        weight: Tensor = self.weight
        if self.smooth:
            weight = nn.functional.avg_pool1d(nn.functional.pad(weight, (3, 3)), 7, stride=1)
        return interpolated(self.spec, weight.sign() * (weight.abs() - self.threshold).clamp(min=0), grid)

    def scale_(self, factor: float) -> None:
        """Multiply the kernel by a number: weights and threshold."""
        self.weight.mul_(factor)
        self.threshold.mul_(abs(factor))

    @staticmethod
    def param_count(spec: kernbench.KernelSpec, **_: object) -> int:
        """P K."""
        return spec.pairs * spec.kernel_size

    @staticmethod
    def kernel_flops(spec: kernbench.KernelSpec, **_: object) -> int:
        """3 P K."""
        return 3 * spec.pairs * spec.kernel_size


class Decay(kernbench.KernelModule):
    """k[m] = w_m exp(-a |m| / extent), free taps under decays; a grows over the output channels from 0 to `strength`.

    A strength of 0 is `discrete`.

    Args:
        spec: channels, kernel size, extent.
        strength: decay of the last output channel over the extent.
    """

    rate: Tensor

    def __init__(self, spec: kernbench.KernelSpec, strength: float = 3.0) -> None:
        super().__init__(spec)
        self.weight = nn.Parameter(torch.empty(spec.shape))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        rates = torch.linspace(0, strength, spec.out_channels) if spec.out_channels > 1 else torch.tensor([strength])
        self.register_buffer("rate", (rates / spec.extent)[:, None, None])

    def forward(self, grid: kernbench.LagGrid) -> Tensor:
        """The taps, straight lines between them, under the decays at the grid's own lags."""
        return interpolated(self.spec, self.weight, grid) * torch.exp(-self.rate.to(grid.lags.dtype) * grid.lags.abs())

    def scale_(self, factor: float) -> None:
        """Multiply the kernel by a number."""
        self.weight.mul_(factor)

    @staticmethod
    def param_count(spec: kernbench.KernelSpec, **_: object) -> int:
        """P K."""
        return spec.pairs * spec.kernel_size

    @staticmethod
    def kernel_flops(spec: kernbench.KernelSpec, **_: object) -> int:
        """P K, and the decays."""
        return spec.pairs * spec.kernel_size
