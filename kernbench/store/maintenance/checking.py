"""Whether a database and its files are intact: what is missing, left over, damaged or foreign; changes nothing."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Engine, Select, func, or_, select, union
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from kernbench.errors import StorageError, counted, first_line, one_line
from kernbench.host.files import json_digest
from kernbench.store.database.opening import check_place, read_storage
from kernbench.store.database.outage import is_outage
from kernbench.store.database.schema import SchemaError, schema_version
from kernbench.store.database.url import shown_url, sqlite_path
from kernbench.store.maintenance.checking_files import Files
from kernbench.store.reading.runs import stored_studies
from kernbench.store.tables.cell_states import is_done, is_superseded
from kernbench.store.tables.result_tables import EnvironmentRow, LineRow, RunRow, ScoreRow, runs_of
from kernbench.study.reference import from_json

RERUN = "run the study again in another --storage, or copy the intact studies there"


@dataclass(frozen=True)
class Checked:
    """What was looked at, and what is wrong.

    Attributes:
        studies: how many.
        cells: cells of theirs.
        files: artifacts and checkpoints.
        problems: one line each, with what to do.
        schema: version of the result tables, None where there are none or it was not asked.
    """

    studies: int
    cells: int
    files: int
    problems: tuple[str, ...]
    schema: int | None = None


def check_storage(url: str, names: Sequence[str] = ()) -> Checked:
    """Verify a database and the files beside it.

    Args:
        url: storage URL.
        names: as for `stored_studies`; all without any.

    Raises:
        StorageError: there is no such database, or its tables are of a version that is not known.
        StudyError: a name that is not stored.
    """
    path = sqlite_path(url)
    if path is None or not path.is_file():
        reader = read_storage(url)  # says what is missing
    else:
        check_place(url)
        try:
            reader = read_storage(url)
        except SchemaError:  # nothing is wrong there
            raise
        except StorageError as error:
            return Checked(0, 0, 0, (f"{error}; restore a copy, or save what `sqlite3 {path} .recover` still reads",))
    problems = [] if reader is None else _integrity(reader.engine)
    if reader is None or problems:
        return Checked(0, 0, 0, tuple(problems))
    schema = schema_version(reader.engine)
    studies = stored_studies(url, names)
    if studies and schema is None:
        return Checked(len(studies), 0, 0, (f"{shown_url(url)}: no result tables; {RERUN}",))
    files, cells = Files(url, reader.engine), 0
    for study in studies:
        name = one_line(study.study_name)
        try:
            with Session(reader.engine) as session:
                problems += [f"{name}: {each}" for each in _of_study(session, study, files)]
            cells += _count(study.user_attrs.get("cells"))
        except Exception as error:  # there is no list of what a record raises that somebody has changed
            if is_outage(error):
                raise
            problems.append(f"{name}: a record cannot be read ({first_line(error)}); {RERUN}")
    if not names:
        try:
            with Session(reader.engine) as session:
                problems += _of_no_study(session, reader)
            problems += files.left_over()
        except (ValueError, SQLAlchemyError) as error:
            said = first_line(getattr(error, "orig", None) or error)
            problems.append(f"files that nothing names were not looked for: a record cannot be read ({said}); {RERUN}")
    return Checked(len(studies), cells, files.count, tuple(problems), schema)


def _of_study(session: Session, study: optuna.Study, files: Files) -> Iterator[str]:
    yield from _of_attributes(study.user_attrs)
    trials = study.get_trials(deepcopy=False)
    yield from _of_trials(trials)
    yield from _of_rows(session, study, trials)
    yield from files.of_study(study, trials)


def _count(cells: str | None) -> int:
    """Cells that a study asks for; 0 where that cannot be read, which `_of_attributes` reports."""
    try:
        return len(json.loads(cells or "[]"))
    except (ValueError, TypeError):
        return 0


def _of_attributes(known: Mapping[str, Any]) -> Iterator[str]:
    """What a study says of itself, as report and workers read it."""
    kinds = {"definition": dict, "cells": list, "axes": dict, "seeds": int, "runtime": dict, "references": list}
    kinds |= {"dropped": list}
    read: dict[str, Any] = {}
    for name, kind in kinds.items():
        try:
            read[name] = json.loads(known[name]) if name in known else None
            if name == "references":
                read[name] = [from_json(row) for row in read[name] or []]
        except (ValueError, TypeError, KeyError):
            yield f"its {name} cannot be read; {RERUN}"
            continue
        if name in known and not isinstance(read[name], kind):
            yield f"its {name} are of another type; {RERUN}"
    if not known.get("definition"):
        yield f"it has no definition, so the meaning of its cells is unknown; {RERUN}"
    elif isinstance(read.get("definition"), dict) and json_digest(read["definition"]) != known.get("digest"):
        yield f"its definition is not the one that its digest {one_line(known.get('digest'))} names; {RERUN}"


def _integrity(engine: Engine) -> list[str]:
    if engine.dialect.name != "sqlite":
        return []  # a server looks after its own files
    try:
        with engine.connect() as connection:
            found = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check(10)")]
    except SQLAlchemyError as error:
        found = [str(getattr(error, "orig", None) or error)]
    advice = f"restore a copy, or save what `sqlite3 {engine.url.database} .recover` still reads"
    return [f"database: {one_line(each)}; {advice}" for each in found if each != "ok"]


def _of_trials(trials: Sequence[FrozenTrial]) -> Iterator[str]:
    complete: Counter[str] = Counter()
    for trial in trials:
        cell = trial.user_attrs.get("cell")
        if not isinstance(cell, str | None):
            yield f"trial {trial.number} names its cell by {one_line(repr(cell))}, which is no text; {RERUN}"
        if cell is None and trial.state != TrialState.PRUNED:  # an empty queue leaves pruned ones
            yield f"trial {trial.number} ({trial.state.name}) names no cell; it is ignored, nothing needs to be done"
        if cell is not None and is_done(trial):
            complete[str(cell)] += 1
        if cell is not None and trial.state == TrialState.COMPLETE and trial.values is None:
            yield f"cell {one_line(cell)} is finished (trial {trial.number}) and has no score; {RERUN}"
    for cell, count in complete.items():
        if count > 1:
            yield f"cell {one_line(cell)} has {count} finished trials, expected one; {RERUN}"


def _of_rows(session: Session, study: optuna.Study, trials: Sequence[FrozenTrial]) -> Iterator[str]:
    """Rows against trials, and their numbers against the lines and tolerances that were evaluated."""
    rows = {row.cell: row for row in runs_of(session, study.study_name)}
    known_digest = one_line(study.user_attrs.get("digest"))
    machines = set(session.scalars(select(EnvironmentRow.digest)))
    lines = _rows_of(session, LineRow.data_digest, LineRow.split)
    scores = _rows_of(session, ScoreRow.cell, ScoreRow.split, ScoreRow.study == study.study_name)
    # read after the rows, as `trials` was before them: a worker may have stored something since
    numbers = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
    for trial in trials:
        if is_done(trial) and (cell := trial.user_attrs.get("cell")) not in (None, *rows):
            status = trial.user_attrs.get("status", "ok")
            yield f"cell {one_line(cell)} is {status} (trial {trial.number}) and has no rows; {RERUN}"
    for cell, row in _current(rows, numbers):
        name, owner = one_line(cell), numbers.get(row.trial)
        if owner is None or not (is_done(owner) or owner.state == TrialState.RUNNING):
            state = "is not there" if owner is None else f"is {owner.state.name}"
            yield f"cell {name} has rows of trial {row.trial}, which {state}; they are not read, a run replaces them"
            continue
        if row.environment not in machines:
            yield f"cell {name} names environment {one_line(row.environment)}, which is not stored; {RERUN}"
        if row.digest != known_digest:
            yield f"cell {name} was made with definition {one_line(row.digest)}, its study has {known_digest}; {RERUN}"
        sizes = {len(thresholds) for thresholds in row.thresholds.values()}
        known_tolerance = not sizes or 0 <= row.tolerance < min(sizes)
        if not (known_tolerance and isinstance(row.params, dict) and isinstance(row.details, dict)):
            yield f"cell {name} has a run that cannot be read; {RERUN}"
        for split, thresholds in row.thresholds.items():
            known = lines.get((row.data_digest, split), 0)
            got, expected = scores.pop((cell, split), 0), known * len(thresholds)
            if got != expected or not known:
                yield (
                    f"cell {name}: {counted(got, 'score')} on the {split} lines, expected "
                    f"{counted(known, 'line')} x {counted(len(thresholds), 'tolerance')} = {expected}; {RERUN}"
                )
    for cell, count in session.execute(_no_counts(study.study_name)):
        many = "1 score is no count" if count == 1 else f"{count} scores are no counts"
        yield f"cell {one_line(cell)}: {many}; {RERUN}"
    for (cell, split), count in scores.items():
        owner = numbers.get(rows[cell].trial) if cell in rows else None
        if cell not in rows or (owner and is_done(owner)):  # else named above, or at work
            where = f"{counted(count, 'score')} on the {one_line(split)} lines"
            belong = "belongs to no run; it is" if count == 1 else "belong to no run; they are"
            yield f"cell {one_line(cell)}: {where} {belong} not read, nothing needs to be done"


def _current(rows: Mapping[str, RunRow], numbers: Mapping[int, FrozenTrial]) -> Iterator[tuple[str, RunRow]]:
    """Rows without those of superseded trials, which are kept until a new result takes their place."""
    for cell, row in rows.items():
        if (owner := numbers.get(row.trial)) is None or not is_superseded(owner):
            yield cell, row


def _rows_of(session: Session, key: Any, split: Any, *where: Any) -> dict[tuple[str, str], int]:  # Any: columns
    """How many rows each pair of key and split has."""
    query = select(key, split, func.count()).where(*where).group_by(key, split)
    return {(str(first), str(second)): count for first, second, count in session.execute(query)}


def _no_counts(study: str) -> Select[str, int]:
    """Stored scores that are negative, or text where a database takes that for a number: cell, number."""
    counts = (ScoreRow.tp, ScoreRow.fp, ScoreRow.fn)
    wrong = or_(*(column < 0 for column in counts), *(column + 0 != column for column in counts))
    query = select(ScoreRow.cell, func.count()).where(ScoreRow.study == study, wrong)
    return query.group_by(ScoreRow.cell)


def _of_no_study(session: Session, reader: optuna.storages.RDBStorage) -> list[str]:
    known = {frozen.study_name for frozen in reader.get_all_studies()}
    stored = set(session.scalars(union(select(RunRow.study).distinct(), select(ScoreRow.study).distinct())))
    return [
        f"{one_line(name)}: rows of a study that is not there any more; they are not read, nothing needs to be done"
        for name in sorted(stored - known)
    ]
