"""Rows of analyses as CSV files beside the artifacts of a database: written cell by cell, read by the page."""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from kernbench.errors import DataError, StorageError
from kernbench.host.files import sha256_of_file, write_whole
from kernbench.report.analyses.analysis import CELL_COLUMNS, Analysis, Row, Rows, Value
from kernbench.store.files.artifact_entries import analysis_file
from kernbench.store.reading.records import Run


def folder_beside(run: Run) -> Path | None:
    """Artifacts of the database of a cell, with the analyses among them; None where the cell has none."""
    first = next(iter(run.artifacts.values()), None)
    return None if first is None else first.parent


def cell_columns(run: Run) -> dict[str, Value]:
    """What every row about a cell begins with, see `CELL_COLUMNS`."""
    definition = run.definition.get("network", {})
    size = run.params.get("kernel_size", run.network.get("kernel_size", definition.get("kernel_size")))
    known = (run.study, run.cell, run.family, size, run.params.get("seed"), run.started)
    return dict(zip(CELL_COLUMNS, known, strict=True))


def store(analysis: Analysis, folder: Path, rows: Rows) -> list[Path]:
    """Write the rows of some cells, in place of what was known of these very cells; of others the rows stay.

    Args:
        analysis: whose rows they are.
        folder: of the artifacts; the folder of analyses in it is made if missing.
        rows: of each table, with the columns of their cells.

    Raises:
        StorageError: the folder cannot be written.
        DataError: what is there cannot be read.
    """
    written = []
    measured = {(str(row["study"]), str(row["cell"])) for table in rows.values() for row in table}
    for table, columns in analysis.tables.items():
        for study in sorted({study for study, _ in measured}):
            path = analysis_file(folder, study, table)
            kept = [row for row in _read(path) if (row["study"], row["cell"]) not in measured]
            new = [row for row in rows.get(table, ()) if row["study"] == study]
            write_rows(path, [*CELL_COLUMNS, *columns], [*kept, *new])
            written.append(path)
    return written


def stored(analysis: Analysis, runs: Iterable[Run]) -> dict[str, list[Row]]:
    """Rows about these runs as they are now; those of a cell that was run again since are left out.

    Numbers are numbers again.

    Raises:
        DataError: a file is there but cannot be read.
    """
    wanted = {(run.study, run.cell, run.started): run for run in runs}
    places = {(folder, run.study): None for run in wanted.values() if (folder := folder_beside(run)) is not None}
    found: dict[str, list[Row]] = {table: [] for table in analysis.tables}
    for table in analysis.tables:
        for folder, study in places:
            rows = _read(analysis_file(folder, study, table))
            found[table] += [_typed(row) for row in rows if (row["study"], row["cell"], row["started"]) in wanted]
    return found


def checksums(analyses: Iterable[Analysis], runs: Iterable[Run]) -> list[str]:
    """Of the files that a page about these runs shows, so that new results make a new page."""
    places = {(folder, run.study) for run in runs if (folder := folder_beside(run)) is not None}
    files = {analysis_file(*place, table) for place in places for each in analyses for table in each.tables}
    return sorted(sha256_of_file(path) for path in files if path.is_file())


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Write a table, completely or not; a missing value is an empty field.

    Raises:
        StorageError: the file cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_text(row.get(name)) for name in columns] for row in rows)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.getvalue())
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error


def _text(value: Value) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.9g}"
    return "" if value is None else str(value)


def _read(path: Path) -> list[Mapping[str, str]]:
    """Rows of a file; none where there is no file."""
    try:
        if not path.is_file():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if lacking := set(CELL_COLUMNS) - set(reader.fieldnames or ()):
                raise DataError(f"{path} lacks the column {min(lacking)}; remove it and give the command again")
            rows: list[Mapping[str, str]] = list(reader)
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if any(None in row or None in row.values() for row in rows):
        raise DataError(f"{path} has rows of another length than its header; remove it and give the command again")
    return rows


def _typed(row: Mapping[str, str]) -> dict[str, Value]:
    return {
        name: text if name in ("study", "cell", "family", "started") else _number(text) for name, text in row.items()
    }


def _number(text: str) -> Value:
    """A number, None where there is nothing, or the text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text or None
