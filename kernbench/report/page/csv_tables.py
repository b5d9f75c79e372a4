"""The numbers behind the report as CSV: points, cells, lines, tolerances, curves, differences, published numbers."""

import csv
import functools
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.curves import point_scores, with_curves
from kernbench.report.numbers.lines import EDGES, line_statistics, line_tolerances, point_bins
from kernbench.report.numbers.points import TEST, Point, line_f1
from kernbench.report.numbers.provenance import provenance
from kernbench.report.numbers.published import beside
from kernbench.report.numbers.searches import Search, setting_text, validation_f1
from kernbench.report.numbers.tuning import gain_of, lines_f1
from kernbench.statistics.intervals import bootstrap_mean
from kernbench.store.reading.records import DIVERGED, OK, PRUNED, LineInfo
from kernbench.study.columns import CSV
from kernbench.study.task import columns_shown, task
from kernbench.study.tuning import DRAW
from kernbench.ulm.scoring.scores import skill, tolerance_ns, tolerance_um, tolerance_wavelengths

Cell = str | int | float | None
CsvRow = dict[str, Cell]
CsvTable = tuple[Sequence[str], Iterable[Sequence[Cell]]]  # columns and rows of cells
Floats = NDArray[np.float64]


def write_tables(comparisons: Sequence[Comparison], folder: Path) -> list[Path]:
    """Write every table, of all comparisons together, with the comparison as first column.

    Args:
        comparisons: what to write.
        folder: exists.

    Returns:
        The files.
    """
    tables: dict[str, CsvTable] = {
        "summary": _table(row for each in comparisons for row in summary_rows(each)),
        "cells": _table(row for each in comparisons for row in cell_rows(each)),
        "lines": line_table(comparisons),
        "tolerances": _table(row for each in comparisons for row in tolerance_rows(each)),
        "curves": _table(row for each in comparisons for row in curve_rows(each)),
        "line_statistics": _table(row for each in comparisons for row in line_statistic_rows(each)),
        "bins": _table(row for each in comparisons for row in bin_rows(each)),
        "differences": _table(row for each in comparisons for row in difference_rows(each)),
        "searches": _table(row for each in comparisons for row in search_rows(each)),
        "draws": _table(row for each in comparisons for row in draw_rows(each)),
        "published": _table(row for each in comparisons for row in published_rows(each)),
        "environments": _table(row for each in comparisons for row in environment_rows(each)),
    }
    return [_write(*table, folder / f"{name}.csv") for name, table in tables.items() if table[0]]


def environment_rows(comparison: Comparison) -> list[CsvRow]:
    """One row for each environment that cells ran in, with the number of its cells."""
    found = provenance(comparison.runs)
    return [
        {"comparison": comparison.base, "cells": cells, **entries}
        for entries, cells in zip(found.environments, found.cells, strict=True)
    ]


def published_rows(comparison: Comparison) -> list[CsvRow]:
    """One row for each published number that the study carries, with what was measured."""
    return [
        {"comparison": comparison.base} | asdict(row) | {"difference": row.difference} for row in beside(comparison)
    ]


def search_rows(comparison: Comparison) -> list[CsvRow]:
    """One row for each search of a tuned study: what it spent, and the chosen draw beside the default setting."""
    return [_search_row(comparison, search) for search in comparison.searches]


def _search_row(comparison: Comparison, search: Search) -> CsvRow:
    chosen, default = search.chosen, search.default
    gain = gain_of(search)
    test = None if chosen is None else bootstrap_mean(lines_f1(chosen))
    return {
        "comparison": comparison.base,
        "family": search.family,
        "point": ", ".join(f"{name}={value}" for name, value in sorted(search.point.items())),
        "draws": len(search.draws),
        "draws_of_family": search.budget,
        "draws_allowed": search.allowed,
        "pruned": search.count(PRUNED),
        "diverged": search.count(DIVERGED),
        "failed": len(search.draws) - sum(map(search.count, (OK, PRUNED, DIVERGED))),
        "epochs": search.epochs,
        "epochs_unpruned": search.whole_epochs,
        "seconds": search.seconds,
        "chosen_draw": None if chosen is None else chosen.params[DRAW],
        "chosen_setting": "" if chosen is None else setting_text(search.setting(chosen)),
        "f1_validation": None if chosen is None else validation_f1(chosen),
        "f1_validation_default": None if default is None else validation_f1(default),
        "f1_test": test.mean if test else None,
        "f1_test_low": test.low if test else None,
        "f1_test_high": test.high if test else None,
        "f1_test_default": None if default is None else float(lines_f1(default).mean()),
        "gain": gain.mean if gain else None,
        "gain_low": gain.low if gain else None,
        "gain_high": gain.high if gain else None,
    }


