"""Whether a result holds when it is looked at in another way."""

import functools
import itertools
from collections.abc import Callable, Sequence

import numpy as np
from result_points import difference_of, point_of, signed, typed_value, where
from scipy.stats import ttest_ind

from kernbench.errors import KernbenchError
from kernbench.report.numbers.comparison import Comparison, Difference
from kernbench.report.numbers.points import SEED, Floats, Point
from kernbench.statistics import compare
from kernbench.statistics.comparison import LEVEL
from kernbench.statistics.contrast import contrast
from kernbench.statistics.multiplicity import holm

MATCHED = "f1_matched"  # column: mean one-to-one F1 of a cell

Score = Callable[[Point], list[float]]  # of each seed


def matched(comparison: Comparison) -> str:
    """How many of the decided differences one-to-one F1 decides, too, with the same sign, by `matched_versus`."""
    decided = [each for each in comparison.differences if each.outcome in ("better", "worse")]
    if not decided:
        raise KernbenchError(f"{comparison.base}: no difference is decided")
    tests = _tested(comparison, _one_to_one)
    other = [
        f"`{comparison.series_names[id(each.first)]}` at {each.first.x}"
        for each in decided
        if not _same_sign(tests.get(each), each.found.difference)
    ]
    text = f"{len(decided) - len(other)} of {len(decided)}"
    return f"{text} (all but {', '.join(other)})" if other else text


def _same_sign(test: tuple[float, float] | None, difference: float) -> bool:
    """Whether a test decides a difference with this sign."""
    return test is not None and test[1] < 1 - LEVEL and (test[0] > 0) == (difference > 0)


def matched_versus(comparison: Comparison, family: str, *at: str) -> str:
    """FAMILY VALUE ...: the difference in one-to-one F1, its p-value by Holm over all but those of blind networks."""
    return _test_text(comparison, _one_to_one, family, at)


def seeds_alone(comparison: Comparison, family: str, *at: str) -> str:
    """FAMILY VALUE ...: the difference in the published F1 and its p-value by the test of `matched_versus`."""
    return _test_text(comparison, _published, family, at)


def _test_text(comparison: Comparison, score: Score, family: str, at: Sequence[str]) -> str:
    found = _tested(comparison, score)
    wanted: Difference = difference_of(comparison, family, at)
    if wanted not in found:
        named = where(comparison, at)
        raise KernbenchError(f"{comparison.base}: {family} at {named} has one seed, or both networks are blind")
    value, p = found[wanted]
    return f"{value:+.3f}, p = {p:.2g}"


def matched_families(comparison: Comparison, word: str, at: str) -> str:
    """better|worse VALUE: families that one-to-one F1 calls so there, by the test of `matched_versus`."""
    if word not in ("better", "worse"):
        raise KernbenchError(f"{comparison.base}: expected better or worse, got {word!r}")
    x = typed_value(comparison, comparison.axis, at)
    decided = [
        (each, value)
        for each, (value, p) in _tested(comparison, _one_to_one).items()
        if each.first.x == x and p < 1 - LEVEL and (value > 0) == (word == "better")
    ]
    decided.sort(key=lambda pair: -abs(pair[1]))
    return ", ".join(f"`{comparison.series_names[id(each.first)]}`" for each, _ in decided) or "none"


@functools.cache
def _tested(comparison: Comparison, score: Score) -> dict[Difference, tuple[float, float]]:
    """Differences in a score and their p-values, of all but blind networks and single seeds: Welch's t over seeds
    alone, by Holm over all of them.
    """
    seeing = [each for each in comparison.differences if not each.blind and min(each.found.seeds) > 1]
    return dict(zip(seeing, _welch([(each.first, each.second) for each in seeing], score), strict=True))


def between(comparison: Comparison, family: str, at: str, other: str, other_at: str) -> str:
    """FAMILY VALUE FAMILY VALUE: the difference of any two points, with the interval of this comparison alone.

    Values of several axes have a comma between them: "65,omega_0=7.5".
    """
    return _interval([point.f1() for point in _pair(comparison, family, at, other, other_at)], comparison)


