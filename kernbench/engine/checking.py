"""Whether a database and its files are whole: what is missing, left over, damaged or foreign; changes nothing."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Engine, Select, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from kernbench.engine.checking_files import Files
from kernbench.engine.reading import stored_studies
from kernbench.engine.results import EnvironmentRow, LineRow, RunRow, ScoreRow, has_tables
from kernbench.engine.states import is_done
from kernbench.engine.storage import check_place, read_storage, shown, sqlite_path
from kernbench.errors import StorageError, one_line

RERUN = "run the study again in another --storage, or copy the intact studies there"


@dataclass(frozen=True)
class Checked:
    """What was looked at, and what is wrong.

    Attributes:
        studies: how many.
        cells: cells of theirs.
        files: artifacts and checkpoints.
        problems: one line each, with what to do.
    """

    studies: int
    cells: int
    files: int
    problems: tuple[str, ...]


def check_storage(url: str, names: Sequence[str] = ()) -> Checked:
    """Verify a database and the files beside it.

    Args:
        url: storage URL.
        names: as for `stored_studies`; all without any.

    Raises:
        StorageError: there is no such database.
        StudyError: a name that is not stored.
    """
    path = sqlite_path(url)
    if path is None or not path.is_file():
        reader = read_storage(url)  # says what is missing
    else:
        check_place(url)
        try:
            reader = read_storage(url)
        except StorageError as error:
            return Checked(0, 0, 0, (f"{error}; restore a copy, or save what `sqlite3 {path} .recover` still reads",))
    if reader is None:
        return Checked(0, 0, 0, ())
    problems = _integrity(reader.engine)
    if problems:
        return Checked(0, 0, 0, tuple(problems))
    try:
        tables = has_tables(reader.engine)
    except StorageError as error:
        return Checked(0, 0, 0, (f"schema: {error}",))
    studies = stored_studies(url, names)
    if studies and not tables:
        return Checked(len(studies), 0, 0, (f"{shown(url)}: no result tables; {RERUN}",))
    files, cells = Files(url, reader.engine), 0
    with Session(reader.engine) as session:
        for study in studies:
            trials = study.get_trials(deepcopy=False)
            cells += len(json.loads(study.user_attrs.get("cells", "[]")))
            problems += [f"{one_line(study.study_name)}: {each}" for each in _of_trials(trials)]
            problems += [f"{one_line(study.study_name)}: {each}" for each in _of_rows(session, study, trials)]
            problems += [f"{one_line(study.study_name)}: {each}" for each in files.of_study(study, trials)]
        if not names:
            problems += _of_no_study(session, reader)
    problems += files.left_over(reader) if not names else []
    return Checked(len(studies), cells, files.count, tuple(problems))


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
        if cell is None and trial.state != TrialState.PRUNED:  # an empty queue leaves pruned ones
            yield f"trial {trial.number} ({trial.state.name}) names no cell; it is ignored, nothing needs to be done"
        if cell is not None and is_done(trial):
            complete[str(cell)] += 1
    for cell, count in complete.items():
        if count > 1:
            yield f"cell {one_line(cell)} has {count} finished trials, expected one; {RERUN}"


def _of_rows(session: Session, study: optuna.Study, trials: Sequence[FrozenTrial]) -> Iterator[str]:
    """Rows against trials, and their numbers against the lines and tolerances that were evaluated."""
    columns = (RunRow.cell, RunRow.trial, RunRow.status, RunRow.data_digest, RunRow.environment, RunRow.thresholds)
    rows = {row.cell: row for row in session.execute(select(*columns).where(RunRow.study == study.study_name))}
    machines = set(session.scalars(select(EnvironmentRow.digest)))
    lines = {tuple(key): count for *key, count in session.execute(_lines())}
    scores = {tuple(key): count for *key, count in session.execute(_scores(study.study_name))}
    # read after the rows, as `trials` was before them: a worker may have stored something since
    numbers = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
    for trial in trials:
        if is_done(trial) and (cell := trial.user_attrs.get("cell")) not in (None, *rows):
            status = trial.user_attrs.get("status", "ok")
            yield f"cell {one_line(cell)} is {status} (trial {trial.number}) and has no rows; {RERUN}"
    for cell, row in rows.items():
        name, owner = one_line(cell), numbers.get(row.trial)
        if owner is None or not (is_done(owner) or owner.state == TrialState.RUNNING):
            state = "is not there" if owner is None else f"is {owner.state.name}"
            yield f"cell {name} has rows of trial {row.trial}, which {state}; they are not read, a run replaces them"
            continue
        if row.environment not in machines:
            yield f"cell {name} names environment {one_line(row.environment)}, which is not stored; {RERUN}"
        for split, thresholds in row.thresholds.items():
            known = lines.get((row.data_digest, split), 0)
            got, expected = scores.pop((cell, split), 0), known * len(thresholds)
            if got != expected or not known:
                yield (
                    f"cell {name}: {got} scores on the {split} lines, expected {known} lines x {len(thresholds)} "
                    f"tolerances = {expected}; {RERUN}"
                )
    for (cell, split), count in scores.items():
        owner = numbers.get(rows[cell].trial) if cell in rows else None
        if cell not in rows or (owner and is_done(owner)):  # else named above, or at work
            where = f"{count} scores on the {one_line(split)} lines"
            yield f"cell {one_line(cell)}: {where} belong to no run; they are not read, nothing needs to be done"


def _lines() -> Select[str, str, int]:
    """Lines of each evaluated split: data digest, split, number."""
    return select(LineRow.data_digest, LineRow.split, func.count()).group_by(LineRow.data_digest, LineRow.split)


def _scores(study: str) -> Select[str, str, int]:
    """Stored scores: cell, split, number."""
    query = select(ScoreRow.cell, ScoreRow.split, func.count()).where(ScoreRow.study == study)
    return query.group_by(ScoreRow.cell, ScoreRow.split)


def _of_no_study(session: Session, reader: optuna.storages.RDBStorage) -> list[str]:
    known = {frozen.study_name for frozen in reader.get_all_studies()}
    stored = set(session.scalars(select(RunRow.study).distinct())) | set(
        session.scalars(select(ScoreRow.study).distinct())
    )
    return [
        f"{one_line(name)}: rows of a study that is not there any more; they are not read, nothing needs to be done"
        for name in sorted(stored - known)
    ]