def draw_rows(comparison: Comparison) -> list[CsvRow]:
    """One row for each draw of a tuned study, in order; test scores stay out of it."""
    return [
        {
            "comparison": comparison.base,
            "study": run.study,
            "cell": run.cell,
            "family": run.family,
            "point": ", ".join(f"{name}={value}" for name, value in sorted(search.point.items())),
            "draw": int(number),
            "status": run.status,
            "setting": setting_text(search.setting(run)),
            "f1_validation": validation_f1(run),
            "best_so_far": float(best) if math.isfinite(best) else None,
            "chosen": int(run is search.chosen),
            "epochs": run.epochs,
            "seconds": run.seconds,
        }
        for search in comparison.searches
        for run, number, best in zip(search.draws, *search.best_so_far(), strict=True)
    ]


def summary_rows(comparison: Comparison) -> list[CsvRow]:
    """One row for each point: cells that differ in nothing but the seed."""
    return [_summary_row(comparison, point) for point in comparison.points]


def _summary_row(comparison: Comparison, point: Point) -> CsvRow:
    interval, (comb, random) = point.interval, point.floors()
    return {
        "comparison": comparison.base,
        "family": point.runs[0].family,
        "parameters": ", ".join(f"{name}={value}" for name, value in sorted(point.params.items())),
        comparison.axis: point.x,
        "status": point.status,
        "seeds": len(point.scored),
        "lines": interval.lines if interval else None,
        "tolerance_samples": point.tolerance,
        "f1_mean": interval.mean if interval else None,
        "f1_low": interval.low if interval else None,
        "f1_high": interval.high if interval else None,
        "f1_median": float(np.median(point.f1())) if interval else None,
        "f1_validation": point.validation,
        "matched_f1": point.matched("f1"),
        "matched_precision": point.matched("precision"),
        "matched_recall": point.matched("recall"),
        "rmse_samples": point.matched("rmse_samples"),
        "bias_samples": point.matched("bias_samples"),
        "skill": point.skill,
        "floor_comb": comb,
        "floor_random": random,
        "threshold": point.mean("threshold"),
        **{column.csv_name: point.value(column.name) for column in columns_shown(CSV)},
        "seconds": point.mean("seconds"),
    }


def cell_rows(comparison: Comparison) -> list[CsvRow]:
    """One row for each cell, finished or not."""
    rows: list[CsvRow] = []
    for run in comparison.runs:
        scored = TEST in run.scores
        mean = float(line_f1(run.scores[TEST], comparison.tolerance).mean()) if scored else None
        rows.append(
            {
                "study": run.study,
                "cell": run.cell,
                "family": run.family,
                "status": run.status,
                "message": run.message,
                "f1_test": mean,
                "threshold": run.threshold,
                "epochs": run.epochs,
                "seconds": run.seconds,
                "device": run.device,
                "plugin": run.plugin,
                "plugin_source": run.plugin_source,
                "kernbench": run.kernbench_version,
                "digest": run.digest,
                "data_digest": run.data_digest,
                "started": run.started,
            }
        )
    return rows


def line_table(comparisons: Sequence[Comparison]) -> CsvTable:
    """One row for each cell and test line, at the headline tolerance; hundreds of thousands, so no record for each."""
    points = [point for comparison in comparisons for point in comparison.scored]
    if not points:
        return [], []
    known = any(run.lines is not None for point in points for run in point.scored)
    return ["study", "cell", "line", "f1", *(fact.name for fact in task().line_facts if known)], _line_cells(
        points, known
    )


def _line_cells(points: Iterable[Point], known: bool) -> Iterator[tuple[Cell, ...]]:
    blank = itertools.repeat("")
    facts: dict[int, list[Iterable[Cell]]] = {id(None): [blank for _ in task().line_facts] if known else []}
    for point in points:
        for run, f1 in zip(point.scored, point.f1(), strict=True):
            if id(run.lines) not in facts:  # one record for all cells of a study
                facts[id(run.lines)] = _known_of_lines(run.lines)
            head = itertools.repeat(_text(run.study)), itertools.repeat(_text(run.cell))
            yield from zip(*head, itertools.count(), _numbers(f1), *facts[id(run.lines)], strict=False)


