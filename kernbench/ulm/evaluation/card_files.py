"""Scores as files in one folder: tables (CSV), arrays (npz) and where they come from (JSON)."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kernbench.errors import DataError


@dataclass(frozen=True, eq=False)
class Table:
    """A table for one CSV file.

    Attributes:
        header: names of the columns.
        rows: numbers and text.
    """

    header: Sequence[str]
    rows: Iterable[Iterable[Any]]


@dataclass(frozen=True, eq=False)
class ScoreFiles:
    """What one metric leaves.

    Attributes:
        tables: file name -> table.
        arrays: file name -> arrays by name, written without pickle.
        facts: file name -> JSON content.
    """

    tables: Mapping[str, Table]
    arrays: Mapping[str, Mapping[str, ArrayLike]]
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def write_files(files: ScoreFiles, folder: Path) -> list[Path]:
    """Write tables, arrays and facts, in this order, into a folder that is made if it is not there.

    Returns:
        The files.

    Raises:
        DataError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in files.tables.items():
            _write_csv(folder / name, table)
        for name, arrays in files.arrays.items():
            np.savez_compressed(folder / name, allow_pickle=False, **arrays)
        for name, content in files.facts.items():
            (folder / name).write_text(json.dumps(dict(content), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"scores cannot be written to {folder}: {error.strerror}") from error
    return [folder / name for name in (*files.tables, *files.arrays, *files.facts)]


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
    return Table(["line", "bubbles", "pressure_kpa", *(f"f1_t{tolerance}" for tolerance in tolerances)], rows)


def _write_csv(path: Path, table: Table) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table.header)
        writer.writerows(table.rows)
