"""Published numbers beside measured ones: reference, measured, difference and the spread of seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.curves import curve_scores
from kernbench.report.numbers.lines import point_bins, statistic
from kernbench.report.numbers.points import Point
from kernbench.store.reading.records import Run
from kernbench.study.reference import LINE_AXES, MEAN, OF_CURVE, TEST, TOLERANCE_AXIS, Reference

QUANTITY_TEXTS = {
    "average_precision": "average precision",
    "break_even": "precision = recall",
    "max_f1": "largest mean F1 over thresholds",
    "max_f1_threshold": "threshold of the largest mean F1",
    "max_f1_precision": "mean precision at the largest mean F1",
    "max_f1_recall": "mean recall at the largest mean F1",
}
STATISTIC_TEXTS = {
    "sd": "standard deviation of F1",
    "min": "smallest F1",
    "q05": "5 % quantile of F1",
    "q25": "25 % quantile of F1",
    "q75": "75 % quantile of F1",
    "max": "largest F1",
    "spearman_bubbles": "Spearman correlation of F1 with bubble number",
    "spearman_pressure_kpa": "Spearman correlation of F1 with pressure",
}
AXIS_TEXTS = {
    TOLERANCE_AXIS: "tolerance [samples]",
    "bubbles": "bubbles in the line",
    "pressure_kpa": "drive pressure [kPa]",
}


@dataclass(frozen=True)
class Beside:
    """One published number and what was measured.

    Attributes:
        source: author, year, table or figure.
        point: family and axis values.
        what: quantity or statistic, split and tolerance.
        axis: what varies along the published row.
        at: where on it.
        reference: published number.
        measured: mean over seeds of the same; None while no cell has it.
        low: smallest over seeds.
        high: largest over seeds.
        seeds: how many.
    """

    source: str
    point: str
    what: str
    axis: str
    at: float | int | str
    reference: float
    measured: float | None
    low: float | None
    high: float | None
    seeds: int

    @property
    def difference(self) -> float | None:
        """Measured minus published."""
        return None if self.measured is None else self.measured - self.reference


def note_of(comparison: Comparison) -> list[str]:
    """What the study says of published results without a number."""
    return list(dict.fromkeys(run.note for run in comparison.runs if run.note))


def beside(comparison: Comparison) -> list[Beside]:
    """All published numbers of a comparison that one of its cells can be compared with, in the order of the file."""
    rows = (_points(reference, comparison) for reference in comparison.references)
    return [each for points in rows for row in points.values() for each in row if each is not None]


def tables(comparison: Comparison) -> list[dict[str, Any]]:
    """The same as tables of the page, one for the rows of one source along one axis; rows without any point left out.

    Returns:
        For each table `source`, `axis` with its unit, `places` (column heads) and `rows`. For each row `what` was
        published, the numbers `published` at each place, and `points`: family and other axis values -> one `Beside` a
        place, None where that cell does not exist.
    """

    def head(reference: Reference) -> tuple[str, str, tuple[float | int | str, ...]]:
        return reference.source, AXIS_TEXTS.get(reference.axis, reference.axis), reference.places

    found = []
    for (source, axis, places), members in groupby(comparison.references, head):
        rows = [
            {"what": _what(reference), "published": reference.values, "points": points}
            for reference in members
            if (points := _points(reference, comparison))
        ]
        if rows:
            found.append({"source": source, "axis": axis, "places": places, "rows": rows})
    return found


def published_along(comparison: Comparison, point: Point, quantity: str) -> dict[int, float]:
    """Published means of the test lines by tolerance [samples], for one point and quantity; empty without any."""
    wanted = (quantity, MEAN, TEST, TOLERANCE_AXIS)
    for reference in comparison.references:
        kind = (reference.quantity, reference.statistic, reference.split, reference.axis)
        if kind == wanted and _fits(point, reference):
            return {int(t): value for t, value in zip(reference.at, reference.values, strict=True)}
    return {}


def published_bins(comparison: Comparison, axis: str, tolerance: int) -> Reference | None:
    """The published row of F1 in bins of an axis of the lines at one tolerance; None without."""
    rows = (row for row in comparison.references if (row.axis, row.tolerance) == (axis, tolerance))
    return next(rows, None)


def _points(reference: Reference, comparison: Comparison) -> dict[str, list[Beside | None]]:
    """Points that a published row can be compared with: family and other axis values -> one number a place."""
    groups: dict[str, dict[object, Point]] = {}
    said = {reference.axis, *(reference.where or {})}
    of_study = reference.axis not in (TOLERANCE_AXIS, *LINE_AXES)  # or else each point has the entire row
    for point in comparison.points:
        if _fits(point, reference):
            groups.setdefault(point.name_without(said), {})[point.params.get(reference.axis)] = point
    points = {}
    for name, members in groups.items():
        along = [members.get(at if of_study else None) for at in reference.places]
        if any(along):
            points[name] = [
                None if point is None else _beside(reference, point, place) for place, point in enumerate(along)
            ]
    return points


def _fits(point: Point, reference: Reference) -> bool:
    same = all(point.params.get(name) == value for name, value in (reference.where or {}).items())
    return same and point.runs[0].family == reference.family


def _beside(reference: Reference, point: Point, place: int) -> Beside:
    at = reference.places[place]
    tolerance = int(at) if reference.axis == TOLERANCE_AXIS else reference.tolerance
    found = [_measured(reference, run, point, place, tolerance) for run in point.scored]
    seeds = [number for number in found if number is not None and math.isfinite(number)]
    if len(seeds) < len(found):
        seeds = []
    return Beside(
        source=reference.source,
        point=point.name,
        what=_what(reference) if reference.axis != TOLERANCE_AXIS else f"{_what(reference)}, tolerance {tolerance}",
        axis=reference.axis,
        at=at,
        reference=reference.values[place],
        measured=float(np.mean(seeds)) if seeds else None,
        low=min(seeds, default=None),
        high=max(seeds, default=None),
        seeds=len(seeds),
    )


def _measured(reference: Reference, run: Run, point: Point, place: int, tolerance: int) -> float | None:
    """The published quantity as one cell has it; None or NaN where it has not."""
    if reference.quantity in OF_CURVE:
        return None if run.curve is None else float(curve_scores(run.curve)[reference.quantity][tolerance])
    if reference.split not in run.scores or tolerance not in run.scores[reference.split].tolerances:
        return None
    if reference.axis in LINE_AXES:
        alone = Point((run,), point.axis, point.tolerance)
        bins = point_bins(alone, reference.axis, tolerance, reference.edges)
        return None if bins is None else float(bins.mean[place])
    return statistic(run, reference.statistic, tolerance, reference.split)


def _what(reference: Reference) -> str:
    text = QUANTITY_TEXTS.get(reference.quantity) or STATISTIC_TEXTS.get(
        reference.statistic, f"{reference.statistic} F1"
    )
    parts = [f"{text}, {reference.split} lines"]
    if reference.axis != TOLERANCE_AXIS:
        parts.append(f"tolerance {reference.tolerance}")
    return ", ".join([*parts, *(f"{name} = {value}" for name, value in (reference.where or {}).items())])


def published_texts(row: Sequence[Beside | None], name: str) -> list[str]:
    """One attribute of a row's numbers as texts, differences with their sign; a dash where there is none."""
    sign = "+" if name == "difference" else ""
    values = [None if each is None else getattr(each, name) for each in row]
    return ["–" if value is None else f"{value:{sign}.4f}" for value in values]
