"""F1 against the sampling rate of the test lines, where a study varies it."""

from math import isnan

from kernbench.report.numbers.comparison import Comparison, Series
from kernbench.report.numbers.points import SEED, Point
from kernbench.report.numbers.sentences import interval_text
from kernbench.statistics.means import Interval, mean_interval
from kernbench.ulm.line import SAMPLE_RATE_HZ

RATE_AXIS = "test_rate"
TRAINING_MHZ = SAMPLE_RATE_HZ / 1e6


def varies_rate(comparison: Comparison) -> bool:
    """Whether the comparison runs along the sampling rate of the test lines."""
    return comparison.axis == RATE_AXIS and bool(comparison.scored)


def rate_of(point: Point) -> float:
    """Rate of the test lines of a point [MHz]; -1 and no value are that of training."""
    rate = float(point.x) if isinstance(point.x, int | float) else -1.0
    return TRAINING_MHZ if rate < 0 else rate


def rate_change(series: Series, point: Point) -> Interval | None:
    """What the rate adds to the F1 of the same networks on the same lines; None at the rate of training.

    The interval covers other lines and, with several seeds, other trainings; None where the seeds are not the same.
    """
    usual = next((each for each in series.scored if rate_of(each) == TRAINING_MHZ), None)
    if usual is None or rate_of(point) == TRAINING_MHZ:
        return None
    seeds = [[run.params.get(SEED) for run in each.scored] for each in (usual, point)]
    if seeds[0] != seeds[1] or usual.f1().shape != point.f1().shape:
        return None
    return mean_interval(point.f1() - usual.f1())


def rate_table(comparison: Comparison) -> list[dict[str, str]]:
    """Rows by series and rate: F1 with its interval, change, floors of that rate, skill, one-to-one F1; formatted.

    A false detection counts with each of its samples, of which a higher rate has more; one to one it counts once.
    """
    if not varies_rate(comparison):
        return []
    return [_row(series, point) for series in comparison.series for point in series.scored]


def _row(series: Series, point: Point) -> dict[str, str]:
    comb, random = point.floors()
    matched = point.matched("f1")
    return {
        "series": series.name,
        "rate": f"{rate_of(point):g}",
        "f1": interval_text(point.interval),
        "change": interval_text(rate_change(series, point)),
        "comb": f"{comb:.3f}",
        "random": f"{random:.3f}",
        "skill": f"{point.skill:.3f}",
        "matched": "–" if isnan(matched) else f"{matched:.3f}",
    }
