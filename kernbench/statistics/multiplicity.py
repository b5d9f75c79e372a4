"""Several comparisons judged together: p-values by Holm."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """p-values, corrected so that the chance of any false positive among all of them stays at the level.

    Args:
        p_values: of one declared family of contrasts (N,).

    Returns:
        Adjusted p-values (N,), in the same order, at most 1.

    Source: Holm (1979), Scandinavian Journal of Statistics 6:65.
    """
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(len(values), 0, -1)
    result = np.empty_like(values)
    result[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return result
