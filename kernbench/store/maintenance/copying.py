"""Studies from one database to another: all records and files, or nothing."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Engine, Select, Table, delete, insert, select
from sqlalchemy.exc import SQLAlchemyError

from kernbench.errors import KernbenchError, StorageError
from kernbench.store.database.opening import GRACE_S, check_place, open_storage, read_storage
from kernbench.store.database.schema import SCHEMA_VERSION, version_in
from kernbench.store.database.url import shown_url, sqlite_path
from kernbench.store.maintenance.copying_files import FileCopies
from kernbench.store.maintenance.upgrade import fill_in, ready_tables
from kernbench.store.reading.runs import stored_studies
from kernbench.store.tables.cell_states import KILLED_LIMIT, is_done, killed_in_a_row
from kernbench.store.tables.liveness import is_live, running_trials, utc_now
from kernbench.store.tables.optuna_rows import add_waiting
from kernbench.store.tables.optuna_tables import OF_STUDIES, OF_TRIALS, STUDIES, TRIALS, table_of
from kernbench.store.tables.result_tables import (
    EnvironmentRow,
    FloorRow,
    LineRow,
    RunRow,
    ScoreRow,
    columns_there,
    has_tables,
)

CHUNK = 5000
NOTE_OF_TRIAL = re.compile(r"(dashboard:)(\d+)(:note_.*)")  # key of a study's attribute, by the id of the trial
ColumnValues = dict[str, Any]  # column -> value
Note = Callable[[str], None]


@dataclass(frozen=True)
class Copied:
    """What was copied.

    Attributes:
        studies: their names.
        trials: in all.
        queued: cells whose worker had vanished and that wait again.
        files: artifacts, checkpoints and results of classical detectors.
    """

    studies: tuple[str, ...]
    trials: int
    queued: int
    files: int


def copy_studies(source: str, target: str, names: Sequence[str], note: Note) -> Copied:
    """Copy studies of kernbench with all their records and files.

    Cells in the hands of a worker that has vanished are copied as killed, and queued again.

    Args:
        source: storage URL to read.
        target: storage URL to write; a SQLite file is made.
        names: as for `stored_studies`; all without any.
        note: told what goes on, one line each.

    Raises:
        StudyError: a name that is not stored.
        StorageError: workers are at work, the target has such a study or tables of another version, or a database or
            disk failed; then the target has none of the studies.
    """
    if _same(source, target):
        raise StorageError(f"storage {shown_url(source)} cannot be copied to itself; give another database")
    studies = stored_studies(source, names)
    reader = read_storage(source)
    if reader is None or not studies or not has_tables(reader.engine):
        raise StorageError(f"storage {shown_url(source)} has no studies to copy")
    chosen = [study.study_name for study in studies]
    _check_target(target, chosen)
    try:
        with _snapshot(reader.engine) as origin:
            _refuse_live(origin, studies, source)
            return _copy(origin, source, target, studies, note)
    except KernbenchError:
        raise
    except (SQLAlchemyError, optuna.exceptions.OptunaError, OSError) as error:
        cause = getattr(error, "orig", None) or error
        reason = next(iter(str(cause).strip().splitlines()), type(cause).__name__)
        raise StorageError(
            f"nothing was copied to {shown_url(target)}: {reason}; it has none of the studies, "
            "the same command tries again"
        ) from error


def _copy(origin: Connection, source: str, target: str, studies: Sequence[optuna.Study], note: Note) -> Copied:
    storage = open_storage(target)
    try:
        ready_tables(storage.engine, target, note)
        with FileCopies(source, target) as files:
            for study in studies:
                files.copy_study(origin, study.study_name)
            files.flush()
            note(f"{files.count} files copied")
            with storage.engine.connect() as to:
                transaction = to.begin()
                copied = [_copy_study(origin, to, study, note) for study in studies]
                fill_in(to, version_in(origin) or SCHEMA_VERSION)
                files.keep()  # should the commit fail, nobody knows whether it has arrived
                transaction.commit()
    finally:
        storage.remove_session()
        storage.engine.dispose()
    trials, queued = map(sum, zip(*copied, strict=True))
    return Copied(tuple(study.study_name for study in studies), trials, queued, files.count)


def _same(source: str, target: str) -> bool:
    one, other = sqlite_path(source), sqlite_path(target)
    if one is None or other is None:
        return source == target
    return one.resolve() == other.resolve()


def _check_target(target: str, names: Sequence[str]) -> None:
    check_place(target)
    path = sqlite_path(target)
    storage = None if path is not None and not path.exists() else read_storage(target)
    if storage is None:
        return
    there = {frozen.study_name for frozen in storage.get_all_studies()} & set(names)
    if there:
        raise StorageError(
            f"{shown_url(target)} has {len(there)} of the studies already, {min(there)} for one; "
            "name others with --study, or give another database: studies are not mixed"
        )


@contextmanager
def _snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection that sees the database as it is now, whatever others write meanwhile."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")  # sqlite3 would read each table at another time
        else:
            connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


def _refuse_live(origin: Connection, studies: Sequence[optuna.Study], source: str) -> None:
    for study in studies:
        live = [each for each in running_trials(origin, study) if is_live(each, GRACE_S)]
        if live:
            worker = live[0].trial.user_attrs.get("worker", "unknown")
            raise StorageError(
                f"{len(live)} cells of {study.study_name} in {shown_url(source)} are running (worker {worker}); "
                "stop the workers, or wait for them, and copy then"
            )


def _copy_study(origin: Connection, to: Connection, study: optuna.Study, note: Note) -> tuple[int, int]:
    name = study.study_name
    old = select(STUDIES.c.study_id).where(STUDIES.c.study_name == name)
    old_id = origin.execute(old).scalar_one()
    new_id = _insert_one(to, STUDIES, {"study_name": name})
    ids = _copy_trials(origin, to, old_id, new_id)
    for table in OF_STUDIES:
        rows = origin.execute(select(table).where(table.c.study_id == old_id))
        kept = [_without_key(table, dict(row._mapping)) | {"study_id": new_id} for row in rows]
        _insert(to, table, [_of_same_trial(row, ids) for row in kept])
    for table in OF_TRIALS:  # a copied trial is not running, so heartbeats stay behind
        _copy_of_trials(origin, to, table, old_id, ids)
    _copy_results(origin, to, name)
    dead = {each.trial.number for each in running_trials(origin, study)}
    queued = _queue_again(to, new_id, study.get_trials(deepcopy=False), dead, len(ids))
    note(f"{name}: {len(ids)} trials" + (f", {queued} cells of vanished workers queued again" if queued else ""))
    return len(ids), queued


def _of_same_trial(row: ColumnValues, ids: Mapping[int, int]) -> ColumnValues:
    """A row of a study whose key names a trial by its id, as the dashboard's notes do, with the id it has there."""
    found = NOTE_OF_TRIAL.fullmatch(str(row.get("key", "")))
    return row if found is None else row | {"key": f"{found[1]}{ids.get(int(found[2]), -1)}{found[3]}"}


