"""Scores of the crossed model with known truth: seeds, lines, family by line and residual."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def crossed(
    rng: np.random.Generator,
    means: Sequence[float],
    seed_sds: Sequence[float],
    seeds: Sequence[int],
    lines: int,
    residual: float = 0.05,
) -> list[NDArray[np.float64]]:
    """One table (seeds, lines) a family. Shared lines have a standard deviation of 0.1, family by line of 0.03."""
    line = rng.normal(0, 0.1, lines)
    tables = []
    for mean, sd, count in zip(means, seed_sds, seeds, strict=True):
        by_seed, by_line = rng.normal(0, sd, (count, 1)), rng.normal(0, 0.03, lines)
        tables.append(mean + by_seed + line + by_line + rng.normal(0, residual, (count, lines)))
    return tables
