"""Where the score comes from: F1 by bubble number, by drive pressure, by overlap of echoes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kernbench.ulm.by_line import (
    BUBBLE_EDGES,
    PRESSURE_EDGES_KPA,
    Binned,
    binned,
    rank_correlation,
    rising_edges,
)
from kernbench.ulm.matching import Pairs
from kernbench.ulm.points import Floats, Ints, Points, places

__all__ = [
    "BUBBLE_EDGES",
    "GAP_EDGES",
    "PRESSURE_EDGES_KPA",
    "Binned",
    "OverlapScores",
    "binned",
    "nearest_truths",
    "neighbour_gaps",
    "overlap_scores",
    "rank_correlation",
]

# Samples to the nearest other bubble. One pulse cycle is 36.8 samples: below that, echoes overlap in their first cycle.
GAP_EDGES = (0, 1, 3, 5, 10, 19, 37, np.inf)


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
    limits = rising_edges(edges)
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
