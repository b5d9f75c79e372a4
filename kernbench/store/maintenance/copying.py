"""Studies from one database to another: all records and files, or nothing."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Engine, Select, Table, delete, insert, select
from sqlalchemy.exc import SQLAlchemyError

from kernbench.errors import KernbenchError, StorageError, counted
from kernbench.store.database.opening import GRACE_S, check_place, open_storage, read_storage
from kernbench.store.database.outage import reason_of
from kernbench.store.database.schema import SCHEMA_VERSION, schema_version, version_in
from kernbench.store.database.url import shown_url, sqlite_path
from kernbench.store.maintenance.copying_files import FileCopies
from kernbench.store.maintenance.upgrade import fill_in, ready_tables
from kernbench.store.reading.runs import stored_studies
from kernbench.store.tables.cell_states import KILLED_LIMIT, is_done, is_superseded, killed_in_a_row, worker_is_gone
from kernbench.store.tables.liveness import running_trials, utc_now
from kernbench.store.tables.optuna_rows import add_waiting
from kernbench.store.tables.optuna_tables import OF_STUDIES, OF_TRIALS, STUDIES, TRIALS, table_of
from kernbench.store.tables.result_tables import EnvironmentRow, FloorRow, LineRow, RunRow, ScoreRow, columns_there

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

    Cells whose worker has vanished are copied as killed, and queued again.

    Args:
        source: storage URL to read.
        target: storage URL to write; a SQLite file is made.
        names: as for `stored_studies`; all without any.
        note: called with each line that says what was done.

    Raises:
        StudyError: a name that is not stored.
        StorageError: workers are at work, the target has such a study or tables of another version, or a database or
            disk failed; then the target has none of the studies.
    """
    if _same(source, target):
        raise StorageError(f"storage {shown_url(source)} cannot be copied to itself; give another database")
    studies = stored_studies(source, names)
    reader = read_storage(source)
    if reader is None or not studies or schema_version(reader.engine) is None:
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
        raise StorageError(
            f"nothing was copied to {shown_url(target)}: {reason_of(error)}; it has none of the studies, "
            "the same command tries again"
        ) from error


def _copy(origin: Connection, source: str, target: str, studies: Sequence[optuna.Study], note: Note) -> Copied:
    with closing(open_storage(target)) as storage:
        ready_tables(storage.engine, target, note)
        with FileCopies(source, target) as files:
            for study in studies:
                files.copy_study(origin, study.study_name)
            files.flush()
            note(f"{counted(files.count, 'file')} copied")
            with storage.engine.connect() as to:
                transaction = to.begin()
                copied = [_copy_study(origin, to, study, note) for study in studies]
                fill_in(to, version_in(origin) or SCHEMA_VERSION)
                files.keep()  # a commit that fails may have arrived all the same
                transaction.commit()
    trials, queued = map(sum, zip(*copied, strict=True))
    return Copied(tuple(study.study_name for study in studies), trials, queued, files.count)


def _same(source: str, target: str) -> bool:
    one, other = (path.resolve() if (path := sqlite_path(url)) else url for url in (source, target))
    return one == other


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
        running = [trial for trial, silent_s in running_trials(origin, study) if silent_s <= GRACE_S]
        live = [trial for trial in running if not worker_is_gone(trial)]
        if live:
            worker, are = live[0].user_attrs.get("worker", "unknown"), "is" if len(live) == 1 else "are"
            raise StorageError(
                f"{counted(len(live), 'cell')} of {study.study_name} in {shown_url(source)} {are} running "
                f"(worker {worker}); stop the workers, or wait for them, and copy then"
            )


def _copy_study(origin: Connection, to: Connection, study: optuna.Study, note: Note) -> tuple[int, int]:
    name = study.study_name
    old_id = origin.execute(select(STUDIES.c.study_id).where(STUDIES.c.study_name == name)).scalar_one()
    new_id = to.execute(insert(STUDIES).values(study_name=name).returning(STUDIES.c.study_id)).scalar_one()
    ids = _copy_trials(origin, to, old_id, new_id)
    for table in OF_STUDIES:
        for rows in _streamed(origin, select(table).where(table.c.study_id == old_id)):
            kept = [_without_key(table, row) | {"study_id": new_id} for row in rows]
            to.execute(insert(table), [_of_same_trial(row, ids) for row in kept])
    for table in OF_TRIALS:  # a copied trial is not running, so heartbeats stay behind
        _copy_of_trials(origin, to, table, old_id, ids)
    _copy_results(origin, to, name)
    dead = {trial.number for trial, _ in running_trials(origin, study)}
    queued = _queue_again(to, new_id, study.get_trials(deepcopy=False), dead, len(ids))
    note(
        f"{name}: {counted(len(ids), 'trial')}"
        + (f", {counted(queued, 'cell')} of vanished workers queued again" if queued else "")
    )
    return len(ids), queued


