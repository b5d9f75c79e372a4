"""Cells of a CSV file: what a spreadsheet must not run, and lines made of them."""

import csv
import io
from collections.abc import Iterable, Sequence

Cell = str | int | float | None

END = "\r\n"  # as RFC 4180 has it, and Python's writer


def cell_text(value: str) -> str:
    """A text as a cell of a CSV file: a spreadsheet would run a name that starts like a formula."""
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def text_of_cell(cell: str) -> str:
    """The text that `cell_text` wrote."""
    return cell[1:] if cell.startswith("'") and cell_text(cell[1:]) == cell else cell


def csv_line(texts: Sequence[str]) -> str:
    """One line of texts, with its end."""
    return csv_text([map(cell_text, texts)])


def csv_text(rows: Iterable[Iterable[Cell]], end: str = END) -> str:
    """Rows as text; their texts are safe already, see `cell_text`."""
    file = io.StringIO()
    csv.writer(file, lineterminator=end).writerows(rows)
    return file.getvalue()
