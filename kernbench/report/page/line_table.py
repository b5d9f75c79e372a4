"""The table of all test lines: a row for each cell and line, millions of them, so no record and no writer for each."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from kernbench.host.csv_cells import END, csv_line
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.points import Point
from kernbench.store.reading.records import LineInfo
from kernbench.study.columns import Fact
from kernbench.study.task import task


def write_line_table(comparisons: Sequence[Comparison], path: Path) -> bool:
    """Write F1 of every cell and test line at the headline tolerance, with what is known of the line.

    Returns:
        Whether there was anything to write.
    """
    points = [point for comparison in comparisons for point in comparison.scored]
    if not points:
        return False
    known = any(run.lines is not None for point in points for run in point.scored)
    facts = task().line_facts if known else []
    databases = ["database"] if points[0].scored[0].database else []
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(csv_line([*databases, "study", "cell", "line", "f1", *(fact.name for fact in facts)]))
        file.writelines(_cells(points, facts))
    return True


def _cells(points: Sequence[Point], facts: Sequence[Fact]) -> Iterator[str]:
    """The rows of one cell after another, as text: a row is its cell, its line, its F1, and the facts of the line."""
    ends: dict[tuple[int, int], list[str]] = {}
    for point in points:
        for run, f1 in zip(point.scored, point.f1(), strict=True):
            key = id(run.lines), len(f1)  # one record for all cells of a study
            if key not in ends:
                ends[key] = _line_ends(run.lines, facts, len(f1))
            names = [run.database] if run.database else []
            head = csv_line([*names, run.study, run.cell, ""]).removesuffix(END)
            yield "".join(
                [
                    f"{head}{line},{'' if math.isnan(value) else value}{end}"
                    for line, (value, end) in enumerate(zip(f1.tolist(), ends[key], strict=True))
                ]
            )


def _line_ends(lines: LineInfo | None, facts: Sequence[Fact], count: int) -> list[str]:
    """Facts of each line, as the rows of every cell end; empty cells where nothing is known."""
    if lines is None:
        return [f"{',' * len(facts)}{END}"] * count
    columns = [
        [str(value) for value in lines.facts[fact.name].tolist()] if fact.whole else _numbers(lines.facts[fact.name])
        for fact in facts
    ]
    known = ["".join(f",{text}" for text in row) + END for row in zip(*columns, strict=True)]
    return [*known, *[f"{',' * len(facts)}{END}"] * count][:count]


def _numbers(values: np.ndarray) -> list[str]:
    return ["" if math.isnan(value) else str(value) for value in np.asarray(values, np.float64).tolist()]
