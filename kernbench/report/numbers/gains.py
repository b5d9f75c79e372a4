"""Whether a family gains more than the reference family from one value of the axis to another."""

from dataclasses import dataclass

from kernbench.report.numbers.comparison import Comparison, Difference
from kernbench.report.numbers.points import Value
from kernbench.statistics.comparison import EQUIVALENCE, LEVEL, Verdict, verdict_of
from kernbench.statistics.contrast import Estimate, contrast
from kernbench.statistics.multiplicity import holm

SIGNS = (1, -1, -1, 1)  # of the family and the reference family there, and of both where it is measured from


@dataclass(frozen=True)
class Gain:
    """The difference from the reference family at a value of the axis, minus that at another value.

    Attributes:
        name: of the family, with its values on other axes.
        x: value of the axis.
        value: difference of the differences of mean F1.
        low: lower end of its 95 % interval, of this gain alone.
        high: upper end.
        p_value: of no gain, corrected by Holm over all that are made together.
        verdict: "better" where the family gains more than the reference family.
    """

    name: str
    x: Value
    value: float
    low: float
    high: float
    p_value: float
    verdict: Verdict


def gains(comparison: Comparison, at: Value) -> list[Gain]:
    """What each family gains over the reference family at every value of the axis, measured from one of them.

    Seeds and lines are crossed as in `contrast`. Where the axis makes lines of its own, such as those of a pulse, lines
    are paired by number; that takes nothing for granted, as what they do not share stays in their spread.

    Args:
        comparison: points with at least two seeds and equally many lines take part, where the family or the reference
            family is surely above a blind guess.
        at: the value to measure from.

    Returns:
        One for each family and other value, in the order of the comparison; none where `at` has no scores.
    """
    names = comparison.series_names
    seeing = [each for each in comparison.differences if not each.blind]
    start = {names[id(each.first)]: each for each in seeing if each.first.x == at}
    found = [
        (each, estimate)
        for each in seeing
        if each.first.x not in (at, None)
        and (base := start.get(names[id(each.first)])) is not None
        and (estimate := _estimate(comparison, each, base)) is not None
    ]
    differ = holm([estimate.p_value() for _, estimate in found])
    same = holm([max(estimate.tail(EQUIVALENCE), 1 - estimate.tail(-EQUIVALENCE)) for _, estimate in found])
    return [
        Gain(
            name=names[id(each.first)],
            x=each.first.x if each.first.x is not None else at,
            value=estimate.value,
            low=estimate.interval(LEVEL)[0],
            high=estimate.interval(LEVEL)[1],
            p_value=float(p_value),
            verdict=verdict_of(estimate.value, float(p_value), float(p_same), LEVEL),
        )
        for (each, estimate), p_value, p_same in zip(found, differ, same, strict=True)
    ]


def _estimate(comparison: Comparison, there: Difference, here: Difference) -> Estimate | None:
    points = (there.first, there.second, here.first, here.second)
    cells = [point.f1() for point in points]
    if min(len(point.scored) for point in points) < 2 or len({cell.shape[1] for cell in cells}) > 1:
        return None
    return contrast(cells, SIGNS, comparison.spread.prior)
