"""Precision against recall over the threshold, in numbers: what the stored curves of a point say."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.points import TEST, Point, tolerance_place
from kernbench.store.reading.records import Curves
from kernbench.ulm.scoring.curves import average_precision, break_even, precision_recall
from kernbench.ulm.scoring.scores import ZERO_SCORE

Floats = NDArray[np.float64]

# Those of the published curves (Blanken et al. 2022, Fig. 7a).
CURVE_TOLERANCES = range(6)


@dataclass(frozen=True)
class CurveScores:
    """What a curve says at one tolerance; the names are those of published quantities.

    Attributes:
        average_precision: area under the upper envelope of precision over recall.
        break_even: where precision equals recall; NaN where they are equal nowhere.
        max_f1: largest mean F1 over the thresholds. They are chosen on the test lines here: not a score to compare.
        max_f1_threshold: the lowest threshold that reaches it.
        max_f1_precision: mean precision there.
        max_f1_recall: mean recall there.
    """

    average_precision: float
    break_even: float
    max_f1: float
    max_f1_threshold: float
    max_f1_precision: float
    max_f1_recall: float


def curve_scores(curve: Curves, tolerance: int) -> CurveScores:
    """Scores of the curve of one cell at one tolerance [samples]."""
    return CurveScores(**{name: float(values[0, tolerance]) for name, values in _every_score([curve]).items()})


def _every_score(curves: Sequence[Curves]) -> dict[str, Floats]:
    """The same of each cell at every tolerance, field -> (S, n_tol); for curves of one shape."""
    precision, recall, f1 = (
        np.stack(each) for each in zip(*((c.precision, c.recall, c.f1) for c in curves), strict=True)
    )
    thresholds = np.broadcast_to(np.stack([curve.thresholds for curve in curves])[:, None], f1.shape)
    best = f1.argmax(axis=-1)[..., None]
    at_best = {"": f1, "_threshold": thresholds, "_precision": precision, "_recall": recall}
    return {
        "average_precision": average_precision(precision, recall),
        "break_even": break_even(precision, recall),
    } | {f"max_f1{name}": np.take_along_axis(values, best, axis=-1)[..., 0] for name, values in at_best.items()}


def point_scores(point: Point, tolerance: int) -> CurveScores | None:
    """Means over the seeds of a point; None unless all of them have a curve."""
    key = ("curve_scores",)
    if key not in point.remembered:
        curves = _curves(point)
        alike = len({curve.f1.shape for curve in curves}) == 1
        point.remembered[key] = [_every_score(each) for each in ([curves] if alike else [[c] for c in curves])]
    found: list[dict[str, Floats]] = point.remembered[key]
    if not found:
        return None
    seeds = {f.name: np.concatenate([each[f.name][:, tolerance] for each in found]) for f in fields(CurveScores)}
    return CurveScores(**{name: float(values.mean()) for name, values in seeds.items()})


def point_curve(point: Point, tolerance: int) -> tuple[Floats, Floats] | None:
    """Recall and precision of a point by rising threshold, means over seeds, (n_thr,) each; None without curves.

    Thresholds above every output are left out: there both are the guard, 0.001, and measure nothing.
    """
    curves = _curves(point)
    if not curves:
        return None
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
    best = {series.name: series.best for series in comparison.series}
    return {name: point for name, point in best.items() if point is not None and _curves(point)}


def _curves(point: Point) -> list[Curves]:
    found = [run.curve for run in point.scored if run.curve is not None]
    return found if len(found) == len(point.scored) else []
