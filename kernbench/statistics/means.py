"""The mean score of a family with its interval over seeds and lines."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kernbench.statistics.contrast import Prior, checked_scores, contrast

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean and its interval, in the unit of the scores.

    Attributes:
        mean: over all seeds and lines.
        low: lower end; NaN where one line alone says nothing about the spread.
        high: upper end.
        lines: lines that the mean covers.
        seeds: seeds that it covers.
        over_seeds: whether the interval covers the choice of seeds; with one seed and no prior it covers the lines
            alone, and another training may well lie outside.
    """

    mean: float
    low: float
    high: float
    lines: int
    seeds: int
    over_seeds: bool


def mean_interval(
    scores: ArrayLike, prior: Prior | None = None, *, level: float = LEVEL, bounds: tuple[float, float] | None = None
) -> Interval:
    """Mean over seeds and lines; the interval covers new seeds and new lines, as far as the scores can show either.

    Args:
        scores: (S, L), or (L,) for one seed.
        prior: variance between seeds measured elsewhere; moderates that of the scores, and replaces it where there is
            one seed.
        level: coverage of the interval.
        bounds: smallest and largest possible mean; the interval is cut there.

    Raises:
        KernbenchError: no scores, another shape, or scores that are not finite.
    """
    table = checked_scores(scores)
    seeds, lines = table.shape
    if lines == 1:
        return Interval(float(table.mean()), float("nan"), float("nan"), lines, seeds, over_seeds=False)
    known = prior if prior is not None or seeds > 1 else Prior(0.0, float("inf"))
    estimate = contrast([table], [1.0], known)
    low, high = np.clip(estimate.interval(level), *(bounds or (-np.inf, np.inf)))
    return Interval(estimate.value, float(low), float(high), lines, seeds, over_seeds=known is prior)
