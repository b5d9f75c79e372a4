"""Writes records of cells as a folder of CSV files; `store.reading.exported` reads them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kernbench.errors import KernbenchError, StorageError
from kernbench.host.csv_cells import cell_text, csv_text
from kernbench.host.files import json_digest, write_whole
from kernbench.store.reading import exported
from kernbench.store.reading.records import Run
from kernbench.study.task import task

Row = Mapping[str, Any]  # Any: a text, a number, or None


def export_tables(runs: Sequence[Run], folder: Path) -> list[Path]:
    """Write records; what `read_tables` reads of them has the same numbers, to the last bit.

    Args:
        runs: at least one, with the splits and tolerances that are meant; of several storages that hold the very same
            training, the first.
        folder: is made; files of the same names in it are replaced.

    Returns:
        The files.

    Raises:
        KernbenchError: no runs, or two trainings of one cell.
        StorageError: a file cannot be written.
    """
    if not runs:
        raise KernbenchError("no cell to export")
    runs = once(runs)
    values = list(exported.value_columns())
    facts = [fact.name for fact in task().line_facts]
    floors = [floor.name for floor in task().floors]
    known = {run.data_digest: run.lines for run in runs if run.lines is not None}
    tables: dict[str, tuple[Sequence[str], Iterable[Row]]] = {
        exported.STUDIES: (exported.COLUMNS[exported.STUDIES], _studies(runs)),
        exported.CELLS: ((*exported.COLUMNS[exported.CELLS], *exported.OPTIONAL, *values), map(_cell, runs)),
        exported.SCORES: (exported.COLUMNS[exported.SCORES], (row for run in runs for row in _scores(run))),
        exported.LINES: (
            ("data_digest", "line", *facts),
            (row for digest, info in known.items() for row in _transposed(digest, "line", info.facts)),
        ),
        exported.FLOORS: (
            ("data_digest", "tolerance", *floors),
            (row for digest, info in known.items() for row in _transposed(digest, "tolerance", info.floors)),
        ),
        exported.MACHINES: (exported.COLUMNS[exported.MACHINES], _machines(runs)),
    }
    texts = {folder / name: _text(*table) for name, table in tables.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            write_whole(path, text)
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror or error}") from error
    return list(texts)


def once(runs: Iterable[Run]) -> list[Run]:
    """The runs without copies of the same training."""
    found: dict[tuple[str, str], Run] = {}
    for run in runs:
        other = found.setdefault((run.study, run.cell), run)
        if (other.started, other.status, other.digest) != (run.started, run.status, run.digest):
            raise KernbenchError(
                f"two of the storages hold the same cell, trained twice: {run.study}, {run.cell} (begun "
                f"{other.started} and {run.started}); export them into folders of their own"
            )
    return list(found.values())


def _studies(runs: Iterable[Run]) -> Iterable[Row]:
    # a cell that failed knows less of its study than one that is finished
    first = {run.study: run for run in sorted(runs, key=lambda run: not run.settings_digest)}
    for run in [first[study] for study in sorted(first)]:
        plain = {name: getattr(run, name) for name in exported.OF_STUDY}
        references = _json([row.as_json() for row in run.references])
        yield plain | {"definition": _json(run.definition), "references": references}


def _cell(run: Run) -> Row:
    plain = {name: getattr(run, name) for name in (*exported.TEXTS, *exported.NUMBERS, *exported.OPTIONAL)}
    of_json = {name: _json(getattr(run, name)) for name in exported.JSON}
    machine = json_digest(run.environment) if run.environment else ""
    return {**plain, **of_json, "machine": machine, **dict.fromkeys(exported.value_columns()), **run.values}


def _scores(run: Run) -> Iterable[Row]:
    for split, scores in sorted(run.scores.items()):
        for at, tolerance in enumerate(scores.tolerances.tolist()):
            counts = {name: " ".join(map(str, getattr(scores, name)[at].tolist())) for name in ("tp", "fp", "fn")}
            about = {"study": run.study, "cell": run.cell, "split": split, "tolerance": tolerance}
            yield {**about, "threshold": float(scores.thresholds[at]), **counts}


def _transposed(digest: str, order: str, columns: Mapping[str, Any]) -> Iterable[Row]:
    """Rows of arrays of one length; Any: arrays of several types."""
    for at, values in enumerate(zip(*(column.tolist() for column in columns.values()), strict=True)):
        yield {"data_digest": digest, order: at, **dict(zip(columns, values, strict=True))}


def _machines(runs: Iterable[Run]) -> Iterable[Row]:
    content = {json_digest(run.environment): run.environment for run in runs if run.environment}
    return [{"machine": digest, "content": _json(content[digest])} for digest in sorted(content)]


def _json(content: Any) -> str:  # Any: JSON
    return json.dumps(content, separators=(",", ":"))


def _text(columns: Sequence[str], rows: Iterable[Row]) -> str:
    return csv_text([list(columns), *([_field(row[name]) for name in columns] for row in rows)], end="\n")


def _field(value: str | float | None) -> str:
    """A number with all its digits; empty where there is none."""
    if isinstance(value, str):
        return cell_text(value)
    return "" if value is None else repr(value)
