"""The numbers behind the report as CSV: points, cells, lines, tolerances, curves, differences, published numbers."""

import csv
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from kernbench.host.csv_cells import Cell, cell_text
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.curves import point_scores, with_curves
from kernbench.report.numbers.lines import EDGES, line_statistics, line_tolerances, point_bins
from kernbench.report.numbers.points import TEST, Value, line_f1
from kernbench.report.numbers.provenance import provenance
from kernbench.report.numbers.published import beside
from kernbench.report.numbers.pulses import pulse_hz_of
from kernbench.report.numbers.searches import setting_text, validation_f1
from kernbench.report.numbers.tuning import chosen_interval, gain_of, lines_f1
from kernbench.report.page.line_table import write_line_table
from kernbench.report.page.order_rows import network_rows, rank_csv_rows, tau_csv_rows
from kernbench.statistics.means import Interval
from kernbench.store.reading.records import DIVERGED, OK, PRUNED, Run
from kernbench.study.columns import CSV
from kernbench.study.task import columns_shown
from kernbench.study.tuning import DRAW
from kernbench.ulm.scoring.scores import skill, tolerance_ns, tolerance_um, tolerance_wavelengths

CsvRow = dict[str, Cell]
CsvTable = tuple[Sequence[str], Iterable[Sequence[Cell]]]  # columns and rows of cells


def write_tables(comparisons: Sequence[Comparison], folder: Path) -> None:
    """Write every table, of all comparisons together; a table without rows has no file.

    Args:
        comparisons: what to write.
        folder: exists.
    """
    for name, write in TABLES.items():
        write(comparisons, _path(folder, name))


def written_tables(folder: Path) -> list[Path]:
    """The files that `write_tables` made in a folder that was new."""
    return [path for path in (_path(folder, name) for name in TABLES) if path.exists()]


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.csv"


def _environments(comparison: Comparison) -> Iterator[CsvRow]:
    """Each environment that cells ran in, with the number of its cells."""
    found = provenance(comparison.runs)
    for entries, cells in zip(found.environments, found.cells, strict=True):
        yield {"cells": cells, **entries}


def _published(comparison: Comparison) -> Iterator[CsvRow]:
    """Each published number that the study carries, with what was measured."""
    for row in beside(comparison):
        yield {**asdict(row), "difference": row.difference}


def _searches(comparison: Comparison) -> Iterator[CsvRow]:
    """Each search of a tuned study: what it spent, and the chosen draw beside the default setting."""
    for search in comparison.searches:
        chosen, default = search.chosen, search.default
        yield {
            "family": search.family,
            "point": _pairs(search.point),
            "draws": len(search.draws),
            "draws_of_family": search.budget,
            "draws_allowed": search.allowed,
            "pruned": search.count(PRUNED),
            "diverged": search.count(DIVERGED),
            "failed": len(search.draws) - sum(map(search.count, (OK, PRUNED, DIVERGED))),
            "epochs": search.epochs,
            "epochs_unpruned": search.whole_epochs,
            "seconds": search.seconds,
            "chosen_draw": chosen.params[DRAW] if chosen else None,
            "chosen_setting": setting_text(search.setting(chosen)) if chosen else "",
            "f1_validation": validation_f1(chosen) if chosen else None,
            "f1_validation_default": validation_f1(default) if default else None,
            **_interval(("f1_test", "f1_test_low", "f1_test_high"), chosen_interval(search)),
            "f1_test_default": float(lines_f1(default).mean()) if default else None,
            **_interval(("gain", "gain_low", "gain_high"), gain_of(search)),
        }


def _draws(comparison: Comparison) -> Iterator[CsvRow]:
    """Each draw of a tuned study, in order; test scores stay out of it."""
    for search in comparison.searches:
        for run, number, best in zip(search.draws, *search.best_so_far(), strict=True):
            yield {
                **_fields(run, "study", "cell", "family"),
                "point": _pairs(search.point),
                "draw": int(number),
                "status": run.status,
                "setting": setting_text(search.setting(run)),
                "f1_validation": validation_f1(run),
                "best_so_far": float(best),
                "chosen": int(run is search.chosen),
                **_fields(run, "epochs", "seconds"),
            }