def _of_same_trial(row: ColumnValues, ids: Mapping[int, int]) -> ColumnValues:
    """A row of a study whose key names a trial by its id, as the dashboard's notes do, with the id it has there."""
    found = NOTE_OF_TRIAL.fullmatch(str(row.get("key", "")))
    return row if found is None else row | {"key": f"{found[1]}{ids.get(int(found[2]), -1)}{found[3]}"}


def _copy_trials(origin: Connection, to: Connection, old_id: int, new_id: int) -> dict[int, int]:
    """Insert the trials in their order; old id -> new id."""
    query = select(TRIALS).where(TRIALS.c.study_id == old_id).order_by(TRIALS.c.number)
    ids: dict[int, int] = {}
    now = utc_now(origin)  # seconds without a fraction on SQLite
    for found in _streamed(origin, query):
        new = [_without_key(TRIALS, row) | {"study_id": new_id} for row in found]
        for row in new:
            if row["state"] == TrialState.RUNNING:  # its worker has ended, as `run` would find
                row |= {"state": TrialState.FAIL, "datetime_complete": max(now, row["datetime_start"] or now)}
        added = to.execute(insert(TRIALS).returning(TRIALS.c.trial_id, sort_by_parameter_order=True), new)
        ids |= dict(zip((row["trial_id"] for row in found), added.scalars(), strict=True))
    return ids


def _copy_of_trials(origin: Connection, to: Connection, table: Table, old_id: int, ids: Mapping[int, int]) -> None:
    query = select(table).join(TRIALS).where(TRIALS.c.study_id == old_id)
    for rows in _streamed(origin, query.order_by(table.primary_key.columns[0])):
        to.execute(insert(table), [_without_key(table, row) | {"trial_id": ids[row["trial_id"]]} for row in rows])


def _copy_results(origin: Connection, to: Connection, name: str) -> None:
    """Our tables: rows of the study, and the environments and lines that they name."""
    runs = table_of(RunRow)
    for shared, column, named in (
        (EnvironmentRow, "digest", runs.c.environment),
        (LineRow, "data_digest", runs.c.data_digest),
        (FloorRow, "data_digest", runs.c.data_digest),
    ):
        for key in origin.execute(select(named).where(runs.c.study == name).distinct().order_by(named)).scalars().all():
            _copy_shared(origin, to, table_of(shared), column, key)
    for table in (runs, table_of(ScoreRow)):
        to.execute(delete(table).where(table.c.study == name))  # left by a study that was deleted with Optuna
        columns = columns_there(origin, table)
        for rows in _streamed(origin, select(*columns).where(table.c.study == name)):
            to.execute(insert(table), rows)


def _copy_shared(origin: Connection, to: Connection, table: Table, column: str, key: str) -> None:
    """Rows that several studies share; their content is a function of their primary key."""
    keys = list(table.primary_key.columns)
    there = {tuple(row) for row in to.execute(select(*keys).where(table.c[column] == key))}
    for rows in _streamed(origin, select(table).where(table.c[column] == key)):
        new = [row for row in rows if tuple(row[each.name] for each in keys) not in there]
        if new:
            to.execute(insert(table), new)


def _queue_again(to: Connection, study: int, trials: Sequence[FrozenTrial], dead: set[int], number: int) -> int:
    """Queue the cells of dead trials unless they wait, are done, or were killed too often; how many."""
    open_or_done = {t.user_attrs.get("cell") for t in trials if t.state == TrialState.WAITING or is_done(t)}
    lost = {t.user_attrs["cell"]: t for t in trials if t.number in dead and "cell" in t.user_attrs}
    queued: dict[str, ColumnValues] = {}
    for cell, trial in lost.items():
        attempts = [t for t in trials if t.user_attrs.get("cell") == cell and not is_superseded(t)]
        failures = [t for t in attempts if t.state == TrialState.FAIL or t.number in dead]
        if cell in open_or_done or killed_in_a_row(failures) >= KILLED_LIMIT:
            continue
        queued[cell] = {**trial.system_attrs.get("fixed_params", {}), **trial.params}  # a draw keeps what it has drawn
    if queued:
        add_waiting(to, study, number, queued)
    return len(queued)


def _without_key(table: Table, row: Mapping[str, Any]) -> ColumnValues:
    """A row without its number; the other database gives it another one."""
    keys = {column.name for column in table.primary_key.columns}
    return {name: value for name, value in row.items() if name not in keys}


def _streamed(origin: Connection, query: Select[Any]) -> Iterator[list[ColumnValues]]:
    """Rows in parts, none of them empty."""
    for rows in origin.execute(query.execution_options(yield_per=CHUNK)).partitions(CHUNK):
        yield [dict(row._mapping) for row in rows]
