"""Samples, labels and tolerances of a line at another sampling rate, at the same physical places; without torch.

A factor is the new rate over that of training: 2 for 125 MHz, 1/2 for 31.25 MHz.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Counts = NDArray[Any]  # any number type: labels are stored as bytes
Ints = NDArray[np.int64]


def moved_length(length: int, factor: float) -> int:
    """Samples of a resampled line."""
    return math.ceil(length * factor)


def moved_samples(samples: ArrayLike, factor: float) -> Ints:
    """Samples nearest in time to those of the training rate, half rounded up.

    Args:
        samples: from the start of the line, any shape.
        factor: see above.
    """
    return np.floor(np.asarray(samples, np.float64) * factor + 0.5).astype(np.int64)


def moved_tolerances(tolerances: ArrayLike, factor: float) -> Ints:
    """The widest tolerances [samples] that are not wider in time: at half the rate odd ones are rounded down.

    Args:
        tolerances: samples of the training rate, (n_tol,).
        factor: see above.
    """
    return np.floor(np.asarray(tolerances, np.float64) * factor).astype(np.int64)


def moved_counts(counts: Counts, factor: float) -> Counts:
    """Bubbles per sample at the same places; those that fall on one sample add up.

    Args:
        counts: (N, L).
        factor: see above.

    Returns:
        (N, ceil(L * factor)) of the same type.
    """
    old = np.asarray(counts)
    moved = np.zeros((len(old), moved_length(old.shape[1], factor)), old.dtype)
    line, sample = np.nonzero(old)
    place = np.minimum(moved_samples(sample, factor), moved.shape[1] - 1)
    np.add.at(moved, (line, place), old[line, sample])
    return moved
