"""Dense taps."""

import math

import torch
from torch import Tensor, nn

import kernbench
from kernbench.kernels.building_blocks import interpolated


class Discrete(kernbench.KernelModule):
    """k[o, i, j] = weight[o, i, j]: nothing shared between taps or channels.

    Drawn as torch.nn.Conv1d draws its weight, uniform in +-1/sqrt(fan_in). Between taps (on a refined grid) the
    kernel is the straight line through its weights.
    """

    def __init__(self, spec: kernbench.KernelSpec) -> None:
        super().__init__(spec)
        self.weight = nn.Parameter(torch.empty(spec.shape))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))

    def forward(self, grid: kernbench.LagGrid) -> Tensor:
        """The weights; on a grid finer than the training grid, linear interpolation of them."""
        return interpolated(self.spec, self.weight, grid)

    def scale_(self, factor: float) -> None:
        """Multiply the kernel by a number."""
        self.weight.mul_(factor)

    @staticmethod
    def param_count(spec: kernbench.KernelSpec) -> int:
        """P K."""
        return spec.pairs * spec.kernel_size

    @staticmethod
    def kernel_flops(spec: kernbench.KernelSpec) -> int:  # the contract's signature
        """Nothing to compute."""
        return 0
