"""The module of network `strided`."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import kernbench


class KeepingBlock(nn.Sequential):
    """A layer and what follows it, for every s-th output of the layer.

    Args:
        first: place of the first output that is kept.
        stride: s.
        modules: a convolution layer, and what follows it.
    """

    def __init__(self, first: int, stride: int, *modules: nn.Module) -> None:
        super().__init__(*modules)
        self.first, self.stride = first, stride

    def forward(self, hidden: Tensor) -> Tensor:
        """(N, C, L) -> (N, C', L'), L' = ceil((L - d (K - 1) - first) / s)."""
        layer, *others = self
        hidden = layer(hidden)[..., self.first :: self.stride]
        for module in others:
            hidden = module(hidden)
        return hidden


class StridedNetwork(kernbench.networks.Network):
    """Mirrored once, a layer that keeps every s-th output, layers on these, a 1x1 convolution to s channels, a shuffle.

    A line whose length is no multiple of s is mirrored further at its end and the scores are cut: it keeps its length.

    Args:
        layers: the convolutions, input side first.
        pad: samples of reflection, see `Strided.padding`.
        field: receptive field.
        stride: s.
        first: place of a kept output among its s samples.

    Attributes:
        stride: s.
        first: see above.
    """

    recompute = False

    def __init__(self, layers: Sequence[Any], pad: int, field: int, stride: int, first: int) -> None:
        super().__init__(layers, pad, field, outputs=stride)
        self.stride, self.first = stride, first
        self.blocks[0] = KeepingBlock(first, stride, *self.blocks[0].children())

    @property
    def reach(self) -> tuple[int, int]:
        """Samples before and behind an output sample that can move it, the most over its s places."""
        middle = self.padding - self.first
        return middle + self.stride - 1 - self.first, middle + self.first

    def strides(self) -> list[int]:
        """Every how many-th output of each layer goes on.

        Returns:
            s for the first layer, 1 for the others.
        """
        return [self.stride] + [1] * (len(self.blocks) - 1)

    def layer_lengths(self, length: int) -> list[int]:
        """Samples that each layer takes.

        Args:
            length: samples of a line.

        Returns:
            One length a layer, from the first to the last.
        """
        reaches = [layer.spec.dilation * (layer.spec.kernel_size - 1) for layer in self.kernel_layers()]
        taken = -(-length // self.stride) + sum(reaches[1:])
        lengths = [length + 2 * self.padding - self.first]
        for reach in reaches[1:]:
            lengths.append(taken)
            taken -= reach
        return lengths

    def forward(self, signal: Tensor) -> Tensor:
        """Localize: RF lines (N, 1, L) -> scores (N, 1, L), unbounded.

        Args:
            signal: RF lines, shape (N, 1, L).

        Returns:
            Scores, shape (N, 1, L).

        Raises:
            KernbenchError: the lines are too short for the padding.
        """
        self.check_length(signal)
        length = signal.shape[-1]
        # in front up to what the first kept output sees, so that kept output m stands at sample s m + first
        ends = self.padding - self.first, self.padding
        hidden = functional.pad(signal, ends, mode="reflect")
        phases = self.head(self.through(self.blocks, hidden))  # (N, s, ceil(L / s)): the samples of each place
        return torch.as_tensor(phases.transpose(1, 2).flatten(1)[:, None, :length])
