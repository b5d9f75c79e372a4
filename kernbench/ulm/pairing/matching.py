"""One-to-one matching of detections and truths: how many pairs, and which ones are closest.

Both go through the truths of many groups in step, the k-th truth of every group together. A truth can reach a window of
the (sorted) detections, and windows only move forward from one truth to the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernbench.errors import DataError, counted
from kernbench.ulm.pairing.points import Floats, Ints, Points, Steps, places

# Any: indices are narrowed to 32 bits where speed counts.
Indices = NDArray[Any]
UNMATCHED = -1


@dataclass(frozen=True, eq=False)
class Reach:
    """Detections within the tolerance of each truth: indices first <= i < stop into the table of detections.

    Attributes:
        first: int32, (truths,) or (..., truths).
        stop: same shape; equal to `first` where nothing is in reach.
    """

    first: Indices
    stop: Indices

    def among(self, kept_before: NDArray[np.int32]) -> "Reach":
        """The same in tables that hold only some of the detections; see `kept_before`, (..., detections + 1)."""
        return Reach(kept_before[..., self.first], kept_before[..., self.stop])


@dataclass(frozen=True, eq=False)
class Pairs:
    """Matched pairs, by line and position.

    Attributes:
        detections: the table that `detection` counts in.
        truths: the table that `truth` counts in.
        detection: index of the detection of each pair, (pairs,).
        truth: index of its truth, (pairs,).
    """

    detections: Points
    truths: Points
    detection: Ints
    truth: Ints

    def __len__(self) -> int:
        return len(self.truth)

    @cached_property
    def distance(self) -> Floats:
        """Detection minus truth [samples], (pairs,): positive is late."""
        return np.asarray(self.detections.sample[self.detection] - self.truths.sample[self.truth])

    @cached_property
    def per_line(self) -> Ints:
        """Pairs of each line, (N,)."""
        return np.bincount(self.truths.line[self.truth], minlength=self.truths.lines).astype(np.int64, copy=False)


def kept_before(kept: NDArray[np.bool_]) -> NDArray[np.int32]:
    """How many detections before each are kept, and how many in all, (detections + 1,)."""
    number = np.zeros(len(kept) + 1, np.int32)
    np.cumsum(kept, out=number[1:])
    return number


def reach(detections: Points, truths: Points, tolerances: Sequence[float]) -> Reach:
    """Which detections each truth can be paired with, (n_tol, truths).

    Raises:
        DataError: tables of different numbers of lines, a negative tolerance, or none.
    """
    if detections.lines != truths.lines:
        raise DataError(f"detections cover {counted(detections.lines, 'line')}, truths {truths.lines}")
    if not len(tolerances) or not min(tolerances) >= 0:
        raise DataError(f"tolerances must be samples >= 0, at least one: got {list(tolerances)}")
    first = [places(detections, truths.line, truths.sample - tolerance, "left") for tolerance in tolerances]
    stop = [places(detections, truths.line, truths.sample + tolerance, "right") for tolerance in tolerances]
    return Reach(np.array(first, np.int32), np.array(stop, np.int32))


def sweep(within: Reach, truths: Points) -> Ints:
    """Pairs of each line by a sweep: each truth in turn takes the first free detection in its reach.

    For intervals of equal length this greedy matching is a maximum one.

    Args:
        within: windows of detections, (..., truths).
        truths: their lines.

    Returns:
        Pairs, (..., N).
    """
    steps = truths.steps
    first, stop = within.first[..., steps.order], within.stop[..., steps.order]
    free = np.zeros((*first.shape[:-1], truths.lines), np.int32)
    pairs = np.zeros_like(free)
    for now, slots in steps:
        next_free, found = free[..., slots], pairs[..., slots]
        np.maximum(next_free, first[..., now], out=next_free)
        hit = next_free < stop[..., now]
        next_free += hit
        found += hit
    return np.asarray(pairs[..., steps.slot].astype(np.int64))


def closest_pairs(detections: Points, truths: Points, tolerance: float) -> Pairs:
    """The one-to-one matching with the most pairs and, among those, the least sum of squared distances.

    The sweep finds as many pairs, but not the closest. Of equally good pairings, the one of the earlier truths, and
    for these of the earlier detections, is taken.

    Args:
        detections: from a decoder.
        truths: labels or arrivals of the same lines.
        tolerance: samples; pairs are at most that far apart.

    Raises:
        DataError: tables of different numbers of lines, or a negative tolerance.
    """
    within = reach(detections, truths, [tolerance])
    first, stop = (each[0].astype(np.int64) for each in (within.first, within.stop))
    truth = np.flatnonzero(first < stop)
    if not len(truth):
        return Pairs(detections, truths, truth, truth)
    windows = _Windows(first[truth], (stop - first)[truth], detections.sample, truths.sample[truth])
    # Truths whose windows share no detection do not compete: cutting there makes many short groups of a few long lines.
    group = np.cumsum(first[truth] >= np.concatenate([[0], stop[truth][:-1]])) - 1
    steps = Steps(group, int(group[-1]) + 1)
    bonus = float(np.bincount(group).max()) * tolerance**2 + 1
    partner = _trace(_fill(windows, steps, bonus), windows, steps)
    paired = partner != UNMATCHED
    return Pairs(detections, truths, partner[paired], truth[paired])


@dataclass(frozen=True, eq=False)
class _Windows:
    """What the dynamic programme looks at.

    Attributes:
        first: first detection in reach of each truth, (truths,).
        room: how many are in reach, >= 1, (truths,).
        detection: positions of all detections.
        truth: positions of the truths.
    """

    first: Ints
    room: Ints
    detection: Floats
    truth: Floats

    @cached_property
    def width(self) -> int:
        """Detections in the fullest window."""
        return int(self.room.max())

    def costs(self, rows: Ints, bonus: float) -> Floats:
        """Squared distance minus the bonus of a pair for each detection of the windows, (rows, width)."""
        column = np.arange(self.width)
        index = np.minimum(self.first[rows, None] + column, len(self.detection) - 1)
        cost = (self.detection[index] - self.truth[rows, None]) ** 2 - bonus
        return np.asarray(np.where(column < self.room[rows, None], cost, np.inf))


def _fill(windows: _Windows, steps: Steps, bonus: float) -> Indices:
    """Dynamic programme over truths and detections, forward.

    An optimal pairing never crosses, so with V[k] the least value of the truths so far and the first k detections of
    the group: V_new[k] = min(V_old[k], V_old[k - 1] + d^2 - bonus, V_new[k - 1]). The bonus of a pair outweighs all
    distances of a group. Only a truth's window is kept: before it V is final, behind it V is constant.

    Returns:
        Choices (truths, width + 1), truths in order of the visit, one for each k of its window: +k' where the truth is
        paired with detection k' - 1 of the window, -k' where it stays alone; k' is the smallest k of the same V.
    """
    columns = np.arange(windows.width + 1)
    values = np.zeros((len(steps.slot), windows.width + 1))
    begin = windows.first[steps.order]
    here = begin[: len(steps.slot)].copy()
    # Two bytes do for every window of a line; a choice beyond them would wrap around into another pairing.
    small = windows.width <= np.iinfo(np.int16).max
    choices = np.zeros((len(begin), windows.width + 1), np.int16 if small else np.int32)
    for now, slots in steps:
        shift = begin[now] - here[slots]
        here[slots] = begin[now]
        old = np.take_along_axis(values[slots], np.minimum(columns + shift[:, None], windows.width), axis=1)
        values[slots], choices[now] = _step(old, windows.costs(steps.order[now], bonus))
    return choices


def _step(old: Floats, cost: Floats) -> tuple[Floats, Ints]:
    """One truth of each group: new values and choices, both (groups, width + 1)."""
    pair = old[:, :-1] + cost
    paired = np.zeros(old.shape, bool)
    np.less(pair, old[:, 1:], out=paired[:, 1:])
    new = old.copy()
    np.minimum(old[:, 1:], pair, out=new[:, 1:])
    np.minimum.accumulate(new, axis=1, out=new)
    improves = np.zeros(old.shape, bool)
    np.less(new[:, 1:], new[:, :-1], out=improves[:, 1:])
    source = np.maximum.accumulate(np.where(improves, np.arange(old.shape[1]), 0), axis=1)
    taken = np.take_along_axis(paired, source, axis=1)
    return new, np.where(taken, source, -source)


def _trace(choices: Indices, windows: _Windows, steps: Steps) -> Ints:
    """Partner of each truth (UNMATCHED if none), from the last truth of each group back to its first."""
    partner = np.full(len(windows.first), UNMATCHED, np.int64)
    column = np.full(len(steps.slot), len(windows.detection), np.int64)
    for now, slots in reversed(list(steps)):
        truth = steps.order[now]
        begin = windows.first[truth]
        inside = np.clip(column[slots] - begin, 0, windows.width)
        choice = choices[np.arange(now.start, now.stop), inside].astype(np.int64)
        paired = choice > 0
        partner[truth[paired]] = begin[paired] + choice[paired] - 1
        column[slots] = begin + np.abs(choice) - paired
    return partner
