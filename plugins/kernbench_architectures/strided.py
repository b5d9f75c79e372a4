"""Network `strided`: layers at a lower rate, and a shuffle back to the rate of the line. Imports no torch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import kernbench
from kernbench_architectures.whole import check_whole

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Strided(kernbench.Architecture):
    """The first layer keeps every s-th output; the last 1x1 convolution gives s samples for each one that is left.

    With stride 1 it is `shallow`. Source: Shi et al. (2016), Real-Time Single Image and Video Super-Resolution Using an
    Efficient Sub-Pixel Convolutional Neural Network.

    Attributes:
        stride: s, samples from one kept output to the next.
    """

    stride: int = 2

    def __post_init__(self) -> None:
        """Refuse a stride that is none."""
        super().__post_init__()
        check_whole(self.name, "stride", self.stride, 1)

    @property
    def first(self) -> int:
        """Place of the kept output among its s samples: the middle one, or the one before the middle."""
        return (self.stride - 1) // 2

    def layers(self, kernel_size: int, channels: int, depth: int) -> "Sequence[kernbench.KernelSpec]":
        """Layers of the same kernel size; all but the first at 1 / s of the rate.

        Args:
            kernel_size: of the study.
            channels: of the study.
            depth: of the study.

        Returns:
            One spec for each layer.
        """
        first, *others = super().layers(kernel_size, channels, depth)
        return [first, *(replace(each, sample_rate=each.sample_rate / self.stride) for each in others)]

    def reach(self, layers: "Sequence[kernbench.KernelSpec]") -> int:
        """Samples of the line on each side of a kept output that can move what the layers make of it.

        Args:
            layers: as `layers` gives them.

        Returns:
            d (K - 1) / 2 of the first layer, and s times that of each other one.
        """
        first, *others = (layer.dilation * (layer.kernel_size - 1) // 2 for layer in layers)
        return first + self.stride * sum(others)

    def padding(self, layers: "Sequence[kernbench.KernelSpec]") -> int:
        """Samples of reflection on each side of a line, at most.

        Args:
            layers: as `layers` gives them.

        Returns:
            The reach, and where a kept output is not the first of its s samples, as many more.
        """
        return self.reach(layers) + self.first

    def receptive_field(self, layers: "Sequence[kernbench.KernelSpec]") -> int:
        """Input samples that can reach one output sample: 1 + d (K - 1) of the first layer + s d (K - 1) of the others.

        Args:
            layers: as `layers` gives them.

        Returns:
            A number of samples.
        """
        return 1 + 2 * self.reach(layers)

    def build(self, layers: Sequence[Any]) -> "nn.Module":  # of layers of kernbench
        """The module.

        Args:
            layers: one convolution for each of `layers(...)`.

        Returns:
            A `kernbench.networks.Network` with another forward pass.
        """
        from kernbench_architectures.strided_module import StridedNetwork  # noqa: PLC0415  # with it comes torch

        specs = [layer.spec for layer in layers]
        sizes = self.padding(specs), self.receptive_field(specs), self.stride, self.first
        return StridedNetwork(layers, *sizes)
