"""What networks that draw a kernel share: position in, kernel values out."""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

import kernbench


class Affine(nn.Module):
    """Affine map of columns, (in, K) -> (out, K), with uniform weights and biases.

    Args:
        inputs: rows that it takes.
        outputs: rows that it gives.
        bound: of the weights, uniform in +-bound; Kaiming's sqrt(3 / inputs) if left out.
        bias: of the biases.
    """

    def __init__(self, inputs: int, outputs: int, bound: float | None = None, bias: float = 0.0) -> None:
        super().__init__()
        limit = math.sqrt(3 / inputs) if bound is None else bound
        self.weight = nn.Parameter(torch.empty(outputs, inputs).uniform_(-limit, limit))
        self.bias = nn.Parameter(torch.empty(outputs, 1).uniform_(-bias, bias) if bias else torch.zeros(outputs, 1))

    def forward(self, columns: Tensor) -> Tensor:
        """W x + b."""
        return torch.addmm(self.bias, self.weight, columns)


class KernelNetwork(kernbench.KernelModule):
    """k(t) = last(hidden(t)), t = lag / extent: a network of the lag whose last layer is linear.

    The last layer starts so that the kernel has gain about 1 (Chang et al. 2020). A subclass defines `hidden` and,
    before its forward is called, `last` with `finish`.

    Args:
        spec: channels, kernel size, extent.
    """

    last: Affine

    def finish(self, width: int, outputs: int | None = None) -> None:
        """Make the last layer for `width` hidden rows."""
        fan_in = self.spec.shape[1] * self.spec.kernel_size
        self.last = Affine(width, outputs or self.spec.pairs, math.sqrt(3 / width / fan_in))

    def hidden(self, position: Tensor) -> Tensor:
        """Hidden rows at positions in [-1, 1]: (K,) -> (width, K)."""
        raise NotImplementedError

    def forward(self, grid: kernbench.LagGrid) -> Tensor:
        """The kernel at grid.lags / grid.extent."""
        values: Tensor = self.last(self.hidden(grid.lags / grid.extent))
        return values.view(*self.spec.shape[:2], -1)

    def scale_(self, factor: float) -> None:
        """Multiply the kernel by a number, in the last layer."""
        self.last.weight.mul_(factor)
        self.last.bias.mul_(factor)


def affine_count(widths: Sequence[int]) -> int:
    """Numbers in affine layers from each width to the next."""
    return sum((before + 1) * after for before, after in itertools.pairwise(widths))


def affine_flops(spec: kernbench.KernelSpec, widths: Sequence[int]) -> int:
    """2 K times the products of affine layers."""
    return 2 * spec.kernel_size * sum(before * after for before, after in itertools.pairwise(widths))
