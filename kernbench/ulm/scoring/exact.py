"""Precision, recall, F1 and their summaries without the published guards (mode `exact`); without torch.

The same arithmetic serves the dilation metric and one-to-one matching: there tp are pairs, fn unmatched truths and fp
unmatched detections, and F1 = 2 pairs / (detections + truths).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LineScores:
    """Scores in the shape of the counts; NaN on empty lines, where nothing was to be found and nothing was detected.

    Attributes:
        precision: tp / (tp + fp); 0 where truths meet no detection at all.
        recall: tp / (tp + fn); 0 where detections meet no truth at all.
        f1: harmonic mean of the two, 0 without a true positive.
        jaccard: F1 / (2 - F1), a monotone function of F1: for one-to-one matching, tp / (tp + fn + fp).
    """

    precision: Floats
    recall: Floats
    f1: Floats
    jaccard: Floats


@dataclass(frozen=True, eq=False)
class Summary:
    """Scores of a set of lines, each in the shape of the counts less the axis of lines.

    Attributes:
        mean: macro, the mean of F1 over lines that are not empty.
        median: of F1 over the same lines.
        micro: F1 of the counts pooled over all lines.
        micro_precision: of the pooled counts.
        micro_recall: of the pooled counts.
        empty: lines without truth and without detection; they are in none of the others.
    """

    mean: Floats
    median: Floats
    micro: Floats
    micro_precision: Floats
    micro_recall: Floats
    empty: NDArray[np.int64]


def exact_scores(tp: ArrayLike, fn: ArrayLike, fp: ArrayLike) -> LineScores:
    """Scores with true zeros.

    Args:
        tp: hits, integers of any shape.
        fn: misses, same shape.
        fp: false alarms, same shape.
    """
    hits, misses, alarms = (np.asarray(each, np.float64) for each in (tp, fn, fp))
    empty = hits + misses + alarms == 0
    precision = _ratio(hits, hits + alarms, empty)
    recall = _ratio(hits, hits + misses, empty)
    f1 = _ratio(2 * precision * recall, precision + recall, empty)
    return LineScores(precision, recall, f1, f1 / (2 - f1))


def summarize(tp: ArrayLike, fn: ArrayLike, fp: ArrayLike) -> Summary:
    """Mean, median and pooled scores over lines, the last axis; NaN where all lines are empty.

    Args:
        tp: hits of each line, integers (..., N).
        fn: misses, same shape.
        fp: false alarms, same shape.
    """
    f1 = exact_scores(tp, fn, fp).f1
    pooled = exact_scores(*(np.asarray(each).sum(axis=-1) for each in (tp, fn, fp)))
    empty = np.isnan(f1)
    median = _median(f1, (~empty).sum(axis=-1))
    number = np.asarray(empty.sum(axis=-1))
    return Summary(line_mean(f1), median, pooled.f1, pooled.precision, pooled.recall, number)


def line_mean(values: Floats) -> Floats:
    """Mean over lines, the last axis, without empty ones, which are NaN; NaN where all are."""
    lines = (~np.isnan(values)).sum(axis=-1)
    return np.asarray(np.nan_to_num(values).sum(axis=-1) / np.where(lines, lines, np.nan))


def _ratio(part: Floats, whole: Floats, empty: NDArray[np.bool_]) -> Floats:
    """Part of the whole; 0 of nothing is 0, and NaN where the line is empty."""
    share = part / np.where(whole > 0, whole, 1)
    return np.asarray(np.where(empty, np.nan, share))


def _median(values: Floats, lines: NDArray[np.int64]) -> Floats:
    """Median over the last axis without NaN: np.nanmedian warns where nothing is left."""
    ordered = np.sort(values, axis=-1)  # NaN last
    low = np.take_along_axis(ordered, np.maximum(lines - 1, 0)[..., None] // 2, axis=-1)[..., 0]
    high = np.take_along_axis(ordered, lines[..., None] // 2 * (lines > 0)[..., None], axis=-1)[..., 0]
    return np.asarray((low + high) / 2)
