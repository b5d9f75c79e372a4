"""Where the score comes from: F1 by bubble number, by drive pressure, by overlap of echoes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import spearmanr

from kernbench.errors import DataError
from kernbench.ulm.matching import Pairs
from kernbench.ulm.points import Floats, Ints, Points, places

# Bins of the published statistics (Blanken et al. 2022, Fig. 8): closed below, open above, the last one closed.
BUBBLE_EDGES = tuple(range(0, 1001, 100))
PRESSURE_EDGES_KPA = (5, *range(25, 251, 25))

# Samples to the nearest other bubble. One pulse cycle is 36.8 samples: below that, echoes overlap in their first cycle.
GAP_EDGES = (0, 1, 3, 5, 10, 19, 37, np.inf)


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


@dataclass(frozen=True, eq=False)
class OverlapScores:
    """One-to-one scores of truths by the gap to their nearest neighbour, pooled over lines.

    Attributes:
        edges: samples, (bins + 1,); the last bin includes its upper edge.
        truths: in each bin, (bins,).
        recall: share of them that has a partner, NaN for an empty bin.
        precision: share of the detections that belong to the bin and have a partner. An unmatched detection belongs to
            the bin of the truth nearest to it (ties: the earlier one).
        f1: 2 pairs / (detections + truths) of the bin.
        homeless: detections on lines without truths, which are in no bin.
    """

    edges: Floats
    truths: Ints
    recall: Floats
    precision: Floats
    f1: Floats
    homeless: int


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
    limits = _edges(edges)
    known = ~np.isnan(score)
    score, place = score[known], place[known]
    number, _ = np.histogram(place, limits)
    total, _ = np.histogram(place, limits, weights=score)
    mean = total / np.where(number, number, np.nan)
    return Binned(limits, number.astype(np.int64), np.asarray(mean), int(len(score) - number.sum()))


def rank_correlation(values: ArrayLike, by: ArrayLike) -> float:
    """Spearman's rank correlation of a score of lines with something known about them.

    Args:
        values: score of each line, (N,); NaN are left out.
        by: bubble number or pressure of each line, (N,).

    Returns:
        -1..1; NaN where one of the two is constant, or fewer than two lines are left.

    Raises:
        DataError: two lists of different lengths.
    """
    score, place = _lists(values, by)
    known = ~np.isnan(score)
    score, place = score[known], place[known]
    if len(score) < 2 or np.ptp(score) == 0 or np.ptp(place) == 0:
        return float("nan")
    return float(spearmanr(score, place).statistic)


def neighbour_gaps(truths: Points) -> Floats:
    """Samples from each truth to the nearest other one of its line, (truths,); infinite where it is alone."""
    gap = np.diff(truths.sample)
    gap[np.diff(truths.line) > 0] = np.inf
    nearest = np.minimum(np.append(np.inf, gap), np.append(gap, np.inf))
    return np.asarray(nearest[: len(truths)])


def overlap_scores(pairs: Pairs, edges: Sequence[float] = GAP_EDGES) -> OverlapScores:
    """Scores of truths with near and with far neighbours.

    Args:
        pairs: of `closest_pairs`.
        edges: rising, samples. Truths in no bin are left out, with their detections.

    Raises:
        DataError: edges that do not rise.
    """
    limits = _edges(edges)
    gap = neighbour_gaps(pairs.truths)
    truths = _histogram(gap, limits)
    hits = _histogram(gap[pairs.truth], limits)
    alone = np.ones(len(pairs.detections), bool)
    alone[pairs.detection] = False
    owner, homeless = nearest_truths(pairs.detections[alone], pairs.truths)
    alarms = _histogram(gap[owner], limits)
    return OverlapScores(
        limits,
        truths,
        _share(hits, truths),
        _share(hits, hits + alarms),
        _share(2 * hits, hits + alarms + truths),
        homeless,
    )


def nearest_truths(detections: Points, truths: Points) -> tuple[Ints, int]:
    """Index of the truth nearest to each detection, of equals the earlier one.

    Returns:
        Indices of detections on lines with truths, and the number of detections on lines without.
    """
    housed = truths.per_line[detections.line] > 0
    line, sample = detections.line[housed], detections.sample[housed]
    first, last = truths.starts[line], truths.starts[line] + truths.per_line[line] - 1
    after = np.clip(places(truths, line, sample, "left"), first, last)
    before = np.maximum(after - 1, first)
    earlier = np.abs(sample - truths.sample[before]) <= np.abs(truths.sample[after] - sample)
    return np.where(earlier, before, after), int((~housed).sum())


def _histogram(values: Floats, edges: Floats) -> Ints:
    """How many in each bin; unlike np.histogram, a last edge of infinity holds infinite values too."""
    bin_ = np.searchsorted(edges, values, side="right") - 1
    bin_[values == edges[-1]] = len(edges) - 2
    inside = (bin_ >= 0) & (bin_ < len(edges) - 1)
    return np.bincount(bin_[inside], minlength=len(edges) - 1).astype(np.int64, copy=False)


def _share(part: Ints, whole: Ints) -> Floats:
    return np.asarray(part / np.where(whole, whole, np.nan))


def _lists(values: ArrayLike, by: ArrayLike) -> tuple[Floats, Floats]:
    score, place = np.asarray(values, np.float64), np.asarray(by, np.float64)
    if score.ndim != 1 or score.shape != place.shape:
        raise DataError(f"expected one value per line in both lists, got {score.shape} and {place.shape}")
    return score, place


def _edges(edges: Sequence[float]) -> Floats:
    limits = np.asarray(edges, np.float64)
    if len(limits) < 2 or not (np.diff(limits) > 0).all():
        raise DataError(f"bins need two or more rising edges, got {limits.tolist()}")
    return limits
