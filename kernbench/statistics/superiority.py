"""How often a run of one family beats a run of another."""

from dataclasses import dataclass

import numpy as np
import scipy  # not its parts: they are loaded at the first comparison
from numpy.typing import ArrayLike

from kernbench.statistics.contrast import checked_scores


@dataclass(frozen=True)
class Superiority:
    """Probability that a run of the first family beats a run of the second on a random line; ties count half.

    Attributes:
        probability: between 0 and 1.
        low: lower end of its interval; NaN where a family has one seed.
        high: upper end.
    """

    probability: float
    low: float
    high: float


def superiority(first: ArrayLike, second: ArrayLike, level: float = 0.95) -> Superiority:
    """Probability of superiority over all pairs of seeds, on the same line.

    Args:
        first: scores (S1, L).
        second: scores (S2, L) on the same lines.
        level: coverage of the interval.

    Returns:
        The probability, with an interval that treats seeds and lines as samples. It is made on the logit scale, so it
        stays inside [0, 1], with the degrees of freedom of two families of the smaller number of seeds.

    Source: McGraw, Wong (1992), Psychological Bulletin 111:361; variance: DeLong, DeLong, Clarke-Pearson (1988),
    Biometrics 44:837.
    """
    one, other = checked_scores(first), checked_scores(second)
    by_first = np.stack([((row > other) + 0.5 * (row == other)).mean(axis=0) for row in one])  # (S1, L)
    by_second = np.stack([((one > row) + 0.5 * (one == row)).mean(axis=0) for row in other])
    probability = float(by_first.mean())
    fewest = min(len(one), len(other))
    if fewest < 2:
        return Superiority(probability, float("nan"), float("nan"))
    lines = one.shape[1]
    variance = by_first.mean(axis=1).var(ddof=1) / len(one) + by_second.mean(axis=1).var(ddof=1) / len(other)
    variance += by_first.mean(axis=0).var(ddof=1) / lines
    # Half a pair is added on both sides: where one family always wins, the logit of 1 would have no interval.
    shrunk = (probability * lines + 0.5) / (lines + 1)
    half = scipy.special.stdtrit(2 * fewest - 2, (1 + level) / 2) * np.sqrt(variance) / (shrunk * (1 - shrunk))
    low, high = scipy.special.expit(scipy.special.logit(shrunk) + np.array([-half, half]))
    return Superiority(probability, min(float(low), probability), max(float(high), probability))
