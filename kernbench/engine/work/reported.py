"""An observer that passes everything on, and keeps how far the cell is for other processes to read."""

import functools
import math
import time
from collections.abc import Sequence
from contextlib import suppress

import optuna

from kernbench.store.database.storage import SteadyStorage
from kernbench.store.tables.optuna_tables import trial_id
from kernbench.store.tables.trial_progress import write_progress
from kernbench.study.cell import CellState, Observer
from kernbench.study.progress import Progress

BETWEEN_S = 5.0  # an epoch may take milliseconds, and every write takes some, too


class Reported(Observer):
    """Shows what `shown` shows; progress goes to the database with the next heartbeat or score that is written anyway.

    Args:
        shown: the observer of the run.
        storage: open storage.
        trial: the claimed one.
    """

    def __init__(self, shown: Observer, storage: SteadyStorage, trial: optuna.Trial) -> None:
        self._shown, self._storage, self._trial = shown, storage, trial_id(trial)
        self._last = time.monotonic()
        storage.beside.clear()  # a process runs one trial at a time: what is left is of one that has ended

    def cell_started(self, cell: str, position: int, total: int) -> None:
        """Pass it on."""
        self._shown.cell_started(cell, position, total)

    def epoch(self, epoch: int, epochs: int, loss: float, score: float | None, seconds: float) -> None:
        """Keep it, and pass it on."""
        with suppress(Exception):  # it is only shown, and must not fail the cell
            self._keep(epoch, epochs, float(loss), seconds)
        self._shown.epoch(epoch, epochs, loss, score, seconds)

    def cell_finished(self, cell: str, status: str, summary: str) -> None:
        """Pass it on."""
        self._shown.cell_finished(cell, status, summary)

    def cell_told(self, state: CellState, position: int, total: int, worker: str) -> None:
        """Pass it on."""
        self._shown.cell_told(state, position, total, worker)

    def crew_told(self, running: Sequence[tuple[str, CellState]], left: str) -> None:
        """Pass it on."""
        self._shown.crew_told(running, left)

    def note(self, text: str) -> None:
        """Pass it on."""
        self._shown.note(text)

    def _keep(self, epoch: int, epochs: int, loss: float, seconds: float) -> None:
        now = time.monotonic()
        if now - self._last < BETWEEN_S or not math.isfinite(loss):
            return
        self._last = now
        progress = Progress(epoch, epochs, loss, (epochs - epoch) * seconds / epoch)
        self._storage.beside[self._trial] = functools.partial(write_progress, trial=self._trial, progress=progress)
