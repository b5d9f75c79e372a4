"""Records of cells as a folder of CSV files, which can be published, read without kernbench, and reported again."""

import collections
import csv
import io
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernbench.errors import StorageError, close_match, first_line
from kernbench.host.csv_cells import text_of_cell
from kernbench.store.reading.records import OK, LineInfo, Run, Scores
from kernbench.study.reference import from_json
from kernbench.study.task import task

STUDIES, CELLS, SCORES, LINES, FLOORS, MACHINES = (
    f"{name}.csv" for name in ("studies", "cells", "scores", "lines", "floors", "machines")
)
# fields of a record, by how they are written; what a cell drew and where its files lie is left out
OF_STUDY = ("study", "base", "family", "question", "note", "settings_digest", "definition", "references")
OF_MACHINE = ("plugin", "plugin_source", "kernbench_version", "device", "started")
TEXTS: Sequence[str] = ("study", "cell", "status", "digest", "data_digest", "message", *OF_MACHINE)
NUMBERS: Mapping[str, Callable[[str], Any]] = {"tolerance": int, "threshold": float, "seconds": float, "epochs": int}
JSON: Mapping[str, type | tuple[type, ...]] = {
    "params": dict,
    "network": dict,
    "matched": dict,
    "plateau": (bool, type(None)),
    "layers": list,
}
OPTIONAL: Mapping[str, Callable[[str], Any]] = {"trained_as": str, "own_seconds": float}  # older folders lack them
COLUMNS = {
    STUDIES: OF_STUDY,
    CELLS: (*TEXTS, *NUMBERS, *JSON, "machine"),
    SCORES: ("study", "cell", "split", "tolerance", "threshold", "tp", "fp", "fn"),
    MACHINES: ("machine", "content"),
}

TEST = "test"  # the split whose lines and floors are known

Row = Mapping[str, str]


def value_columns() -> dict[str, type]:
    """Numbers of a cell that the task declares, and whether they are whole."""
    return {column.name: int if column.whole else float for column in task().columns}


def read_tables(folder: Path) -> list[Run]:
    """Every cell of the folder.

    Args:
        folder: that `kernbench storage export` wrote.

    Raises:
        StorageError: a file is missing, or a row cannot be read.
    """
    studies = {row["study"]: row for row in _rows(folder, STUDIES)}
    machines = {row["machine"]: row["content"] for row in _rows(folder, MACHINES)}
    lines = _line_infos(folder)
    scores: dict[tuple[str, str], dict[str, list[Row]]] = {}
    for row in _rows(folder, SCORES):
        scores.setdefault((row["study"], row["cell"]), {}).setdefault(row["split"], []).append(row)
    rows = list(_rows(folder, CELLS, value_columns()))
    asked = {study: sum(row["study"] == study for row in rows) for study in studies}

    def run(row: Row) -> Run:
        study = _known(studies, row["study"], "study")
        of_cell = scores.get((row["study"], row["cell"]), {})
        fields: dict[str, Any] = {**_of_study(study), **{name: row[name] for name in TEXTS}}
        fields |= {name: _number(kind, row[name]) for name, kind in NUMBERS.items()}
        fields |= {name: _parsed(row[name], kind) for name, kind in JSON.items()}
        fields |= {name: kind(row[name]) for name, kind in OPTIONAL.items() if row.get(name)}
        return Run(
            **fields | {"layers": tuple(fields["layers"])},
            values={name: _number(kind, row[name]) for name, kind in value_columns().items()},
            environment=_parsed(_known(machines, row["machine"], "machine"), dict) if row["machine"] else {},
            scores={split: _scores(each) for split, each in of_cell.items()},
            lines=lines.get(row["data_digest"]) if of_cell else None,
            asked=asked[row["study"]],
        )

    runs = [_explained(run, row, folder / CELLS) for row in rows]
    if problem := _misfit(runs, scores.keys()):
        raise StorageError(f"{folder}: {problem}; a file was cut, or is of another export: take the folder again")
    return runs


def _misfit(runs: Sequence[Run], scored: Collection[tuple[str, str]]) -> str:
    """What does not fit together in files that can each be read; empty if nothing."""
    cells = collections.Counter((run.study, run.cell) for run in runs)
    if several := [cell for (_, cell), number in cells.items() if number > 1]:
        return f"{CELLS} has cell {several[0]} more than once"
    if lacking := [cell for study, cell in scored if (study, cell) not in cells]:
        return f"{SCORES} has cell {lacking[0]}, which {CELLS} lacks"
    spans: dict[str, dict[str, list[int]]] = {}  # tolerances of each split: the cells of a study were scored alike
    for run in runs:
        found = {split: scores.tolerances.tolist() for split, scores in run.scores.items()}
        if found and found != spans.setdefault(run.study, found):
            return f"{SCORES} has cell {run.cell} at other tolerances or splits than the first of its study"
        if any(len(set(each)) < len(each) for each in found.values()):
            return f"{SCORES} has a tolerance of cell {run.cell} more than once"
        if run.status == OK and (problem := _lacking(run)):
            return f"cell {run.cell} is finished, and {problem}"
    return ""


