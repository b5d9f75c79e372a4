"""What the analyses share that have a row for each layer: groups of rows, and medians as text."""

import itertools
from collections.abc import Sequence

import numpy as np

from kernbench.report.analyses.analysis import Row, Rows, Value
from kernbench.study.selection import values_of

APART = ("name", "pulse")  # axes
START, TRAINED = STAGES = ("start", "trained")


def kept_apart(rows: Rows) -> Rows:
    """Rows as they are shown: where cells are of several networks or pulses, the names of families say of which.

    Tables and figures group by family, size and layer, and what is of another kind must not share a median.
    """
    kinds = {_kind(row) for table in rows.values() for row in table}
    if len(kinds) < 2:
        return rows
    return {table: [_with_kind(row) for row in each] for table, each in rows.items()}


def _kind(row: Row) -> str:
    values = values_of(str(row["cell"]))
    return ", ".join(str(values[name]) for name in APART if name in values)


def _with_kind(row: Row) -> Row:
    kind = _kind(row)
    named = [name for name in ("family", "fitted") if kind and row.get(name) is not None]
    return {**row, **{name: f"{row[name]}, {kind}" for name in named}}


def grouped(rows: Sequence[Row], *names: str) -> list[tuple[tuple[str, ...], list[Row]]]:
    """Rows with the same values under some names, these values as text; in the order of the values."""

    def place(row: Row) -> tuple[tuple[bool, float, str], ...]:
        return tuple(_order(row.get(name)) for name in names)

    groups = itertools.groupby(sorted(rows, key=place), key=place)
    return [(tuple(word(first.get(name)) for name in names), [first, *others]) for _, (first, *others) in groups]


def numbers(rows: Sequence[Row], name: str) -> list[float]:
    """The finite numbers under a name."""
    found = [float(value) for row in rows if isinstance(value := row.get(name), int | float)]
    return [value for value in found if np.isfinite(value)]


def median_text(rows: Sequence[Row], name: str, *, percent: bool = False) -> str:
    """Median of a column over rows, three digits; lowest and highest in brackets where they differ from it in these."""
    values = numbers(rows, name)
    if not values:
        return "–"
    low, middle, high = (_digits(value, percent) for value in (min(values), float(np.median(values)), max(values)))
    unit = " %" if percent else ""
    return f"{middle}{unit}" if low == high else f"{middle}{unit} [{low}, {high}]"


def _order(value: Value) -> tuple[bool, float, str]:
    return (False, float(value), "") if isinstance(value, int | float) else (True, 0.0, str(value or ""))


def word(value: Value) -> str:
    """A value as text; empty where there is none."""
    return "" if value is None else str(value)


def _digits(value: float, percent: bool) -> str:
    return f"{100 * value:.1f}" if percent else f"{value:.3g}"
