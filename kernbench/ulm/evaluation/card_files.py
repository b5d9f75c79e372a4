"""Scores as files in one folder: tables (CSV), arrays (npz) and where they come from (JSON)."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kernbench.errors import DataError

Table = tuple[Sequence[str], Iterable[Iterable[Any]]]  # names of the columns, and rows of numbers and text


def write_files(
    folder: Path,
    tables: Mapping[str, Table],
    arrays: Mapping[str, Mapping[str, ArrayLike]],
    facts: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Path]:
    """Write tables, arrays and facts, in this order.

    Args:
        folder: made if it is not there.
        tables: name of a CSV file -> table.
        arrays: name of an npz file -> arrays by name, written without pickle.
        facts: name of a JSON file -> content.

    Returns:
        The files.

    Raises:
        DataError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, (header, rows) in tables.items():
            with (folder / name).open("w", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerows([header, *rows])
        for name, named in arrays.items():
            np.savez_compressed(folder / name, allow_pickle=False, **named)
        for name, content in (facts or {}).items():
            (folder / name).write_text(json.dumps(dict(content), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"scores cannot be written to {folder}: {error.strerror}") from error
    return [folder / name for name in (*tables, *arrays, *(facts or {}))]


def line_table(tolerances: Sequence[int], bubbles: ArrayLike, pressure_pa: ArrayLike, f1: ArrayLike) -> Table:
    """F1 of each line at each tolerance, beside its number of bubbles and its pressure.

    Args:
        tolerances: samples, (n_tol,).
        bubbles: (lines,).
        pressure_pa: (lines,).
        f1: (n_tol, lines).
    """
    columns = (np.asarray(bubbles).tolist(), (np.asarray(pressure_pa) / 1e3).tolist(), *np.asarray(f1).tolist())
    rows = ([line, *values] for line, values in enumerate(zip(*columns, strict=True)))
    return ["line", "bubbles", "pressure_kpa", *(f"f1_t{tolerance}" for tolerance in tolerances)], rows
