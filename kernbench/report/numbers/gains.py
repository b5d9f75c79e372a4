"""How scores change along an axis: of each family, and of each family beyond what the reference family gains."""

from collections.abc import Sequence
from dataclasses import dataclass

from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.points import Point, Value
from kernbench.statistics.comparison import EQUIVALENCE, LEVEL, Verdict, verdict_of
from kernbench.statistics.contrast import Estimate, contrast
from kernbench.statistics.multiplicity import holm

CHANGE = (1, -1)  # of a point and the one that it is measured from
GAIN = (1, -1, -1, 1)  # of the family and the reference family there, and of both where it is measured from


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
    return _judged(comparison, pairs, CHANGE)


def gains(comparison: Comparison, at: Value) -> list[Gain]:
    """What each family gains over the reference family from one value of the axis of the comparison to every other.

    Seeds and lines are crossed as in `contrast`. Where the axis makes lines of its own, such as those of a pulse, lines
    are paired by number; that takes nothing for granted, as what they do not share stays in their spread.

    Args:
        comparison: as for `changes`; at both values the family or the reference family is surely above a blind guess.
        at: the value to measure from.

    Returns:
        As for `changes`.
    """
    seeing = {id(each.first): each.second for each in comparison.differences if not each.blind}
    pairs = [
        (point, seeing[id(point)], before, seeing[id(before)])
        for point in comparison.scored
        if (before := _beside(point, comparison.scored, comparison.axis, at)) is not None
        and id(point) in seeing
        and id(before) in seeing
    ]
    return _judged(comparison, pairs, GAIN)


def _beside(point: Point, points: Sequence[Point], axis: str, value: Value) -> Point | None:
    """The point of the same series of all else, at a value of an axis; None where there is none, and for itself."""
    if axis not in point.params or point.params[axis] == value:
        return None
    wanted = (point.runs[0].family, point.params | {axis: value}, point.apart)
    return next((each for each in points if (each.runs[0].family, each.params, each.apart) == wanted), None)


def _judged(comparison: Comparison, groups: Sequence[Sequence[Point]], weights: Sequence[float]) -> list[Gain]:
    estimates = [(group[0], found) for group in groups if (found := _estimate(comparison, group, weights)) is not None]
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
