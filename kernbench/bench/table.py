"""A measured table: for the terminal, as CSV, and as Markdown between two marks of a page."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kernbench.errors import KernbenchError
from kernbench.host.files import write_whole

Value = float | int | str | None


@dataclass(frozen=True)
class BenchTable:
    """One table of a measurement.

    Attributes:
        name: for files and marks: `conv_time`.
        title: one line; says what was measured, of what size, on how many threads.
        columns: heads, units in brackets.
        rows: values; None where there is nothing to measure.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Value]]

    def column(self, head: str) -> list[Value]:
        """Values under a head."""
        place = list(self.columns).index(head)
        return [row[place] for row in self.rows]


def value_text(value: Value) -> str:
    """A value as it is printed: three significant digits, an en dash for nothing."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else value


def as_markdown(table: BenchTable) -> str:
    """The table in Markdown under its title."""
    head = "| " + " | ".join(table.columns) + " |"
    rule = "|" + "---|" * len(table.columns)
    rows = ["| " + " | ".join(value_text(value) for value in row) + " |" for row in table.rows]
    return "\n".join([table.title + ".", "", head, rule, *rows])


def write_csv(table: BenchTable, folder: Path) -> Path:
    """Write `NAME.csv` with all digits.

    Raises:
        KernbenchError: the folder cannot be written.
    """
    path = folder / f"{table.name}.csv"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(table.columns)
            writer.writerows(["" if value is None else value for value in row] for row in table.rows)
    except OSError as error:
        raise KernbenchError(f"{path} cannot be written: {error.strerror}") from error
    return path


def into_page(tables: Sequence[BenchTable], page: Path, machine: str) -> list[str]:
    """Put tables into a Markdown page, each between the lines `<!-- bench:NAME -->` and `<!-- /bench -->`.

    Args:
        tables: what to put there; those without marks in the page are left out.
        page: an existing file; what stood between the marks is replaced.
        machine: a sentence about the machine, put under each table.

    Returns:
        Names of the tables that found their place.

    Raises:
        KernbenchError: the page cannot be read or written, or a mark is not closed.
    """
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise KernbenchError(f"page {page} cannot be read: {error.strerror}") from error
    placed = []
    for table in tables:
        mark = f"<!-- bench:{table.name} -->"
        before, found, rest = text.partition(mark)
        if not found:
            continue
        _, closed, after = rest.partition("<!-- /bench -->")
        if not closed:
            raise KernbenchError(f"page {page}: {mark} is not followed by <!-- /bench -->")
        text = f"{before}{mark}\n\n{as_markdown(table)}\n\n{machine}\n\n<!-- /bench -->{after}"
        placed.append(table.name)
    if placed:
        try:
            write_whole(page, text)
        except OSError as error:
            raise KernbenchError(f"page {page} cannot be written: {error.strerror}") from error
    return placed