def _summary(comparison: Comparison) -> Iterator[CsvRow]:
    """Each point: cells that differ in nothing but the seed."""
    for point in comparison.points:
        interval, (comb, random) = point.interval, point.floors()
        yield {
            "family": point.runs[0].family,
            "point": _pairs(point.params),
            "apart": point.apart,
            comparison.axis: point.x,
            "status": point.status,
            "seeds": len(point.scored),
            "lines": interval.lines if interval else None,
            "tolerance_samples": point.tolerance,
            **_interval(("f1_mean", "f1_low", "f1_high"), interval),
            "f1_median": float(np.median(point.f1())) if interval else None,
            "f1_validation": point.validation,
            **{f"matched_{name}": point.matched(name) for name in ("f1", "precision", "recall")},
            **{name: point.matched(name) for name in ("rmse_samples", "bias_samples")},
            "skill": point.skill,
            "floor_comb": comb,
            "floor_random": random,
            "threshold": point.mean("threshold"),
            **{column.csv or column.name: point.value(column.name) for column in columns_shown(CSV)},
            "seconds": point.mean("seconds"),
        }


def _cells(comparison: Comparison) -> Iterator[CsvRow]:
    """Each cell, finished or not."""
    for run in comparison.marked:
        yield {
            **_database(run),
            **_fields(run, "study", "cell", "family", "status", "message"),
            "f1_test": float(line_f1(run.scores[TEST], comparison.tolerance).mean()) if TEST in run.scores else None,
            **_fields(run, "threshold", "epochs", "seconds", "device", "plugin", "plugin_source"),
            "kernbench": run.kernbench_version,
            **_fields(run, "digest", "data_digest", "started"),
        }


def _layers(comparison: Comparison) -> Iterator[CsvRow]:
    """Each layer of each cell that stored its layers: sizes, gains before training, operations."""
    for run in comparison.marked:
        for layer in run.layers:
            yield {**_database(run), **_fields(run, "study", "cell", "family"), **layer}


def _database(run: Run) -> CsvRow:
    """Which database a cell is from, where there are several."""
    return {"database": run.database} if run.database else {}


def _fields(run: Run, *names: str) -> CsvRow:
    return {name: getattr(run, name) for name in names}


def _pairs(values: Mapping[str, Value]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(values.items()))


def _interval(names: Sequence[str], interval: Interval | None) -> CsvRow:
    """Mean, lower and upper end under these names; empty cells where there is no interval."""
    values = (interval.mean, interval.low, interval.high) if interval else (None, None, None)
    return dict(zip(names, values, strict=True))


def _tolerances(comparison: Comparison) -> Iterator[CsvRow]:
    """Each point and tolerance, the tolerance in samples, ns, two-way micrometres and wavelengths."""
    for point in comparison.scored:
        for t in point.tolerances:
            mean, (comb, random) = point.mean_f1(t), point.floors(t)
            yield {
                "point": point.name,
                "tolerance_samples": t,
                "tolerance_ns": float(tolerance_ns(t)),
                "tolerance_um_two_way": float(tolerance_um(t)),
                "tolerance_wavelengths_two_way": float(tolerance_wavelengths(t, pulse_hz_of(point.runs[0]))),
                "f1_mean": mean,
                "floor_comb": comb,
                "floor_random": random,
                "skill": float(skill(mean, max(comb, random))),
            }


def _curves(comparison: Comparison) -> Iterator[CsvRow]:
    """Each point and tolerance: what its precision-recall curve says of the test lines."""
    for point in with_curves(comparison.scored):
        for t in point.tolerances:
            scores = {name: float(values[t]) for name, values in point_scores(point).items()}
            yield {"point": point.name, "tolerance_samples": t, **scores}