def _known_of_lines(lines: LineInfo | None) -> list[Iterable[Cell]]:
    assert lines is not None
    # broken numbers are made texts once, not in every cell
    return [
        lines.facts[fact.name].tolist() if fact.whole else [str(value) for value in _numbers(lines.facts[fact.name])]
        for fact in task().line_facts
    ]


def _numbers(values: Floats) -> list[Cell]:
    """Numbers as cells, NaN as an empty one."""
    return ["" if math.isnan(value) else value for value in np.asarray(values, np.float64).tolist()]


def tolerance_rows(comparison: Comparison) -> list[CsvRow]:
    """One row for each point and tolerance, the tolerance in samples, ns, two-way micrometres and wavelengths."""
    rows: list[CsvRow] = []
    for point in comparison.scored:
        for t in np.asarray(point.scored[0].scores[TEST].tolerances).tolist():
            mean, (comb, random) = float(point.f1(t).mean()), point.floors(t)
            rows.append(
                {
                    "comparison": comparison.base,
                    "point": point.name,
                    "tolerance_samples": t,
                    "tolerance_ns": float(tolerance_ns(t)),
                    "tolerance_um_two_way": float(tolerance_um(t)),
                    "tolerance_wavelengths_two_way": float(tolerance_wavelengths(t)),
                    "f1_mean": mean,
                    "floor_comb": comb,
                    "floor_random": random,
                    "skill": float(skill(mean, max(comb, random))),
                }
            )
    return rows


def curve_rows(comparison: Comparison) -> list[CsvRow]:
    """One row for each point and tolerance: what its precision-recall curve says of the test lines."""
    rows: list[CsvRow] = []
    for point in with_curves(comparison.scored):
        for t in np.asarray(point.scored[0].scores[TEST].tolerances).tolist():
            found = point_scores(point, t)
            if found is not None:
                rows.append(
                    {"comparison": comparison.base, "point": point.name, "tolerance_samples": t} | asdict(found)
                )
    return rows


def line_statistic_rows(comparison: Comparison) -> list[CsvRow]:
    """One row for the best point of each series and tolerance: how F1 is spread over lines, and rank correlations."""
    return [
        {"comparison": comparison.base, "point": each.point, "tolerance_samples": each.tolerance, **each.values}
        for each in line_statistics(comparison)
    ]


def bin_rows(comparison: Comparison) -> list[CsvRow]:
    """One row for the best point of each series, tolerance and bin of bubble number or pressure."""
    rows: list[CsvRow] = []
    points = [series.best for series in comparison.series if series.best is not None]
    for point, t, axis in itertools.product(points, line_tolerances(comparison), EDGES):
        bins = point_bins(point, axis, t)
        if bins is not None:
            head: CsvRow = {"comparison": comparison.base, "point": point.name, "tolerance_samples": t, "axis": axis}
            columns = zip(
                *(each.tolist() for each in (bins.edges, bins.edges[1:], bins.number, bins.mean)), strict=False
            )
            rows += [
                head | {"low": low, "high": high, "lines": lines, "f1_mean": mean} for low, high, lines, mean in columns
            ]
    return rows


def difference_rows(comparison: Comparison) -> list[CsvRow]:
    """One row for each paired difference to the reference family at the same axis value."""
    return [
        {
            "comparison": comparison.base,
            comparison.axis: each.first.x,
            "first": each.first.name,
            "second": each.second.name,
            "difference": each.interval.mean,
            "low": each.interval.low,
            "high": each.interval.high,
        }
        for each in comparison.differences
    ]


def _table(rows: Iterable[CsvRow]) -> CsvTable:
    """Rows as columns and cells; a column that a row lacks is empty there."""
    rows = list(rows)
    shapes = dict.fromkeys(map(tuple, rows))  # many rows, one or two shapes
    columns = list(dict.fromkeys(itertools.chain.from_iterable(shapes)))
    text = functools.cache(_text)  # the same names again and again
    # only texts and NaN, which is not equal to itself, need a look
    cells = (
        [text(v) if type(v) is str else "" if v != v else v for v in map(row.get, columns)]  # noqa: PLR0124
        for row in rows
    )
    return columns, cells


def _write(columns: Sequence[str], cells: Iterable[Sequence[Cell]], path: Path) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(map(_text, columns))
        writer.writerows(cells)
    return path


def _text(value: str) -> str:
    """A text as a cell of a CSV file: a spreadsheet would run a name that starts like a formula."""
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
