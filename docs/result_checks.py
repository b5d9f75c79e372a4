"""Whether a result holds when it is looked at in another way."""

from result_points import difference_of
from scipy.stats import ttest_ind

from kernbench.errors import KernbenchError
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.points import SEED, Point
from kernbench.statistics import compare
from kernbench.statistics.comparison import LEVEL
from kernbench.statistics.multiplicity import holm

MATCHED = "f1_matched"  # column: mean one-to-one F1 of a cell


def matched(comparison: Comparison) -> str:
    """How many of the decided differences one-to-one F1 decides, too, with the same sign, and which it does not.

    Its test is Welch's t over seeds alone, with Holm's correction over these differences.
    """
    decided = [each for each in comparison.differences if each.outcome in ("better", "worse")]
    if not decided:
        raise KernbenchError(f"{comparison.base}: no difference is decided")
    found = [ttest_ind(_matched(each.first), _matched(each.second), equal_var=False) for each in decided]
    p_values = holm([float(each.pvalue) for each in found])
    other = [
        f"`{comparison.series_names[id(each.first)]}` at {each.first.x}"
        for p, test, each in zip(p_values, found, decided, strict=True)
        if not (p < 1 - LEVEL and (test.statistic > 0) == (each.found.difference > 0))
    ]
    text = f"{len(decided) - len(other)} of {len(decided)}"
    return f"{text} (all but {', '.join(other)})" if other else text


def later_seeds(comparison: Comparison, family: str, at: str, first: str) -> str:
    """FAMILY VALUE SEED: the difference from the reference family over the seeds from this one on, alone."""
    each = difference_of(comparison, family, [at])
    rows = [
        point.f1()[[place for place, run in enumerate(point.scored) if int(run.params[SEED]) >= int(first)]]
        for point in (each.first, each.second)
    ]
    if min(map(len, rows)) < 2:
        raise KernbenchError(f"{comparison.base}: {family} at {at} has fewer than two seeds from {first} on")
    found = compare(*rows, prior=comparison.spread.prior)
    return f"{found.difference:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def _matched(point: Point) -> list[float]:
    """One-to-one F1 of each seed."""
    return [float(value) for run in point.scored if (value := run.values.get(MATCHED)) is not None]