def _line_statistics(comparison: Comparison) -> Iterator[CsvRow]:
    """The best point of each series at each tolerance: how F1 is spread over lines, and rank correlations."""
    for point, t, values in line_statistics(comparison):
        yield {"point": point.name, "tolerance_samples": t, **values}


def _bins(comparison: Comparison) -> Iterator[CsvRow]:
    """The best point of each series, tolerance and bin of bubble number or pressure."""
    for point, t, axis in itertools.product(comparison.best, line_tolerances(comparison), EDGES):
        bins = point_bins(point, axis, t)
        head: CsvRow = {"point": point.name, "tolerance_samples": t, "axis": axis}
        columns = (bins.edges, bins.edges[1:], bins.number, bins.mean) if bins else ()
        for values in zip(*(each.tolist() for each in columns), strict=False):
            yield head | dict(zip(("low", "high", "lines", "f1_mean"), values, strict=True))


def _differences(comparison: Comparison) -> Iterator[CsvRow]:
    """Each paired difference to the reference family at the same axis value."""
    for each in comparison.differences:
        yield {
            comparison.axis: each.first.x,
            "first": each.first.name,
            "second": each.second.name,
            "difference": each.found.difference,
            "low": each.found.low,
            "high": each.found.high,
            "p_holm": each.found.p_value,
            "verdict": each.verdict,
            "smallest_detectable": each.found.smallest_detectable,
            "seeds_needed": each.found.seeds_needed,
            "probability_of_superiority": each.found.probability_of_superiority,
            "superiority_low": each.found.superiority_low,
            "superiority_high": each.found.superiority_high,
            "effect_seed_sd": each.effect,
            "seeds_first": each.found.seeds[0],
            "seeds_second": each.found.seeds[1],
        }


def table_of(
    comparisons: Iterable[Comparison], make: Callable[[Comparison], Iterable[CsvRow]], *, named: bool = True
) -> CsvTable:
    """Rows as columns and cells, `named` by their comparison; a column that a row lacks is empty there."""
    rows = [{"comparison": each.base, **row} if named else row for each in comparisons for row in make(each)]
    shapes = dict.fromkeys(map(tuple, rows))  # many rows, one or two shapes
    columns = list(dict.fromkeys(itertools.chain.from_iterable(shapes)))
    text = functools.cache(cell_text)  # the same names again and again
    # only texts and NaN, which is not equal to itself, need a check
    cells = (
        [text(v) if type(v) is str else "" if v != v else v for v in map(row.get, columns)]  # noqa: PLR0124
        for row in rows
    )
    return columns, cells


def _write(
    comparisons: Sequence[Comparison],
    path: Path,
    make: Callable[[Comparison], Iterable[CsvRow]],
    *,
    named: bool = True,
) -> bool:
    """Write the table of these rows; whether there are any."""
    columns, cells = table_of(comparisons, make, named=named)
    if columns:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(map(cell_text, columns))
            writer.writerows(cells)
    return bool(columns)


TABLES: Mapping[str, Callable[[Sequence[Comparison], Path], bool]] = {
    "summary": functools.partial(_write, make=_summary),
    "cells": functools.partial(_write, make=_cells, named=False),
    "layers": functools.partial(_write, make=_layers, named=False),
    "lines": write_line_table,
    "tolerances": functools.partial(_write, make=_tolerances),
    "curves": functools.partial(_write, make=_curves),
    "line_statistics": functools.partial(_write, make=_line_statistics),
    "bins": functools.partial(_write, make=_bins),
    "differences": functools.partial(_write, make=_differences),
    "networks": functools.partial(_write, make=network_rows),
    "ranks": functools.partial(_write, make=rank_csv_rows),
    "orders": functools.partial(_write, make=tau_csv_rows),
    "searches": functools.partial(_write, make=_searches),
    "draws": functools.partial(_write, make=_draws),
    "published": functools.partial(_write, make=_published),
    "environments": functools.partial(_write, make=_environments),
}
