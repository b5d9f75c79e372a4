"""Precision against recall over the threshold, in numbers: what the stored curves of a point say."""

from collections.abc import Iterable

import numpy as np

from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.points import TEST, Floats, Point, tolerance_place
from kernbench.store.reading.records import Curves
from kernbench.ulm.scoring.curves import average_precision, break_even, precision_recall
from kernbench.ulm.scoring.scores import ZERO_SCORE

# Those of the published curves (Blanken et al. 2022, Fig. 7a).
CURVE_TOLERANCES = range(6)


def curve_scores(curve: Curves) -> dict[str, Floats]:
    """What the curve of one cell says at every tolerance; the names are those of published quantities.

    Returns:
        Arrays of shape (n_tol,):
        average_precision: area under the upper envelope of precision over recall.
        break_even: where precision equals recall; NaN where they are equal nowhere.
        max_f1: largest mean F1 over the thresholds. They are chosen on the test lines here: not a score to compare.
        max_f1_threshold: the lowest threshold that reaches it.
        max_f1_precision: mean precision there.
        max_f1_recall: mean recall there.
    """
    best = curve.f1.argmax(axis=-1)[:, None]
    thresholds = np.broadcast_to(curve.thresholds, curve.f1.shape)
    at_best = {"": curve.f1, "_threshold": thresholds, "_precision": curve.precision, "_recall": curve.recall}
    return {
        "average_precision": average_precision(curve.precision, curve.recall),
        "break_even": break_even(curve.precision, curve.recall),
    } | {f"max_f1{name}": np.take_along_axis(values, best, axis=-1)[:, 0] for name, values in at_best.items()}


def point_scores(point: Point) -> dict[str, Floats]:
    """Means over the seeds of a point of `with_curves`, in the form of `curve_scores`."""
    key = ("curve_scores",)
    if key not in point.remembered:
        seeds = [curve_scores(curve) for curve in _curves(point)]
        point.remembered[key] = {
            name: np.stack([each[name] for each in seeds], axis=-1).mean(axis=-1) for name in seeds[0]
        }
    found: dict[str, Floats] = point.remembered[key]
    return found


def point_curve(point: Point, tolerance: int) -> tuple[Floats, Floats]:
    """Recall and precision of a point of `with_curves` by rising threshold, means over seeds, (n_thr,) each.

    Thresholds above every output are left out: there both are the guard, 0.001, and measure nothing.
    """
    curves = _curves(point)
    recall = np.mean([curve.recall[tolerance] for curve in curves], axis=0)
    precision = np.mean([curve.precision[tolerance] for curve in curves], axis=0)
    heard = np.maximum(recall, precision) > 1.000001 * ZERO_SCORE  # means are rounded
    return recall[heard], precision[heard]


def frozen_point(point: Point, tolerance: int) -> tuple[float, float]:
    """Mean recall and precision of the test lines at the frozen threshold, guarded like the curve."""
    found = []
    for run in point.scored:
        scores = run.scores[TEST]
        row = tolerance_place(scores, tolerance)
        tp, fn, fp = (each[row][None, None] for each in (scores.tp, scores.fn, scores.fp))
        curve = precision_recall(tp, fn, fp, [float(scores.thresholds[row])])
        found.append((curve.recall.item(), curve.precision.item()))
    recall, precision = np.mean(found, axis=0)
    return float(recall), float(precision)


def with_curves(points: Iterable[Point]) -> list[Point]:
    """Points whose every scored cell has a curve."""
    return [point for point in points if _curves(point)]


def best_with_curves(comparison: Comparison) -> dict[str, Point]:
    """The best point of each series by the series' name, where it has curves."""
    return {series.name: series.best for series in comparison.series if series.best and _curves(series.best)}


def _curves(point: Point) -> list[Curves]:
    found = [run.curve for run in point.scored if run.curve is not None]
    return found if len(found) == len(point.scored) else []
