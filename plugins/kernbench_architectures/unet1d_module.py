"""The module of network `unet1d`."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

import kernbench
from kernbench_architectures.unet1d import PERIOD, PLACES, Span, course, reaches_of


class UNetNetwork(kernbench.networks.Network):
    """Three scales with skips, see `UNet`: lines of any length keep it.

    Args:
        layers: the convolutions, place after place.
        pad: samples of reflection, see `UNet.padding`.
        field: receptive field.

    Attributes:
        reaches: samples on each side that the layers of each place see, at the rate of the place.
    """

    recompute = False

    def __init__(self, layers: Sequence[Any], pad: int, field: int) -> None:
        super().__init__(layers, pad, field)
        self.reaches = reaches_of([layer.spec for layer in layers])

    @property
    def reach(self) -> tuple[int, int]:
        """Samples before and behind an output sample that can move it, the most over the places that it may have."""
        fields = [course(Span(place, place + 1), self.reaches).taken[0] for place in range(PERIOD)]
        before = max(place - field.start for place, field in enumerate(fields))
        return before, max(field.stop - 1 - place for place, field in enumerate(fields))

    def strides(self) -> list[int]:
        """Every how many-th output of each layer goes on.

        Returns:
            2 for the last layer of the first two places, 1 for all others.
        """
        each = len(self.blocks) // PLACES
        return [2 if number in (each, 2 * each) else 1 for number in range(1, len(self.blocks) + 1)]

    def layer_lengths(self, length: int) -> list[int]:
        """Samples that each layer takes.

        Args:
            length: samples of a line.

        Returns:
            One length a layer, place after place.
        """
        each, lengths = len(self.blocks) // PLACES, []
        reaches = [layer.spec.dilation * (layer.spec.kernel_size - 1) for layer in self.kernel_layers()]
        for place, span in enumerate(course(Span(0, length), self.reaches).taken):
            before = reaches[place * each : (place + 1) * each]
            lengths += [span.stop - span.start - sum(before[:number]) for number in range(each)]
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
        taken, given = course(Span(0, length), self.reaches)
        line = functional.pad(signal, (-taken[0].start, taken[0].stop - length), mode="reflect")
        full = self._at(0, line)
        half = self._at(1, _cut(full, given[0], taken[1].finer())[..., ::2])
        deep = self._at(2, _cut(half, given[1], taken[2].finer())[..., ::2])
        middle = self._at(3, _joined(half, given[1], deep, given[2], taken[3]))
        last = self._at(4, _joined(full, given[0], middle, given[3], taken[4]))
        return torch.as_tensor(self.head(last))

    def _at(self, place: int, hidden: Tensor) -> Tensor:
        each = len(self.blocks) // PLACES
        return self.through(self.blocks[place * each : (place + 1) * each], hidden)


def _cut(hidden: Tensor, held: Span, wanted: Span) -> Tensor:
    """The samples of a span, of those that are held."""
    return hidden[..., wanted.start - held.start : wanted.stop - held.start]


def _joined(skip: Tensor, of_skip: Span, coarse: Tensor, of_coarse: Span, wanted: Span) -> Tensor:
    """Channels of a skip and of what comes up, each sample of it repeated once, over a span."""
    # a view and a copy: gradients are sums of two, in one order
    repeated = coarse[..., None].expand(*coarse.shape, 2).flatten(-2)
    of_repeated = Span(2 * of_coarse.start, 2 * of_coarse.stop)
    return torch.cat([_cut(skip, of_skip, wanted), _cut(repeated, of_repeated, wanted)], dim=1)
