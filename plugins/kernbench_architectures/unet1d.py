"""Network `unet1d`: three scales with skips. What lies where is worked out here, without torch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import kernbench

if TYPE_CHECKING:
    from torch import nn

PLACES = 5  # down at full, half and a quarter of the rate, up at half and full
RATES = (1, 2, 4, 2, 1)  # samples of the line for one sample of each place
PERIOD = 4  # shifts by so many samples commute with the network


class Span(NamedTuple):
    """Samples start .. stop - 1 of a line, counted at some rate; a line itself starts at 0."""

    start: int
    stop: int

    def wider(self, samples: int) -> "Span":
        """With so many samples more on each side."""
        return Span(self.start - samples, self.stop + samples)

    def coarser(self) -> "Span":
        """Samples of half the rate that cover it, each repeated once."""
        return Span(self.start // 2, (self.stop - 1) // 2 + 1)

    def finer(self) -> "Span":
        """Samples of twice the rate, of which it is every second one."""
        return Span(2 * self.start, 2 * self.stop - 1)

    def with_also(self, other: "Span") -> "Span":
        """The smallest span that holds both."""
        return Span(min(self.start, other.start), max(self.stop, other.stop))


class Course(NamedTuple):
    """What each place of the network takes and gives, so that its output is a given span of the line."""

    taken: tuple[Span, ...]
    given: tuple[Span, ...]


def course(wanted: Span, reaches: Sequence[int]) -> Course:
    """Spans of each of the five places, input side first.

    Args:
        wanted: of the output, in samples of the line.
        reaches: samples on each side that the layers of each place see, at the rate of the place.
    """
    last = wanted.wider(reaches[4])
    middle_out = last.coarser()
    middle = middle_out.wider(reaches[3])
    deep_out = middle.coarser()
    deep = deep_out.wider(reaches[2])
    half_out = deep.finer().with_also(middle)  # the skip takes from it, too
    half = half_out.wider(reaches[1])
    full_out = half.finer().with_also(last)
    return Course(
        (full_out.wider(reaches[0]), half, deep, middle, last), (full_out, half_out, deep_out, middle_out, wanted)
    )


def reaches_of(layers: "Sequence[kernbench.KernelSpec]") -> list[int]:
    """Samples on each side that the layers of each place see, at its own rate."""
    each = len(layers) // PLACES
    sides = [layer.dilation * (layer.kernel_size - 1) // 2 for layer in layers]
    return [sum(sides[place * each : (place + 1) * each]) for place in range(PLACES)]


@dataclass(frozen=True)
class UNet(kernbench.Architecture):
    """Down to a quarter of the rate and up again; `depth` layers at each of five places, channels the same everywhere.

    Every second output goes down, each sample is repeated once on the way up, and the first layer after it takes the
    skip and what comes up. Lines are mirrored once, by all that the layers need, and skips are cut to what is left.
    Source: Ronneberger, Fischer, Brox (2015), U-Net: Convolutional Networks for Biomedical Image Segmentation, but with
    strides in the place of its pooling, and without more channels at a lower rate.
    """

    def layers(self, kernel_size: int, channels: int, depth: int) -> "Sequence[kernbench.KernelSpec]":
        """Layers of the same kernel size, place after place; spans and rates differ, taps do not.

        Args:
            kernel_size: of the study.
            channels: of the study.
            depth: of the study, layers at each place.

        Returns:
            5 depth specs.
        """
        _, plain = super().layers(kernel_size, channels, 2)
        specs = []
        for place, rate in enumerate(RATES):
            first = (1, channels, channels, 2 * channels, 2 * channels)[place]
            at_rate = replace(plain, sample_rate=plain.sample_rate / rate)
            specs += [replace(at_rate, in_channels=first), *[at_rate] * (depth - 1)]
        return specs

    def padding(self, layers: "Sequence[kernbench.KernelSpec]") -> int:
        """Samples of reflection on each side of a line, the most over lines of all lengths: 10 r + r mod 4.

        r is what the layers of each place see on a side, where all places see equally far.

        Args:
            layers: as `layers` gives them.

        Returns:
            A number of samples.
        """
        lengths = range(1, PERIOD + 1)  # a line by PERIOD samples longer needs the same
        lines = [course(Span(0, length), reaches_of(layers)).taken[0] for length in lengths]
        return max(max(-line.start, line.stop - length) for line, length in zip(lines, lengths, strict=True))

    def receptive_field(self, layers: "Sequence[kernbench.KernelSpec]") -> int:
        """Input samples that can reach one output sample, the most over the places that it may have.

        Args:
            layers: as `layers` gives them.

        Returns:
            A number of samples.
        """
        fields = [course(Span(place, place + 1), reaches_of(layers)).taken[0] for place in range(PERIOD)]
        return max(field.stop - field.start for field in fields)

    def build(self, layers: Sequence[Any]) -> "nn.Module":  # of layers of kernbench
        """The module.

        Args:
            layers: one convolution for each of `layers(...)`.

        Returns:
            A `kernbench.networks.Network` with another forward pass.
        """
        from kernbench_architectures.unet1d_module import UNetNetwork  # noqa: PLC0415  # with it comes torch

        specs = [layer.spec for layer in layers]
        return UNetNetwork(layers, self.padding(specs), self.receptive_field(specs))
