"""How near detections come to the bound, and which bubbles are found that it says cannot be localized."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kernbench.ulm.limit.bound import sigma_volts
from kernbench.ulm.limit.of_lines import Limits
from kernbench.ulm.pairing.matching import closest_pairs
from kernbench.ulm.pairing.points import Points

ALONE = 16  # samples: a bubble is isolated if no other one is nearer
# Few of these have bounds of hundreds of samples, because of crowds farther off; their squares would be all of the
# mean. Maximum likelihood attains the bound up to some 2 samples.
ATTAINABLE = 1.0  # samples
STRATA = (1.0, 4.0)  # samples, between low and middle, middle and high bounds
CLEAN_PERCENT = 1.0  # noise that is assumed where there is none: without noise there is no bound


@dataclass(frozen=True)
class Attained:
    """Detections against the bound, of bubbles whose echo is whole.

    Attributes:
        percent: level of noise that the bound is for.
        bubbles: how many.
        median_bound: of all of them [samples].
        shares: of the bubbles, by bound: below 1, 1 to 4, above 4 samples.
        recalls: of the bubbles of each stratum; NaN where it has none.
        isolated: bubbles with no other one within 16 samples and a bound of at most 1 sample.
        pairs: isolated bubbles that are detected.
        rmse: of these pairs, against arrivals that are not rounded [samples]; NaN without pairs, as what follows.
        bias: mean of detection minus arrival [samples].
        bound: root of the mean squared bound of the same bubbles [samples].
    """

    percent: float
    bubbles: int
    median_bound: float
    shares: tuple[float, ...]
    recalls: tuple[float, ...]
    isolated: int
    pairs: int
    rmse: float
    bias: float
    bound: float

    @property
    def multiple(self) -> float:
        """RMSE over the bound."""
        return self.rmse / self.bound


def assumed_percent(percent: float) -> float:
    """The level of noise that a bound is given for: that of the lines, 1 % where they are clean."""
    return percent or CLEAN_PERCENT


def attained(found: Points, limits: Limits, percent: float, tolerance: float, last: int | None = None) -> Attained:
    """Compare detections with the bounds of the bubbles of the same lines.

    Args:
        found: detections in samples of the window, not rounded.
        limits: of these lines.
        percent: level of noise, above 0.
        tolerance: largest distance of a pair [samples].
        last: samples of the window that are scored; all if left out.
    """
    scored = np.floor(limits.arrival + 0.5) < (limits.length if last is None else last)
    truths = Points(limits.line[scored], limits.arrival[scored], limits.lines)
    pairs = closest_pairs(found, truths, tolerance)
    bound, inner = limits.per_volt[scored] * sigma_volts(percent), limits.inner[scored]
    hit = np.zeros(len(truths), bool)
    hit[pairs.truth] = True
    stratum = np.digitize(bound, STRATA, right=True)
    strata = [inner & (stratum == place) for place in range(len(STRATA) + 1)]
    alone = inner & (limits.gap[scored] > ALONE) & (bound <= ATTAINABLE)
    chosen = alone[pairs.truth]
    error, least = pairs.distance[chosen], bound[pairs.truth[chosen]]
    some = len(error) > 0
    return Attained(
        percent=percent,
        bubbles=int(inner.sum()),
        median_bound=float(np.median(bound[inner])) if inner.any() else np.nan,
        shares=tuple(_share(each[inner]) for each in strata),
        recalls=tuple(_share(hit[each]) for each in strata),
        isolated=int(alone.sum()),
        pairs=len(error),
        rmse=float(np.sqrt(np.mean(error**2))) if some else np.nan,
        bias=float(np.mean(error)) if some else np.nan,
        bound=float(np.sqrt(np.mean(least**2))) if some else np.nan,
    )


def _share(found: npt.NDArray[np.bool_]) -> float:
    return float(found.mean()) if len(found) else np.nan