def _copy_trials(origin: Connection, to: Connection, old_id: int, new_id: int) -> dict[int, int]:
    """Insert the trials in their order; old id -> new id."""
    query = select(TRIALS).where(TRIALS.c.study_id == old_id).order_by(TRIALS.c.number)
    ids: dict[int, int] = {}
    # whoever ran it is gone, as `run` would find
    now = utc_now(origin)  # in whole seconds on SQLite
    for rows in origin.execute(query).partitions(CHUNK):
        found = [dict(row._mapping) for row in rows]
        new = [_without_key(TRIALS, row) | {"study_id": new_id} for row in found]
        new = [
            row | {"state": TrialState.FAIL, "datetime_complete": max(now, row["datetime_start"] or now)}
            if row["state"] == TrialState.RUNNING
            else row
            for row in new
        ]
        added = to.execute(insert(TRIALS).returning(TRIALS.c.trial_id, sort_by_parameter_order=True), new)
        ids |= dict(zip((row["trial_id"] for row in found), added.scalars(), strict=True))
    return ids


def _copy_of_trials(origin: Connection, to: Connection, table: Table, old_id: int, ids: Mapping[int, int]) -> None:
    query = select(table).join(TRIALS, TRIALS.c.trial_id == table.c.trial_id).where(TRIALS.c.study_id == old_id)
    for rows in _streamed(origin, query.order_by(table.primary_key.columns[0])):
        _insert(to, table, [_without_key(table, row) | {"trial_id": ids[row["trial_id"]]} for row in rows])


