"""What a comparison could have found: smallest detectable difference, and the seeds that would decide."""

import math
from collections.abc import Callable

import scipy  # not its parts: they are loaded at the first comparison

POWER = 0.8
MOST_SEEDS = 100_000


def smallest_detectable(error: float, df: float, level: float = 0.95, power: float = POWER) -> float:
    """True difference that a two-sided t test finds with the given power.

    Args:
        error: standard error of the difference, in the unit of the scores.
        df: its degrees of freedom; inf for a known error.
        level: 1 minus the test's rate of false positives.
        power: probability to find the difference.

    Returns:
        The difference, in the unit of `error`; 0 where there is no error.

    Source: Cohen (1988), "Statistical Power Analysis for the Behavioral Sciences", chapter 2: the non-central t
    distribution.
    """
    if not error:
        return 0.0
    if math.isinf(df) or df > 1e6:
        return error * float(scipy.special.ndtri((1 + level) / 2) + scipy.special.ndtri(power))
    limit = float(scipy.special.stdtrit(df, (1 + level) / 2))
    guess = limit + float(scipy.special.stdtrit(df, power))

    def missed(shift: float) -> float:
        # The tail on the wrong side is left out: at a power of 0.8 it is below 1e-5.
        return float(scipy.special.nctdtr(df, shift, limit)) - (1 - power)

    return error * float(scipy.optimize.brentq(missed, 0, 3 * guess, xtol=1e-6))


def seeds_needed(detectable: Callable[[int], float], target: float, have: int) -> float:
    """Smallest number of seeds per family with which a difference of `target` can be found.

    Args:
        detectable: seeds per family -> smallest detectable difference, falling.
        target: difference that matters.
        have: seeds that did not decide; the answer is larger.

    Returns:
        The number; inf where the spread over lines alone hides the difference, so that only more lines help.
    """
    low, high = have, have + 1
    while detectable(high) > target:
        low, high = high, 2 * high
        if high > MOST_SEEDS:
            return math.inf
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if detectable(middle) <= target else (middle, high)
    return high
