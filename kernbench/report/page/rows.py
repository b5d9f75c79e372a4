"""Rows of the page's tables, as texts."""

from collections.abc import Collection
from math import isfinite, isinf, nan
from typing import Any

import numpy as np

from kernbench.report.numbers.comparison import Comparison, Difference
from kernbench.report.numbers.curves import CURVE_TOLERANCES, point_scores, with_curves
from kernbench.report.numbers.fronts import all_costs, cost_of
from kernbench.report.numbers.lines import line_statistics
from kernbench.report.numbers.over_sizes import over_sizes
from kernbench.report.numbers.points import Point, Value, values_text
from kernbench.report.numbers.sentences import interval_text, p_text
from kernbench.ulm.scoring.scores import tolerance_um

PageRow = dict[str, Any]  # texts, and a list of texts for declared columns


def summary_rows(comparison: Comparison) -> list[PageRow]:
    """Every point with its score, its one-to-one scores and its costs; `others` are axes that vary beside the axis."""
    same = _same(comparison)
    return [_summary_row(point, same) for point in comparison.points]


def same_text(comparison: Comparison) -> str:
    """What all points share beside the axis: "kernel_size = 3"; empty if nothing."""
    return values_text(_same(comparison))


def _same(comparison: Comparison) -> dict[str, Value]:
    first, *rest = (point.params for point in comparison.points)
    shared = {name: value for name, value in first.items() if all(other.get(name) == value for other in rest)}
    return {name: value for name, value in shared.items() if name != comparison.axis}


def _summary_row(point: Point, same: Collection[str]) -> PageRow:
    comb, random = point.floors()
    rmse = point.matched("rmse_samples")
    costs = [(column, cost_of(point, column)) for column in all_costs()]
    return {
        "point": point.name,
        "family": point.runs[0].family,
        "x": "–" if point.x is None else str(point.x),
        "others": ", ".join(filter(None, [values_text(_others(point, same)), point.apart])),
        "f1": interval_text(point.interval),
        "median": number(float(np.median(point.f1())) if point.scored else nan, 3),
        "skill": number(point.skill, 2),
        "comb": number(comb, 3),
        "random": number(random, 3),
        "seeds": str(len(point.scored)),
        "status": point.status,
        "matched": number(point.matched("f1"), 3),
        "precision": number(point.matched("precision"), 3),
        "recall": number(point.matched("recall"), 3),
        "rmse": number(rmse, 2),
        "rmse_um": number(float(tolerance_um(rmse)), 1),
        "bias": number(point.matched("bias_samples"), 2),
        "edge": number(point.value("f1_edge"), 3),
        "inner": number(point.value("f1_inner"), 3),
        "width": number(point.matched("width"), 1),
        "costs": [number(value, column.digits) if column.digits else large(value) for column, value in costs],
    }


def cost_ranges(comparison: Comparison) -> dict[str, list[str]]:
    """Name of every series -> the lowest and highest of each cost over its points, in the order of the page."""
    return {
        series.name: [
            _range([cost for point in series.points if isfinite(cost := cost_of(point, column))], column.digits)
            for column in all_costs()
        ]
        for series in comparison.series
    }


def _range(values: list[float], digits: int) -> str:
    if not values:
        return "–"
    ends = dict.fromkeys(number(value, digits) if digits else large(value) for value in (min(values), max(values)))
    return " to ".join(ends)


def _others(point: Point, same: Collection[str]) -> dict[str, Value]:
    return {name: value for name, value in point.params.items() if name not in (point.axis, *same)}


def trend_rows(comparison: Comparison) -> list[PageRow]:
    """Every series over its kernel sizes."""
    return [
        {
            "name": row.name,
            "sizes": f"{row.sizes} from {row.smallest} to {row.largest}",
            "runs": str(row.runs),
            "middle": _with_ends(row.middle, row.low, row.high, ""),
            "change": _with_ends(row.change, row.change_low, row.change_high, "+"),
            "p": p_text(row.p_value).removeprefix("p ").removeprefix("= ") if isfinite(row.p_value) else "–",
            "trend": row.trend,
        }
        for row in over_sizes(comparison)
    ]


def _with_ends(value: float, low: float, high: float, sign: str) -> str:
    if not isfinite(value):
        return "–"
    ends = f" [{low:{sign}.3f}, {high:{sign}.3f}]" if isfinite(low) else ""
    return f"{value:{sign}.3f}{ends}"


def curve_rows(comparison: Comparison) -> list[PageRow]:
    """What the precision-recall curve of every point says at each tolerance; none where curves were not stored."""
    rows = []
    for point in with_curves(comparison.scored):
        for tolerance in CURVE_TOLERANCES:
            found = {name: values[tolerance] for name, values in point_scores(point).items()}
            texts = {name: number(value, 3) for name, value in found.items()}
            texts["max_f1_threshold"] = f"{found['max_f1_threshold']:.3g}"
            rows.append({"point": point.name, "tolerance": str(tolerance)} | texts)
    return rows


def line_rows(comparison: Comparison) -> list[PageRow]:
    """Spread of F1 over the test lines, and rank correlations, of the best point of every series."""
    return [
        {"point": point.name, "tolerance": str(t)} | {name: number(value, 3) for name, value in values.items()}
        for point, t, values in line_statistics(comparison)
    ]


def seeds_needed_text(difference: Difference) -> str:
    """Seeds of each family that would decide; a dash where it is decided."""
    needed = difference.found.seeds_needed
    if difference.verdict != "undecided" or needed is None:
        return "–" if difference.verdict != "undecided" else "at least 2"
    return "more lines" if isinf(needed) else f"about {needed:.0f}"


def number(value: float, digits: int) -> str:
    """A number, or a dash where there is none."""
    return f"{value:.{digits}f}" if isfinite(value) else "–"


def large(value: float) -> str:
    """Counts in reading size: 4,321 stays, 162,500,000 becomes 162.5 M."""
    if not isfinite(value):
        return "–"
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if value >= size:
            return f"{value / size:.4g} {unit}"
    return f"{value:,.0f}"
