"""Positions on many lines in one table: detections, labels, or the true arrivals of bubbles."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from kernbench.errors import DataError
from kernbench.ulm.simulator.scene import Scene, arrival_samples

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Steps:
    """An order that visits many groups in step: the k-th members of all of them together, larger groups first.

    Attributes:
        order: members in the order of the visit.
        slot: place of each group while it is visited, (groups,).
    """

    def __init__(self, group: Ints, groups: int) -> None:
        """Order members by their group, ascending integers (members,) below `groups`."""
        size = np.bincount(group, minlength=groups)
        by_size = np.argsort(-size, kind="stable")
        self.slot = np.empty(groups, np.int64)
        self.slot[by_size] = np.arange(groups)
        number = np.arange(len(group)) - (np.cumsum(size) - size)[group]
        self.order = np.lexsort((self.slot[group], number))
        self._sizes: list[int] = np.bincount(number).tolist()

    def __iter__(self) -> Iterator[tuple[slice, slice]]:
        """For each step: its members in `order`, and the slots of their groups, always the first ones."""
        start = 0
        for size in self._sizes:
            yield slice(start, start + size), slice(0, size)
            start += size


@dataclass(frozen=True, eq=False)
class Points:
    """Positions on lines, sorted by line and then by position; repeated positions are allowed.

    Attributes:
        line: index of the line, (points,).
        sample: position in samples from the start of the line, integer or not, (points,).
        lines: number of lines, those without points included.
    """

    line: Ints
    sample: Floats
    lines: int

    def __len__(self) -> int:
        return len(self.line)

    def __getitem__(self, rows: NDArray[np.bool_]) -> "Points":
        return Points(self.line[rows], self.sample[rows], self.lines)

    @cached_property
    def per_line(self) -> Ints:
        """Points of each line, (lines,)."""
        return np.bincount(self.line, minlength=self.lines).astype(np.int64, copy=False)

    @cached_property
    def starts(self) -> Ints:
        """Index of the first point of each line, (lines,)."""
        return np.cumsum(self.per_line) - self.per_line

    @cached_property
    def steps(self) -> Steps:
        """The k-th points of all lines, step by step."""
        return Steps(self.line, self.lines)


def points(lines: Sequence[ArrayLike]) -> Points:
    """Points from one list of positions per line.

    Args:
        lines: positions [samples] of each line, (points of that line,), any order.

    Raises:
        DataError: a position that is not a finite number.
    """
    each = [np.sort(np.asarray(line, np.float64).reshape(-1)) for line in lines]
    sample = np.concatenate([np.zeros(0), *each])
    if not np.isfinite(sample).all():
        raise DataError(f"positions must be finite, {int((~np.isfinite(sample)).sum())} of {len(sample)} are not")
    return Points(np.repeat(np.arange(len(each)), [len(line) for line in each]), sample, len(each))


# Any: labels are stored as bytes, and come as floats from training.
def label_points(counts: NDArray[Any] | torch.Tensor, multiplicity: bool = False) -> Points:
    """Truths as the labels have them, on integer samples.

    Args:
        counts: bubbles per sample, (N, L); more than 0.5 is a truth.
        multiplicity: count a sample with k bubbles k times. Without it, truths are distinct samples.

    Raises:
        DataError: counts of another shape.
    """
    array = counts.detach().cpu().numpy() if isinstance(counts, torch.Tensor) else np.asarray(counts)
    if array.ndim != 2:
        raise DataError(f"counts: expected lines of shape (N, L), got {array.shape}")
    line, sample = np.nonzero(array > 0.5)
    if multiplicity:
        times = np.floor(array[line, sample] + 0.5).astype(np.int64)
        line, sample = np.repeat(line, times), np.repeat(sample, times)
    return Points(line.astype(np.int64), sample.astype(np.float64), len(array))


def arrival_points(scenes: Sequence[Scene]) -> Points:
    """Truths as they are: the geometric arrivals of all bubbles of whole lines, not rounded to samples.

    Radii and pressures play no part in this and need not be known.

    Raises:
        DataError: a position that is not finite.
    """
    places = [(np.asarray(scene.z_m, np.float64), np.asarray(scene.x_m, np.float64)) for scene in scenes]
    return points([arrival_samples(z, np.hypot(x, z)) for z, x in places])


def places(table: Points, line: Ints, sample: Floats, side: Literal["left", "right"]) -> Ints:
    """Where positions would go in a table: the number of points that come before each.

    Args:
        table: the points to look in.
        line: line of each query, (queries,).
        sample: position of each query, (queries,).
        side: "left", before points at the very position; "right", behind them.

    Returns:
        Indices into the table, (queries,).
    """
    # One sorted key for line and position. The pitch is a power of two: keys of integer samples stay exact.
    low = min(table.sample.min(initial=0.0), sample.min(initial=0.0))
    high = max(table.sample.max(initial=0.0), sample.max(initial=0.0))
    pitch = 2.0 ** np.ceil(np.log2(high - low + 1))
    keys = table.line * pitch + (table.sample - low)
    return np.asarray(np.searchsorted(keys, line * pitch + (sample - low), side=side), np.int64)
