"""The state of every cell, derived from Optuna's trials: what is done, running, waiting, failed, and why."""

import math
import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from optuna.trial import FrozenTrial, TrialState

from kernbench.errors import counted
from kernbench.host.processes import is_here, process_is_gone
from kernbench.store.tables.optuna_tables import trial_id
from kernbench.store.tables.trial_progress import progress_of
from kernbench.study.cell import DONE, ENDED, CellState
from kernbench.study.selection import values_of

KILLED_LIMIT = 5
NAMESPACE = "worker_namespace"  # attribute of a trial: where the number of its worker counts
SUPERSEDED = "superseded"  # attribute of trials that count no more: their cell was put back, or dropped


def this_worker() -> str:
    """Name of this process, as trials store it: host:pid."""
    return f"{socket.gethostname()}:{os.getpid()}"


def ran_here(trial: FrozenTrial) -> bool:
    """Whether this process can see the trial's worker: same host, and same PID namespace where that was recorded."""
    host = str(trial.user_attrs.get("worker", "")).rpartition(":")[0]
    return is_here(host, trial.user_attrs.get(NAMESPACE))


def worker_is_gone(trial: FrozenTrial) -> bool:
    """Whether the trial's worker ran where this process runs, and has ended."""
    host, _, pid = str(trial.user_attrs.get("worker", "")).rpartition(":")
    return process_is_gone(host, trial.user_attrs.get(NAMESPACE), pid, trial.user_attrs.get("worker_start"))


def cell_states(
    cells: Iterable[str], trials: Sequence[FrozenTrial], silent: Mapping[int, float] = MappingProxyType({})
) -> list[CellState]:
    """State of each cell.

    Args:
        cells: cell ids, in the order wanted.
        trials: all trials of the Optuna study.
        silent: trial id -> seconds since its last heartbeat, for what is said of running cells.
    """
    of_cell: dict[str, list[FrozenTrial]] = {cell: [] for cell in cells}
    again: set[str] = set()
    for trial in trials:
        cell = trial.user_attrs.get("cell")
        if cell in of_cell and not is_stray(trial):
            of_cell[cell].append(trial)
        elif cell in of_cell and is_superseded(trial):
            again.add(cell)
    detail = dict.fromkeys(again, "to be trained again")
    return [
        _state(cell, attempts, silent) if attempts else CellState(cell, "missing", detail.get(cell, ""), retry=True)
        for cell, attempts in of_cell.items()
    ]


def is_done(trial: FrozenTrial) -> bool:
    """Whether a trial is its cell's result: complete, or pruned as a draw that fell behind."""
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED) and not is_stray(trial)


def is_stray(trial: FrozenTrial) -> bool:
    """Whether a trial is no attempt at its cell that counts: a duplicate, put back into the queue, or superseded."""
    put_back = trial.state == TrialState.PRUNED and trial.user_attrs.get("status") not in DONE
    return put_back or is_superseded(trial)


def is_superseded(trial: FrozenTrial) -> bool:
    """Whether a trial was an attempt at its cell until that was put back, or dropped; it is kept as history."""
    return SUPERSEDED in trial.user_attrs


def _state(cell: str, attempts: Sequence[FrozenTrial], silent: Mapping[int, float]) -> CellState:
    by_state = {state: [t for t in attempts if t.state == state] for state in TrialState}
    done = by_state[TrialState.COMPLETE] + by_state[TrialState.PRUNED]
    if done:
        status = str(done[0].user_attrs.get("status", "ok"))
        score = done[0].value if status == "ok" else None
        name = status if status in ENDED else "done"
        said, plateau = str(done[0].user_attrs.get("message", "")), done[0].user_attrs.get("plateau")
        known = None if plateau is None else bool(plateau)
        sizes = _sizes(cell, done[0].user_attrs)
        return CellState(cell, name, said, score=score, plateau=known, seconds=_seconds(done[0]), sizes=sizes)
    running = by_state[TrialState.RUNNING]
    if live := next((trial for trial in running if not worker_is_gone(trial)), None):
        return _running(cell, live, silent.get(trial_id(live)))
    if by_state[TrialState.WAITING]:
        reached = max(map(_checkpoint_epoch, attempts))
        return CellState(cell, "waiting", f"goes on from epoch {reached}" if reached > 0 else "")
    if running:
        worker = running[0].user_attrs.get("worker")
        return CellState(cell, "lost", f"worker {worker} is gone; the next run takes the cell up", retry=True)
    return _failed(cell, by_state[TrialState.FAIL])


def _sizes(cell: str, known: Mapping[str, object]) -> str:
    """Sizes of the network that a trial has beside the values that name its cell."""
    named = values_of(cell)
    units = {"kernel_size": "K = {}", "channels": "{} channels", "depth": "depth {}", "field": "field {}"}
    found = {name: text.format(known[name]) for name, text in units.items() if name in known and name not in named}
    return ", ".join(found.values())


def _running(cell: str, trial: FrozenTrial, silent_s: float | None) -> CellState:
    progress = progress_of(trial)
    said = [f"worker {trial.user_attrs.get('worker', 'unknown')}"]
    said += [] if progress is None else [progress.text]
    said += [] if silent_s is None else [f"last heartbeat {silent_s:.0f} s ago"]
    return CellState(cell, "running", ", ".join(said), progress=progress)


def _seconds(trial: FrozenTrial) -> float | None:
    """Time of an ended cell, for an estimate; None where the attribute is not what kernbench writes."""
    stored = trial.user_attrs.get("wall_s")
    return float(stored) if isinstance(stored, int | float) and 0 <= stored < math.inf else None


def _failed(cell: str, failures: Sequence[FrozenTrial]) -> CellState:
    status = failure_class(failures[-1])
    said, retry = status, status == "interrupted"
    if status == "killed":
        in_a_row = killed_in_a_row(failures)
        said, retry = f"killed {counted(in_a_row, 'time')} in a row", in_a_row < KILLED_LIMIT
    detail = ": ".join(filter(None, [said, str(failures[-1].user_attrs.get("error", ""))]))
    return CellState(cell, "failed", detail, retry=retry)


def failure_class(trial: FrozenTrial) -> str:
    """Class of a failed attempt: what it wrote of itself, or killed.

    A worker that was killed between its result and the end of its trial has written the status of a result, which is
    not read.
    """
    status = str(trial.user_attrs.get("status", "killed"))
    return "killed" if status in DONE else status


def killed_in_a_row(failures: Sequence[FrozenTrial]) -> int:
    """How many attempts at the end were killed without getting further than those before."""
    count = 0
    for index in reversed(range(len(failures))):
        if failure_class(failures[index]) != "killed":
            break
        count += 1
        reached = _checkpoint_epoch(failures[index])
        if reached > max((_checkpoint_epoch(trial) for trial in failures[:index]), default=-1):
            break
    return count


def _checkpoint_epoch(trial: FrozenTrial) -> int:
    return int(trial.user_attrs.get("checkpoint_epoch", -1))
