"""Precision against recall over the threshold: the curve, its average precision, its break-even; without torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernbench.errors import DataError
from kernbench.ulm.scoring.exact import exact_scores, line_mean
from kernbench.ulm.scoring.scores import THRESHOLDS, ZERO_SCORE

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float64]
Average = Literal["macro", "macro-exact", "micro"]

# The published curve (Blanken et al. 2022, Fig. 7a): the 25 thresholds between ten below 0 and nine above 0.9.
CURVE_THRESHOLDS: tuple[float, ...] = (
    *(-5e-4 + 5e-5 * i for i in range(10)),
    *THRESHOLDS,
    *(0.95 + 0.01 * i for i in range(9)),
)


@dataclass(frozen=True, eq=False)
class Curve:
    """Precision and recall at each tolerance and threshold, both (n_tol, n_thr).

    Attributes:
        average: "macro", mean over lines of the guarded values, as published; "macro-exact", the same with true zeros
            and without empty lines; "micro", of the counts pooled over lines.
        thresholds: (n_thr,), in any order.
        precision: NaN where no line is left.
        recall: same.
    """

    average: str
    thresholds: Floats
    precision: Floats
    recall: Floats

    @property
    def average_precision(self) -> Floats:
        """Average precision of each tolerance, (n_tol,)."""
        return average_precision(self.precision, self.recall)

    @property
    def break_even(self) -> Floats:
        """Where precision equals recall, for each tolerance, (n_tol,)."""
        order = np.argsort(self.thresholds, kind="stable")
        return break_even(self.precision[:, order], self.recall[:, order])


def precision_recall(
    tp: ArrayLike, fn: ArrayLike, fp: ArrayLike, thresholds: Sequence[float], average: Average = "macro"
) -> Curve:
    """The curve of counts, of the dilation metric or of one-to-one matching.

    Args:
        tp: hits, integers (n_tol, n_thr, N).
        fn: misses, same shape.
        fp: false alarms, same shape.
        thresholds: (n_thr,).
        average: over lines, see `Curve`.

    Raises:
        DataError: thresholds that do not fit the counts.
    """
    counts = [np.asarray(each) for each in (tp, fn, fp)]
    levels = np.asarray(thresholds, np.float64)
    if counts[0].ndim != 3 or counts[0].shape[1] != len(levels):
        raise DataError(f"counts must be (tolerances, {len(levels)} thresholds, lines), got {counts[0].shape}")
    if average != "macro":
        micro = average == "micro"
        exact = exact_scores(*((each.sum(axis=2, keepdims=True) if micro else each) for each in counts))
        return Curve(average, levels, line_mean(exact.precision), line_mean(exact.recall))
    hits, misses, alarms = counts
    zero = ZERO_SCORE * (hits == 0)
    precision = hits / np.maximum(hits + alarms, 1) + zero
    recall = hits / np.maximum(hits + misses, 1) + zero
    return Curve(average, levels, precision.mean(axis=2), recall.mean(axis=2))


def average_precision(precision: ArrayLike, recall: ArrayLike) -> Floats:
    """Sum over increasing recall of (step of recall) x (largest precision at this or a higher recall).

    Args:
        precision: at each threshold, (..., n_thr), any order.
        recall: same.

    Returns:
        Average precision in 0..1, (...); the first step starts at recall 0. Thresholds with NaN are left out.
    """
    p, r = np.asarray(precision, np.float64), np.asarray(recall, np.float64)
    known = ~(np.isnan(p) | np.isnan(r))
    order = np.argsort(np.where(known, r, np.inf), axis=-1, kind="stable")
    p, r = np.take_along_axis(p, order, axis=-1), np.take_along_axis(r, order, axis=-1)
    known = np.take_along_axis(known, order, axis=-1)
    best = np.maximum.accumulate(np.where(known, p, 0)[..., ::-1], axis=-1)[..., ::-1]
    step = np.where(known, np.diff(r, axis=-1, prepend=0), 0)
    return np.asarray((step * best).sum(axis=-1))


def break_even(precision: ArrayLike, recall: ArrayLike) -> Floats:
    """Largest value at which precision and recall are equal, linear between neighbouring thresholds.

    Thresholds without a hit on any line are left out: there both are 0, 0.001 by the guard, or undefined, and equal
    only because nothing is left to measure. Of several crossings the largest value is the one an operator would choose.

    Args:
        precision: by rising threshold, (..., n_thr).
        recall: same.

    Returns:
        The value, (...); NaN where the two are equal nowhere.
    """
    p, r = np.asarray(precision, np.float64), np.asarray(recall, np.float64)
    silent = 1.000001 * ZERO_SCORE  # a mean of guards may be a rounding above the guard
    hit = ((p > silent) | (r > silent)) & ~(np.isnan(p) | np.isnan(r))
    order = np.argsort(~hit, axis=-1, kind="stable")  # those with a hit first, in their order
    p, gap = np.take_along_axis(p, order, axis=-1), np.take_along_axis(p - r, order, axis=-1)
    hit = np.take_along_axis(hit, order, axis=-1)
    crossed = hit[..., 1:] & (gap[..., :-1] * gap[..., 1:] < 0)
    share = np.zeros(crossed.shape)
    np.divide(gap[..., :-1], gap[..., :-1] - gap[..., 1:], out=share, where=crossed)
    between = np.where(crossed, p[..., :-1] + share * np.diff(p, axis=-1), -np.inf)
    values = np.concatenate([np.where(hit & (gap == 0), p, -np.inf), between], axis=-1)
    largest = values.max(axis=-1, initial=-np.inf)
    return np.asarray(np.where(np.isfinite(largest), largest, np.nan))


# Any: predictions come in every number type.
def score_quantiles(prediction: "NDArray[Any] | torch.Tensor", levels: int = 200) -> Floats:
    """Thresholds for a curve, from the scores themselves.

    A share (i / levels)^3 of all samples is above the i-th: few samples of a line are detections, and there the curve
    needs its points. The lowest threshold is below every score.

    Args:
        prediction: output, any shape.
        levels: thresholds before equal ones are merged; 100 or more for an average precision.

    Returns:
        Rising float32 values as float64, (at most levels + 1,).

    Raises:
        DataError: an empty prediction, or one with NaN or infinity.
    """
    array = prediction if isinstance(prediction, np.ndarray) else prediction.detach().cpu().numpy()
    scores = np.sort(array.astype(np.float32).reshape(-1))
    if not len(scores) or not np.isfinite(scores[[0, -1]]).all():
        raise DataError("quantiles need a prediction of finite scores")
    above = np.rint((np.arange(levels) / levels) ** 3 * len(scores)).astype(np.int64)
    lowest = scores[0] - (1 + np.abs(scores[0]))
    return np.unique(np.append(scores[len(scores) - 1 - np.minimum(above, len(scores) - 1)], lowest)).astype(np.float64)
