"""Cells put back, to be trained again, or dropped from their study; what they were is kept, marked as superseded."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, select

from kernbench.store.database.opening import check_place, open_storage, outage_explained
from kernbench.store.database.url import side_folder
from kernbench.store.maintenance.upgrade import ready_tables
from kernbench.store.reading.runs import stored_states
from kernbench.store.reading.stored_study import CELLS, DROPPED
from kernbench.store.tables.cell_states import SUPERSEDED, cell_states, is_stray
from kernbench.store.tables.liveness import utc_now
from kernbench.store.tables.optuna_rows import change_in, end_waiting, lock, lock_trials, mark
from kernbench.store.tables.optuna_tables import STUDIES, trial_id, trials_in
from kernbench.study.cell import ENDED, CellState, file_key
from kernbench.study.selection import Selection

REDO, DROP = "redo", "drop"
# States of the cells that each may change. Those that run, or ran until their worker ended, are left to their workers.
MAY = {REDO: (*ENDED, "failed"), DROP: (*ENDED, "failed", "waiting", "missing")}


@dataclass(frozen=True)
class Chosen:
    """Cells of one study, as they were looked at.

    Attributes:
        study: its name.
        cells: those to change.
        left: those that are meant and are left as they are.
    """

    study: str
    cells: tuple[CellState, ...]
    left: tuple[CellState, ...]


@dataclass
class Superseded:
    """What was done.

    Attributes:
        cells: study -> cells that were changed.
        left: study -> cells that were not, because they changed after they were looked at.
    """

    cells: dict[str, list[str]] = field(default_factory=dict)
    left: dict[str, list[str]] = field(default_factory=dict)


def choose_cells(study: optuna.Study, only: Selection, what: str) -> Chosen:
    """Cells of a study that may be put back, or dropped; nothing is written.

    Args:
        study: opened for reading.
        only: which cells.
        what: REDO or DROP.

    Raises:
        StorageError: a record is damaged.
    """
    states = stored_states(study, only)
    cells = tuple(state for state in states if state.state in MAY[what])
    return Chosen(study.study_name, cells, tuple(state for state in states if state not in cells))


def supersede(url: str, chosen: Sequence[Chosen], what: str, note: Callable[[str], None]) -> Superseded:
    """Put cells back or drop them: all in one transaction, without those that have changed since they were chosen.

    Their finished and failed trials get an attribute that says so, and count no more; Optuna keeps them with all that
    they hold, and their rows stay, unread, until a new result replaces them. Checkpoints of theirs are removed.

    Args:
        url: storage URL.
        chosen: from `choose_cells`.
        what: REDO or DROP.
        note: called with a line if the tables were upgraded first.

    Raises:
        StorageError: the database cannot be opened or written; then nothing was changed.
        StorageLostError: it became unavailable.
    """
    check_place(url)
    done, attempts = Superseded(), dict[str, list[int]]()  # key of a cell's files -> its trials
    with closing(open_storage(url)) as storage, outage_explained(url):
        ready_tables(storage.engine, url, note)
        with storage.engine.begin() as connection:
            for each in sorted(chosen, key=lambda each: each.study):
                _supersede(connection, each, what, done, attempts)
    _remove_checkpoints(url, attempts)
    return done


def _supersede(
    connection: Connection, chosen: Chosen, what: str, done: Superseded, attempts: dict[str, list[int]]
) -> None:
    known = connection.execute(select(STUDIES.c.study_id).where(STUDIES.c.study_name == chosen.study)).scalar()
    if known is None:  # deleted since
        done.left[chosen.study] = [state.cell for state in chosen.cells]
        return
    lock(connection, known)
    lock_trials(connection, known)
    trials = trials_in(connection, known)
    before = {state.cell: state.state for state in chosen.cells}
    running = {trial.user_attrs.get("cell") for trial in trials if trial.state == TrialState.RUNNING}
    now = {state.cell: state.state for state in cell_states(before, trials)}
    cells = [cell for cell in before if now[cell] == before[cell] and cell not in running]
    done.cells[chosen.study] = cells
    done.left[chosen.study] = [cell for cell in before if cell not in cells]
    theirs = [trial for trial in trials if trial.user_attrs.get("cell") in set(cells) and not is_stray(trial)]
    end_waiting(connection, [trial_id(trial) for trial in theirs if _waits(trial)], utc_now(connection))
    when = datetime.now(UTC).isoformat(timespec="seconds")
    mark(connection, [trial_id(trial) for trial in theirs], SUPERSEDED, f"{what} {when}")
    if what == DROP:
        change_in(connection, known, lambda attributes: _without(attributes, cells))
    for trial in theirs:
        attempts.setdefault(file_key(chosen.study, trial.user_attrs["cell"]), []).append(trial.number)


def _waits(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.WAITING


def _without(attributes: Mapping[str, Any], cells: Collection[str]) -> dict[str, str]:
    """Attributes of a study that asks for these cells no more."""
    gone = set(cells)
    asked = [cell for cell in json.loads(attributes.get(CELLS, "[]")) if cell not in gone]
    dropped = dict.fromkeys([*json.loads(attributes.get(DROPPED, "[]")), *cells])
    return {CELLS: json.dumps(asked), DROPPED: json.dumps(list(dropped))}


def _remove_checkpoints(url: str, attempts: Mapping[str, Collection[int]]) -> None:
    folder = side_folder(url, "checkpoints")
    if not folder.is_dir():
        return
    from kernbench.store.files.checkpoints import remove_of_trials  # noqa: PLC0415  # torch, only where there may be some

    for key, trials in attempts.items():
        remove_of_trials(folder, key, trials)
