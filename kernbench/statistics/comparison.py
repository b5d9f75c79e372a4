"""The verdict on two families: better, worse, equivalent or undecided."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from numpy.typing import ArrayLike

from kernbench.errors import KernbenchError
from kernbench.statistics.contrast import Estimate, Prior, combined_df, contrast, spread_of
from kernbench.statistics.multiplicity import holm
from kernbench.statistics.power import seeds_needed, smallest_detectable
from kernbench.statistics.superiority import superiority

EQUIVALENCE = 0.01
LEVEL = 0.95
Verdict = Literal["better", "worse", "equivalent", "undecided"]


@dataclass(frozen=True)
class Comparison:
    """Two families on the same lines.

    Attributes:
        difference: mean score of the first minus that of the second.
        low: lower end of the interval of the difference, for this comparison alone.
        high: upper end.
        p_value: of the hypothesis that there is no difference, two-sided; adjusted where `adjusted` has seen it.
        p_equivalence: of the hypothesis that the difference is at least `equivalence`, the larger of two one-sided
            tests; adjusted likewise.
        df: degrees of freedom of the interval.
        error: standard error of the difference.
        smallest_detectable: true difference that these runs would find in 80 % of studies.
        probability_of_superiority: probability that a run of the first beats a run of the second on a random line.
        superiority_low: lower end of its interval; NaN with one seed.
        superiority_high: upper end.
        effect_size: difference in standard deviations of a seed's mean; NaN where seeds show no spread.
        verdict: "better" and "worse" are said of the first family. A difference that is found, and found to be smaller
            than `equivalence`, is "equivalent".
        seeds_needed: seeds per family that would find a difference as large as this one, or as `equivalence` where this
            one is smaller; inf where only more lines would, None where the verdict is not "undecided".
        seeds: trainings of the first and of the second family.
        lines: test lines.
        level: coverage of the intervals, 1 minus the rate of false positives.
        equivalence: largest difference that does not matter.
    """

    difference: float
    low: float
    high: float
    p_value: float
    p_equivalence: float
    df: float
    error: float
    smallest_detectable: float
    probability_of_superiority: float
    superiority_low: float
    superiority_high: float
    effect_size: float
    verdict: Verdict
    seeds_needed: float | None
    seeds: tuple[int, int]
    lines: int
    level: float
    equivalence: float


def compare(
    first: ArrayLike,
    second: ArrayLike,
    *,
    level: float = LEVEL,
    equivalence: float = EQUIVALENCE,
    prior: tuple[float, float] | None = None,
) -> Comparison:
    """Compare two families by the scores of their trainings.

    Args:
        first: scores (seeds, lines), such as F1; (lines,) is one seed.
        second: scores of the other family on the same lines in the same order; it may have another number of seeds.
        level: coverage of the interval, between 0 and 1.
        equivalence: largest difference that does not matter, in the unit of the scores.
        prior: variance between the line means of seeds, and its degrees of freedom, borrowed from elsewhere, as
            `seed_prior` fits it.

    Returns:
        Difference, interval, verdict and what these runs could have found; see `contrast` for the model.

    Raises:
        KernbenchError: one seed and no prior; shapes, levels or scores that do not fit.
    """
    if not 0 < level < 1 or not equivalence >= 0:
        raise KernbenchError(
            f"expected a level between 0 and 1 and an equivalence of at least 0, got {level} and {equivalence}"
        )
    known = Prior(*prior) if prior is not None else None
    estimate = contrast([first, second], (1, -1), known)
    low, high = estimate.interval(level)
    spreads = spread_of(first), spread_of(second)
    seeds = (spreads[0].seeds, spreads[1].seeds)
    lines = len(spreads[0].by_line)
    chance = superiority(first, second, level)
    unit = math.sqrt(estimate.seed_variance / (1 / seeds[0] + 1 / seeds[1]))
    p_value = estimate.p_value()
    p_equivalence = max(estimate.tail(equivalence), 1 - estimate.tail(-equivalence))
    verdict = verdict_of(estimate.value, p_value, p_equivalence, level)
    return Comparison(
        difference=estimate.value,
        low=low,
        high=high,
        p_value=p_value,
        p_equivalence=p_equivalence,
        df=estimate.df,
        error=estimate.error,
        smallest_detectable=smallest_detectable(estimate.error, estimate.df, level),
        probability_of_superiority=chance.probability,
        superiority_low=chance.low,
        superiority_high=chance.high,
        effect_size=estimate.value / unit if unit else math.nan,
        verdict=verdict,
        seeds_needed=_seeds_needed(estimate, seeds, lines, level, equivalence) if verdict == "undecided" else None,
        seeds=seeds,
        lines=lines,
        level=level,
        equivalence=equivalence,
    )


def adjusted(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The same comparisons as one declared family of contrasts: p-values by Holm, verdicts from them.

    Intervals and smallest detectable differences stay those of a single comparison.

    Args:
        comparisons: all contrasts that are looked at together.

    Returns:
        As many, in the same order.
    """
    found = holm([one.p_value for one in comparisons])
    same = holm([one.p_equivalence for one in comparisons])
    result = []
    for one, p_value, p_equivalence in zip(comparisons, found, same, strict=True):
        verdict = verdict_of(one.difference, float(p_value), float(p_equivalence), one.level)
        needed = one.seeds_needed
        if verdict == "undecided" and needed is None:
            # Decided alone, undecided among many: the number for one comparison is no answer, but one more seed is its
            # lower bound.
            needed = max(one.seeds) + 1
        result.append(
            dataclasses.replace(
                one, p_value=float(p_value), p_equivalence=float(p_equivalence), verdict=verdict, seeds_needed=needed
            )
        )
    return result


def verdict_of(difference: float, p_value: float, p_equivalence: float, level: float) -> Verdict:
    """One of four words; equivalence goes first, so that a difference too small to matter is never called better."""
    alpha = 1 - level
    if p_equivalence < alpha:
        return "equivalent"
    if p_value < alpha:
        return "better" if difference > 0 else "worse"
    return "undecided"


def _seeds_needed(estimate: Estimate, seeds: tuple[int, int], lines: int, level: float, equivalence: float) -> float:
    """Seeds per family for a balanced comparison with the variances of this one."""
    per_seed = estimate.seed_variance / (1 / seeds[0] + 1 / seeds[1])

    def detectable(count: int) -> float:
        seed_part = 2 * per_seed / count
        df = combined_df(seed_part, 2 * (count - 1), estimate.line_variance, lines - 1)
        return smallest_detectable(math.sqrt(seed_part + estimate.line_variance), df, level)

    target = max(abs(estimate.value), equivalence)
    return seeds_needed(detectable, target, max(seeds)) if target else math.inf
