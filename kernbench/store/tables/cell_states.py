"""The state of every cell, told from Optuna's trials: what is done, running, waiting, failed, and why."""

import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from optuna.trial import FrozenTrial, TrialState

from kernbench.store.tables.optuna_tables import trial_id
from kernbench.study.cell import DONE, ENDED, CellState

RETRIED = ("interrupted", "killed")
KILLED_LIMIT = 5


def this_worker() -> str:
    """Name of this process as it stands in a trial: host:pid."""
    return f"{socket.gethostname()}:{os.getpid()}"


def process_start(pid: int) -> str | None:
    """When a local process started, as the system counts it; None without such a process, "" if it cannot be told."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # no /proc here, another user's process is hidden, or it ended just now
        return ""
    return None if fields[0] == "Z" else fields[19]


def worker_is_gone(trial: FrozenTrial) -> bool:
    """Whether the trial's worker ran on this host and is no longer there (a number used again does not fool it)."""
    host, _, pid = str(trial.user_attrs.get("worker", "")).rpartition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    started, noted = process_start(int(pid)), trial.user_attrs.get("worker_start")
    return started is None or bool(started and noted and started != noted)


def cell_states(
    cells: Iterable[str], trials: Sequence[FrozenTrial], silent: Mapping[int, float] = MappingProxyType({})
) -> list[CellState]:
    """State of each cell.

    Args:
        cells: cell ids, in the order wanted.
        trials: all trials of the Optuna study.
        silent: trial id -> seconds since its last heartbeat, to tell of workers on other hosts.
    """
    of_cell: dict[str, list[FrozenTrial]] = {cell: [] for cell in cells}
    for trial in trials:
        cell = trial.user_attrs.get("cell")
        if cell in of_cell and not is_stray(trial):
            of_cell[cell].append(trial)
    return [_state(cell, attempts, silent) for cell, attempts in of_cell.items()]


def is_done(trial: FrozenTrial) -> bool:
    """Whether a trial is its cell's result: complete, or pruned as a draw that fell behind."""
    return trial.state == TrialState.COMPLETE or (trial.state == TrialState.PRUNED and not is_stray(trial))


def is_stray(trial: FrozenTrial) -> bool:
    """Whether a trial is nobody's attempt: a duplicate, or one that was put back into the queue."""
    return trial.state == TrialState.PRUNED and trial.user_attrs.get("status") not in DONE


def _state(cell: str, attempts: Sequence[FrozenTrial], silent: Mapping[int, float]) -> CellState:
    by_state = {state: [t for t in attempts if t.state == state] for state in TrialState}
    done = by_state[TrialState.COMPLETE] + by_state[TrialState.PRUNED]
    if done:
        status = str(done[0].user_attrs.get("status", "ok"))
        score = done[0].value if status == "ok" else None
        name = status if status in ENDED else "done"
        return CellState(cell, name, str(done[0].user_attrs.get("message", "")), score=score)
    running = by_state[TrialState.RUNNING]
    if any(not worker_is_gone(trial) for trial in running):
        live = next(trial for trial in running if not worker_is_gone(trial))
        beat = f", last heartbeat {silent[trial_id(live)]:.0f} s ago" if trial_id(live) in silent else ""
        return CellState(cell, "running", f"worker {live.user_attrs.get('worker', 'unknown')}{beat}")
    if by_state[TrialState.WAITING]:
        reached = max(map(_checkpoint_epoch, attempts))
        return CellState(cell, "waiting", f"goes on from epoch {reached}" if reached > 0 else "")
    if running:
        worker = running[0].user_attrs.get("worker")
        return CellState(cell, "lost", f"worker {worker} is gone; the next run takes the cell up", retry=True)
    if by_state[TrialState.FAIL]:
        return _failed(cell, by_state[TrialState.FAIL])
    return CellState(cell, "missing", retry=True)


def _failed(cell: str, failures: Sequence[FrozenTrial]) -> CellState:
    last = failures[-1]
    status = failure_class(last)
    detail = ": ".join(filter(None, [status, str(last.user_attrs.get("error", ""))]))
    if status == "killed":
        in_a_row = killed_in_a_row(failures)
        detail = ": ".join([f"killed {in_a_row} times in a row", *filter(None, [last.user_attrs.get("error")])])
        return CellState(cell, "failed", detail, retry=in_a_row < KILLED_LIMIT)
    return CellState(cell, "failed", detail, retry=status in RETRIED)


def failure_class(trial: FrozenTrial) -> str:
    """Class of a failed attempt: what it wrote of itself, or killed.

    Who was killed between its result and the end of its trial has written a result's status; nothing of it is read.
    """
    status = str(trial.user_attrs.get("status", "killed"))
    return "killed" if status in DONE else status


def killed_in_a_row(failures: Sequence[FrozenTrial]) -> int:
    """Attempts at the end that vanished without a word and without getting further than those before."""
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
