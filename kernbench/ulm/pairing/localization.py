"""How far matched detections are off."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernbench.ulm.pairing.matching import Pairs
from kernbench.ulm.scoring.scores import tolerance_ns, tolerance_um


@dataclass(frozen=True)
class Spread:
    """Errors of position, in one unit.

    Attributes:
        rmse: root of the mean squared error; never above the tolerance, so it says nothing without the recall.
        bias: mean of detection minus truth; positive is late, or deep.
        median: of the absolute error.
    """

    rmse: float
    bias: float
    median: float


@dataclass(frozen=True)
class PositionError:
    """Errors of all pairs of all lines, pooled; NaN where there is no pair.

    Attributes:
        pairs: how many.
        recall: share of all truths that have a partner: what the errors leave out.
        samples: the errors in samples.
        ns: in echo arrival time [ns].
        um: in depth, two-way [um]: half the sound path.
    """

    pairs: int
    recall: float
    samples: Spread
    ns: Spread
    um: Spread


def position_error(pairs: Pairs) -> PositionError:
    """Errors of the closest pairs, in samples, ns and um.

    Args:
        pairs: of `closest_pairs`, against labels on integer samples or against the arrivals themselves. Rounding a
            label to its sample alone is an error of 0.289 samples.
    """
    distance = pairs.distance
    recall = len(pairs) / len(pairs.truths) if len(pairs.truths) else np.nan
    errors = (_spread(distance), _spread(tolerance_ns(distance)), _spread(tolerance_um(distance)))
    return PositionError(len(pairs), recall, *errors)


def _spread(distance: NDArray[np.float64]) -> Spread:
    if not len(distance):
        return Spread(np.nan, np.nan, np.nan)
    return Spread(float(np.sqrt((distance**2).mean())), float(distance.mean()), float(np.median(np.abs(distance))))