def _lacking(run: Run) -> str:
    """What the files lack of a finished cell; empty if nothing."""
    if TEST not in run.scores or run.tolerance not in run.scores[TEST].tolerances:
        return f"{SCORES} lacks its test lines at its tolerance, {run.tolerance}"
    if run.lines is None:
        return f"{LINES} or {FLOORS} lacks its data digest, {run.data_digest}"
    lines = run.scores[TEST].tp.shape[1]
    if any(len(values) != lines for values in run.lines.facts.values()):
        return f"{SCORES} has {lines} test lines of it, {LINES} another number"
    if any(len(values) <= run.tolerance for values in run.lines.floors.values()):
        return f"{FLOORS} ends before its tolerance, {run.tolerance}"
    return ""


def _of_study(row: Row) -> dict[str, Any]:
    """Fields that all cells of a study share; Any: of several types."""
    parsed = {name: _parsed(row[name], kind) for name, kind in (("definition", dict), ("references", list))}
    plain = {name: row[name] for name in OF_STUDY if name not in (*parsed, "study")}
    return plain | parsed | {"references": tuple(map(from_json, parsed["references"]))}


def _parsed(text: str, kind: type | tuple[type, ...]) -> Any:
    """JSON of a kind; Any: JSON."""
    found = json.loads(text)
    if not isinstance(found, kind):
        raise ValueError(f"expected JSON of another kind, got {text[:40]!r}")  # damage like any other
    return found


def _scores(rows: Sequence[Row]) -> Scores:
    rows = sorted(rows, key=lambda row: int(row["tolerance"]))
    tp, fp, fn = (np.stack([_whole(row[name]) for row in rows]) for name in ("tp", "fp", "fn"))
    if not tp.shape == fp.shape == fn.shape:
        raise ValueError(f"tp, fp and fn have {tp.shape[1]}, {fp.shape[1]} and {fn.shape[1]} lines")
    thresholds = np.array([float(row["threshold"]) for row in rows])
    return Scores(np.array([int(row["tolerance"]) for row in rows]), tp, fp, fn, thresholds)


def _whole(text: str) -> NDArray[np.int64]:
    return np.array(text.split(), np.int64)


def _line_infos(folder: Path) -> dict[str, LineInfo]:
    facts = {fact.name: int if fact.whole else float for fact in task().line_facts}
    floors = dict.fromkeys((floor.name for floor in task().floors), float)
    found: list[dict[str, dict[str, NDArray[Any]]]] = []
    for file, columns, order in ((LINES, facts, "line"), (FLOORS, floors, "tolerance")):
        groups: dict[str, list[Row]] = {}
        for row in _rows(folder, file, ["data_digest", order, *columns]):
            groups.setdefault(row["data_digest"], []).append(row)
        found.append(
            {digest: _explained(_columns(columns, order), each, folder / file) for digest, each in groups.items()}
        )
    of_lines, of_floors = found
    return {digest: LineInfo(each, of_floors[digest]) for digest, each in of_lines.items() if digest in of_floors}


def _columns(kinds: Mapping[str, type], order: str) -> Callable[[Sequence[Row]], dict[str, NDArray[Any]]]:
    def columns(rows: Sequence[Row]) -> dict[str, NDArray[Any]]:
        rows = sorted(rows, key=lambda row: int(row[order]))
        if [int(row[order]) for row in rows] != list(range(len(rows))):
            raise ValueError(f"column {order} expected 0, 1, 2, ..., each of them once")
        return {name: np.array([kind(row[name]) for row in rows]) for name, kind in kinds.items()}

    return columns


def _rows(folder: Path, name: str, more: Iterable[str] = ()) -> list[Row]:
    """Rows of a file, each with all of its columns."""
    path, wanted = folder / name, [*COLUMNS.get(name, ()), *more]
    try:
        text = path.read_text(encoding="utf-8")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        rows: list[Row] = list(reader)
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}; expected a folder of `storage export`") from error
    except (ValueError, csv.Error) as error:
        raise StorageError(f"{path} cannot be read: {first_line(error)}") from error
    lacking = [column for column in wanted if column not in (reader.fieldnames or ())]
    if lacking:
        raise StorageError(f"{path} lacks the column {lacking[0]}; expected a folder of `storage export`")
    if not text.endswith("\n"):
        raise StorageError(f"{path} was cut: its last line has no end; take it from its source again")
    if any(None in row or None in row.values() for row in rows):
        raise StorageError(f"{path} has rows of another length than its header; take it from its source again")
    return [{name: text_of_cell(cell) for name, cell in row.items()} for row in rows]


def _number(kind: Callable[[str], Any], text: str) -> Any:
    """A number, or None where nothing stands; Any: int or float."""
    return kind(text) if text else None


def _known(table: Mapping[str, Any], key: str, what: str) -> Any:
    """The entry of another file that a row names; Any: of several types."""
    if key not in table:
        raise ValueError(f"no {what} {key!r}{close_match(key, table) or ''}")
    return table[key]


def _explained(read: Callable[[Any], Any], content: Any, path: Path) -> Any:
    """What `read` makes of rows of a file; Any: of several types.

    Raises:
        StorageError: in place of what it raises, with the file.
    """
    try:
        return read(content)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        cell = f", cell {content['cell']}" if isinstance(content, Mapping) and "cell" in content else ""
        raise StorageError(
            f"{path}{cell}: a row is damaged ({first_line(error)}); take it from its source again"
        ) from error