def _copy_results(origin: Connection, to: Connection, name: str) -> None:
    """Our tables: rows of the study, and the environments and lines that they name."""
    runs = table_of(RunRow)
    used = select(runs.c.environment, runs.c.data_digest).where(runs.c.study == name).distinct()
    named = [tuple(row) for row in origin.execute(used)]
    shared = (
        (table_of(EnvironmentRow), "digest", {environment for environment, _ in named}),
        (table_of(LineRow), "data_digest", {data for _, data in named}),
        (table_of(FloorRow), "data_digest", {data for _, data in named}),
    )
    for table, column, keys in shared:
        for key in sorted(keys):
            _copy_shared(origin, to, table, column, key)
    for table in (runs, table_of(ScoreRow)):
        to.execute(delete(table).where(table.c.study == name))  # left by a study that was deleted with Optuna
        columns = columns_there(origin, table)
        for rows in _streamed(origin, select(*columns).where(table.c.study == name)):
            _insert(to, table, rows)


def _copy_shared(origin: Connection, to: Connection, table: Table, column: str, key: str) -> None:
    """Rows that several studies share; their content is a function of their primary key."""
    keys = list(table.primary_key.columns)
    there = {tuple(row) for row in to.execute(select(*keys).where(table.c[column] == key))}
    found = (dict(row._mapping) for row in origin.execute(select(table).where(table.c[column] == key)))
    _insert(to, table, [row for row in found if tuple(row[each.name] for each in keys) not in there])


def _queue_again(to: Connection, study: int, trials: Sequence[FrozenTrial], dead: set[int], number: int) -> int:
    """Queue the cells of dead trials unless they wait, are done, or were killed too often; how many."""
    open_or_done = {t.user_attrs.get("cell") for t in trials if t.state == TrialState.WAITING or is_done(t)}
    lost = {t.user_attrs["cell"]: t for t in trials if t.number in dead and "cell" in t.user_attrs}
    queued: dict[str, ColumnValues] = {}
    for cell, trial in lost.items():
        attempts = [t for t in trials if t.user_attrs.get("cell") == cell]
        failures = [t for t in attempts if t.state == TrialState.FAIL or t.number in dead]
        if cell in open_or_done or killed_in_a_row(failures) >= KILLED_LIMIT:
            continue
        queued[cell] = {**trial.system_attrs.get("fixed_params", {}), **trial.params}  # a draw keeps what it has drawn
    if queued:
        add_waiting(to, study, number, list(queued), list(queued.values()))
    return len(queued)


def _without_key(table: Table, row: Mapping[str, Any]) -> ColumnValues:
    """A row without its number, which the other database gives anew."""
    keys = {column.name for column in table.primary_key.columns}
    return {name: value for name, value in row.items() if name not in keys}


def _streamed(origin: Connection, query: Select[Any]) -> Iterator[list[ColumnValues]]:
    for rows in origin.execute(query.execution_options(yield_per=CHUNK)).partitions(CHUNK):
        yield [dict(row._mapping) for row in rows]


def _insert(to: Connection, table: Table, rows: Sequence[ColumnValues]) -> None:
    if rows:
        to.execute(insert(table), rows)


def _insert_one(to: Connection, table: Table, row: ColumnValues) -> int:
    """Insert a row; its number."""
    key = to.execute(insert(table).values(row)).inserted_primary_key
    assert key is not None  # both databases tell it
    return int(key[0])
