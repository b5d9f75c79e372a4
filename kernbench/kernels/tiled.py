"""Layers with several kernels in rotation: the kernel depends on the place in the line, with a short period."""

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from kernbench.kernels.base import KernelSpec, LagGrid
from kernbench.kernels.composed import ComposedConv
from kernbench.kernels.layer import KernelConv, Run


class TiledConv(ComposedConv):
    """q kernels in rotation: output y[t] of the layer, t = 0, 1, ..., comes from kernel t mod q.

    The family makes q C_out C_in kernels; all of them are convolved, which every backend can, and each output is picked
    from one. So the layer commutes with shifts by q samples, and by no fewer. Biases rotate with the kernels.
    Source: Goodfellow, Bengio, Courville (2016), Deep Learning, sections 9.5 and 9.9.

    Args:
        inner: the layer of all kernels, of `rotating(spec, tiles)`, without bias.
        spec: of the whole layer.
        tiles: q.

    Attributes:
        tiles: q.
        bias: (out_channels q,); that of channel o and phase p stands at o q + p, and so does its kernel.
    """

    bias: nn.Parameter

    def __init__(self, inner: KernelConv, spec: KernelSpec, tiles: int) -> None:
        super().__init__(inner, spec)
        self.tiles = tiles
        bound = 1 / math.sqrt(spec.shape[1] * spec.kernel_size)  # as a plain layer draws it
        self.bias = nn.Parameter(torch.empty(inner.spec.out_channels).uniform_(-bound, bound))
        self.started()

    @staticmethod
    def rotating(spec: KernelSpec, tiles: int) -> KernelSpec:
        """What the family is asked for: q kernels for each output channel, side by side, so that groups stay."""
        return replace(spec, out_channels=spec.out_channels * tiles)

    @property
    def width(self) -> int:
        """Channels before the phase is picked."""
        return self.inner.spec.out_channels

    def forward(self, signal: Tensor) -> Tensor:
        """Convolve and pick; (batch, in_channels, L) -> (batch, out_channels, L - dilation * (K - 1))."""
        every = self.inner(signal).add_(self.bias[:, None])  # no backend needs its output again
        if self.tiles == 1:
            return torch.as_tensor(every)
        every = every.unflatten(1, (self.spec.out_channels, self.tiles))
        length = every.shape[-1]
        whole = length - length % self.tiles
        # phases by cuts and joins: their gradients are sums of nothing, in any order the same bits
        turns = every[..., :whole].unflatten(-1, (-1, self.tiles))
        picked = turns.diagonal(dim1=2, dim2=4).flatten(2)
        rest = every[..., whole:].diagonal(dim1=2, dim2=3)
        return torch.cat([picked, rest], dim=-1)

    def kernel(self, grid: LagGrid | None = None) -> Tensor:
        """All kernels, (out_channels q, in_channels // groups, K); see `bias` for their order."""
        return self.inner.kernel(grid)

    def runs(self, length: int) -> list[Run]:
        """The convolution with all kernels."""
        return self.inner.runs(length)

    def _make(self, grid: LagGrid | None = None) -> Tensor:
        return self.inner._make(grid)
