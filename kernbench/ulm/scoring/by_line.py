"""Scores of lines against what is known of each line: bins, rank correlation, quantiles; without torch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernbench.errors import DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Bins of the published statistics (Blanken et al. 2022, Fig. 8): closed below, open above, the last one closed.
BUBBLE_EDGES = tuple(range(0, 1001, 100))
PRESSURE_EDGES_KPA = (5, *range(25, 251, 25))


@dataclass(frozen=True, eq=False)
class Binned:
    """Means in bins; the last bin includes its upper edge.

    Attributes:
        edges: (bins + 1,).
        number: lines in each bin, (bins,).
        mean: of their values, NaN for an empty bin, (bins,).
        outside: lines in no bin.
    """

    edges: Floats
    number: Ints
    mean: Floats
    outside: int


def binned(values: ArrayLike, by: ArrayLike, edges: Sequence[float]) -> Binned:
    """Mean of a score of lines in bins of something known about them.

    Args:
        values: score of each line, (N,); NaN (empty lines in mode `exact`) are left out.
        by: bubble number or pressure of each line, (N,).
        edges: rising, in the unit of `by`.

    Raises:
        DataError: two lists of different lengths, or edges that do not rise.
    """
    score, place = _lists(values, by)
    limits = rising_edges(edges)
    number, _ = np.histogram(place, limits)
    total, _ = np.histogram(place, limits, weights=score)
    mean = total / np.where(number, number, np.nan)
    return Binned(limits, number.astype(np.int64), np.asarray(mean), int(len(score) - number.sum()))


def bin_numbers(by: ArrayLike, edges: Sequence[float]) -> Ints:
    """Bin of each line, (N,), as `binned` sorts them; -1 outside.

    Args:
        by: bubble number or pressure of each line, (N,).
        edges: rising, in the unit of `by`.

    Raises:
        DataError: edges that do not rise.
    """
    place, limits = np.asarray(by, np.float64), rising_edges(edges)
    number = np.searchsorted(limits, place, side="right") - 1
    number[place == limits[-1]] = len(limits) - 2
    number[place > limits[-1]] = -1
    return number.astype(np.int64)


def rank_correlation(values: ArrayLike, by: ArrayLike) -> float:
    """Spearman's rank correlation of a score of lines with something known about them.

    Args:
        values: score of each line, (N,); NaN are left out.
        by: bubble number or pressure of each line, (N,); NaN, not known, are left out.

    Returns:
        -1..1; NaN where one of the two is constant, or fewer than two lines are left.

    Raises:
        DataError: two lists of different lengths.
    """
    score, place = _lists(values, by)
    known = ~np.isnan(place)
    score, place = score[known], place[known]
    if len(score) < 2 or np.ptp(score) == 0 or np.ptp(place) == 0:
        return float("nan")
    return float(np.corrcoef(_ranks(score), _ranks(place))[0, 1])


def rising_edges(edges: Sequence[float]) -> Floats:
    """Edges of bins as an array.

    Raises:
        DataError: fewer than two, or edges that do not rise.
    """
    limits = np.asarray(edges, np.float64)
    if len(limits) < 2 or not (np.diff(limits) > 0).all():
        raise DataError(f"bins need two or more rising edges, got {limits.tolist()}")
    return limits


def _ranks(values: Floats) -> Floats:
    """Ranks from 1; equal values share the mean of theirs."""
    # scipy.stats, which has this, takes longer to import than the report takes to draw a figure.
    _, place, number = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(number) - (number - 1) / 2)[place])


def _lists(values: ArrayLike, by: ArrayLike) -> tuple[Floats, Floats]:
    """Both lists without the lines whose score is NaN."""
    score, place = np.asarray(values, np.float64), np.asarray(by, np.float64)
    if score.ndim != 1 or score.shape != place.shape:
        raise DataError(f"expected one value per line in both lists, got {score.shape} and {place.shape}")
    known = ~np.isnan(score)
    return score[known], place[known]