def welch(comparison: Comparison, family: str, at: str, other: str, other_at: str) -> str:
    """FAMILY VALUE FAMILY VALUE: the p-value of `between` by Welch's t over seeds alone, of this comparison alone."""
    ((_, p),) = _welch([_pair(comparison, family, at, other, other_at)], _published)
    return f"p = {p:.2g}"


def apart(comparison: Comparison, family: str, at: str, other: str, other_at: str) -> str:
    """FAMILY VALUE FAMILY VALUE: that each training of the first has a lower F1 than each of the second, or refused."""
    lower, higher = map(_published, _pair(comparison, family, at, other, other_at))
    if max(lower) >= min(higher):
        raise KernbenchError(f"{comparison.base}: not each training of {family} at {at} is below those of {other}")
    return f"all {len(lower)} below all {len(higher)}"


def _pair(comparison: Comparison, family: str, at: str, other: str, other_at: str) -> tuple[Point, Point]:
    return point_of(comparison, family, at.split(",")), point_of(comparison, other, other_at.split(","))


def outgains(comparison: Comparison, family: str, other: str, start: str, end: str) -> str:
    """FAMILY FAMILY VALUE VALUE: how much more the first changes between them, with the interval of this one alone."""
    points = [point_of(comparison, name, [at]) for name, at in itertools.product((family, other), (end, start))]
    found = contrast([point.f1() for point in points], (1, -1, -1, 1), comparison.spread.prior)
    return signed(found.value, *found.interval(LEVEL))


def later_seeds(comparison: Comparison, family: str, at: str, first: str) -> str:
    """FAMILY VALUE SEED: the difference from the reference family over the seeds from this one on, alone."""
    each = difference_of(comparison, family, [at])
    rows = [
        point.f1()[[place for place, run in enumerate(point.scored) if int(run.params[SEED]) >= int(first)]]
        for point in (each.first, each.second)
    ]
    if min(map(len, rows)) < 2:
        raise KernbenchError(f"{comparison.base}: {family} at {at} has fewer than two seeds from {first} on")
    return _interval(rows, comparison)


def seed_gaps(comparison: Comparison, family: str, at: str) -> str:
    """FAMILY VALUE: how far apart the mean F1 of two trainings is that differ in their seed alone."""
    means = _published(point_of(comparison, family, [at]))
    gaps = [abs(one - other) for one, other in itertools.combinations(means, 2)]
    if not gaps:
        raise KernbenchError(f"{comparison.base}: {family} at {at} has one seed")
    return f"{np.mean(gaps):.3f} on average, {max(gaps):.3f} at most"


def trainings(comparison: Comparison, family: str, *at: str) -> str:
    """FAMILY VALUE ...: mean F1 of each training, the lowest first."""
    return ", ".join(f"{mean:.3f}" for mean in sorted(_published(point_of(comparison, family, at))))


def _welch(pairs: Sequence[tuple[Point, Point]], score: Score) -> list[tuple[float, float]]:
    """Of each pair the difference of mean scores, first less second, and the p-value by Holm over all pairs."""
    rows = [(score(first), score(second)) for first, second in pairs]
    p_values = holm([float(ttest_ind(*row, equal_var=False).pvalue) for row in rows])
    return [(float(np.mean(a) - np.mean(b)), float(p)) for (a, b), p in zip(rows, p_values, strict=True)]


def _one_to_one(point: Point) -> list[float]:
    """One-to-one F1 of each seed."""
    known = [float(value) for run in point.scored if (value := run.values.get(MATCHED)) is not None]
    if len(known) < 2:
        raise KernbenchError(f"{point.name}: fewer than two seeds have {MATCHED!r}")
    return known


def _published(point: Point) -> list[float]:
    """Mean published F1 of each seed."""
    return [float(mean) for mean in point.f1().mean(axis=1)]


def _interval(rows: Sequence[Floats], comparison: Comparison) -> str:
    found = compare(*rows, prior=comparison.spread.prior)
    return signed(found.difference, found.low, found.high)
