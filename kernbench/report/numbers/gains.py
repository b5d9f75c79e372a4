"""How scores change along an axis: of each family, and of each family beyond what the reference family gains."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.points import SEED, Floats, Point, Value
from kernbench.statistics.comparison import EQUIVALENCE, LEVEL, Verdict, verdict_of
from kernbench.statistics.contrast import Estimate, contrast
from kernbench.statistics.multiplicity import holm
from kernbench.study.settings import AXIS_TEST

# of a point, of the reference family there, and of both where it is measured from, in this order
CHANGE = (1, -1)
GAIN = (1, -1, -1, 1)


@dataclass(frozen=True, eq=False)
class Gain:
    """A contrast of mean F1 along an axis.

    Attributes:
        point: of the family, where it changes to.
        value: the contrast.
        low: lower end of its 95 % interval, of this contrast alone.
        high: upper end.
        p_value: of no change, corrected by Holm over all that are made together.
        verdict: "better" where the family rises, or gains more than the reference family.
    """

    point: Point
    value: float
    low: float
    high: float
    p_value: float
    verdict: Verdict


def changes(comparison: Comparison, axis: str, start: Value) -> list[Gain]:
    """How each family changes from one value of an axis to every other, all else equal.

    Along an axis of test lines alone (`AXIS_TEST`) both values are scores of the same networks. So seeds are paired
    there: what is judged is the difference of each network, and no spread is borrowed.

    Args:
        comparison: points with at least two seeds and equally many lines take part, where one of the two is surely
            above a blind guess.
        axis: its name.
        start: the value to measure from.

    Returns:
        One for each point beside it, in the order of the comparison; none where `start` has no scores.
    """
    pairs = [
        (point, before)
        for point in comparison.scored
        if (before := _beside(point, comparison.scored, axis, start)) is not None and not (point.place and before.place)
    ]
    return _judged(comparison, pairs, CHANGE, paired=axis in AXIS_TEST)


def gains(comparison: Comparison, at: Value, axis: str = "") -> list[Gain]:
    """What each family gains over the reference family from one value of an axis to every other, all else equal.

    Seeds and lines are crossed as in `contrast`. Where the axis makes lines of its own, such as those of a pulse, lines
    are paired by number; that takes nothing for granted, as what they do not share stays in their spread. Seeds are
    paired as in `changes`.

    Args:
        comparison: as for `changes`; at both values the family or the reference family is surely above a blind guess.
        at: the value to measure from.
        axis: its name; left out, that of the comparison.

    Returns:
        As for `changes`.
    """
    along = axis or comparison.axis
    seeing = {id(each.first): each.second for each in comparison.differences if not each.blind}
    pairs = [
        (point, seeing[id(point)], before, seeing[id(before)])
        for point in comparison.scored
        if (before := _beside(point, comparison.scored, along, at)) is not None
        and id(point) in seeing
        and id(before) in seeing
    ]
    return _judged(comparison, pairs, GAIN, paired=along in AXIS_TEST)


def _beside(point: Point, points: Sequence[Point], axis: str, value: Value) -> Point | None:
    """The point of the same series of all else, at a value of an axis; None where there is none, and for itself."""
    if axis not in point.params or point.params[axis] == value:
        return None
    wanted = (point.runs[0].family, point.params | {axis: value}, point.apart)
    return next((each for each in points if (each.runs[0].family, each.params, each.apart) == wanted), None)


def _judged(
    comparison: Comparison, groups: Sequence[Sequence[Point]], weights: Sequence[float], *, paired: bool
) -> list[Gain]:
    estimate = _paired if paired else functools.partial(_estimate, comparison)
    estimates = [(group[0], found) for group in groups if (found := estimate(group, weights)) is not None]
    differ = holm([each.p_value() for _, each in estimates])
    same = holm([max(each.tail(EQUIVALENCE), 1 - each.tail(-EQUIVALENCE)) for _, each in estimates])
    return [
        Gain(point, each.value, *each.interval(LEVEL), float(p), verdict_of(each.value, float(p), float(p_same), LEVEL))
        for (point, each), p, p_same in zip(estimates, differ, same, strict=True)
    ]


def _estimate(comparison: Comparison, points: Sequence[Point], weights: Sequence[float]) -> Estimate | None:
    cells = [point.f1() for point in points]
    if min(len(point.scored) for point in points) < 2 or len({cell.shape[1] for cell in cells}) > 1:
        return None
    return contrast(cells, weights, comparison.spread.prior)


def _paired(points: Sequence[Point], weights: Sequence[float]) -> Estimate | None:
    """The same of networks that are scored twice: the second half of the points is the first one, scored elsewhere."""
    half = len(points) // 2
    cells = [_differences(*pair) for pair in zip(points[:half], points[half:], strict=True)]
    known = [cell for cell in cells if cell is not None]
    fits = len(known) == half and len({cell.shape[1] for cell in known}) == 1
    return contrast(known, weights[:half]) if fits else None


def _differences(point: Point, before: Point) -> Floats | None:
    """Of each network and line, (S, L); None with fewer than two seeds in common, or other lines."""
    rows = [dict(zip((run.params[SEED] for run in each.scored), each.f1(), strict=True)) for each in (point, before)]
    common = [seed for seed in rows[0] if seed in rows[1]]
    if len(common) < 2 or rows[0][common[0]].shape != rows[1][common[0]].shape:
        return None
    return np.array([rows[0][seed] - rows[1][seed] for seed in common])
