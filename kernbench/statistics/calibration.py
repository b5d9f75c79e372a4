"""Does the interval hold on the very scores? Seeds of one family against seeds of the same family."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kernbench.statistics.contrast import Prior, checked_scores, contrast

SPLITS = 400
SEED = 20230712


@dataclass(frozen=True)
class Calibration:
    """Comparisons of a family with itself.

    Attributes:
        rate: share of splits in which the halves are called different; about 1 minus the level if the interval holds.
            Splits share seeds, so the rate of one family is itself uncertain.
        splits: random splits of the seeds into two halves.
        seeds: of the family.
    """

    rate: float
    splits: int
    seeds: int


def calibrate(
    scores: ArrayLike, *, level: float = 0.95, prior: Prior | None = None, splits: int = SPLITS, seed: int = SEED
) -> Calibration | None:
    """Rate of false positives of `contrast` when seeds of one cell are split at random into two halves.

    Args:
        scores: of one cell (S, L).
        level: of the interval.
        prior: as for `contrast`.
        splits: how many random splits.
        seed: of the splits.

    Returns:
        The rate; None with fewer than 4 seeds, which have no two halves with a spread.

    Raises:
        KernbenchError: scores that are not finite or of another shape.
    """
    table = checked_scores(scores)
    half = len(table) // 2
    if half < 2:
        return None
    rng = np.random.default_rng(seed)
    called = 0
    for _ in range(splits):
        order = rng.permutation(len(table))
        called += contrast([table[order[:half]], table[order[half : 2 * half]]], (1, -1), prior).p_value() < 1 - level
    return Calibration(called / splits, splits, len(table))
