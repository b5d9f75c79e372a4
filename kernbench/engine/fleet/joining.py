"""A worker that joins studies from anywhere: everything it needs is in the database."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import optuna
from optuna.trial import TrialState

from kernbench.engine.queue.queueing import anything_waits, requeue, waiting_cells
from kernbench.engine.queue.recovery import recover
from kernbench.engine.work.storing import Job, StopFlag, make_job, note_other_plugins
from kernbench.engine.work.terms import Terms, opened
from kernbench.engine.work.worker import opened_study, stop_on_signals, work_and_give_back
from kernbench.errors import KernbenchError, counted
from kernbench.registry import Found
from kernbench.store.database.storage import SteadyStorage
from kernbench.store.tables.cell_states import ran_here
from kernbench.store.tables.liveness import silent_seconds
from kernbench.store.tables.optuna_tables import trial_id
from kernbench.study.cell import CellContext, Observer, Outcome
from kernbench.study.study import Params, Study

log = logging.getLogger("kernbench")

LAST_BATCH_S = 60.0  # that a worker whose coordinator has ended has for its batch and its checkpoint


@dataclass(frozen=True)
class Joined:
    """A study that a worker serves.

    Attributes:
        study: as this installation reads it.
        found: family and origin of its plugin.
        cells: ids of the cells that were ever asked for.
        prepare: makes the data, if they are not there.
        again: the same study as the database holds it by now; None where it cannot be looked up.
    """

    study: Study
    found: Found
    cells: Sequence[str]
    prepare: Callable[[], None]
    again: "Callable[[], Joined] | None" = None

    @property
    def params(self) -> dict[str, Params]:
        """Cell id -> parameters of the cells that were asked for."""
        return {cell: params for cell, params in self.study.cells().items() if cell in self.cells}


@dataclass(frozen=True)
class WorkerTerms(Terms):
    """How a worker works.

    Attributes:
        stop_after_s: seconds after which it begins no cell.
        coordinated: whether a coordinator watches it: through a pipe on standard input, whose end is that of the
            coordinator. The coordinator then looks after lost cells, too.
    """

    stop_after_s: float | None = None
    coordinated: bool = False


def serve(
    joined: Sequence[Joined],
    terms: WorkerTerms,
    compute: Callable[[CellContext], Outcome],
    observer: Observer,
) -> int:
    """Run waiting cells of studies until none waits and none can come back from a worker that has ended.

    Args:
        joined: the studies, served one after the other.
        terms: see WorkerTerms.
        compute: the task.
        observer: who shows progress.

    Returns:
        Exit code: 0, or 130 after SIGINT.

    Raises:
        StorageLostError: the database became unavailable; or another StorageError, when a folder or disk failed.
    """
    began = time.monotonic()  # opening the database may take a while
    with opened(terms, observer.note) as storage, stop_on_signals() as stop:
        storage.outages.leaving = stop
        if terms.coordinated:
            _leave_with_coordinator(stop)
        return _Worker(joined, terms, storage, stop, began, observer, compute).run()


class _Worker:
    def __init__(
        self,
        joined: Sequence[Joined],
        terms: WorkerTerms,
        storage: SteadyStorage,
        stop: StopFlag,
        began: float,
        observer: Observer,
        compute: Callable[[CellContext], Outcome],
    ) -> None:
        self._terms, self._storage, self._observer = terms, storage, observer
        self._stop, self._compute = stop, compute
        self._until = None if terms.stop_after_s is None else began + terms.stop_after_s
        self._studies = [(each, opened_study(each.study.key, storage), self._job(each)) for each in joined]
        self._strange: set[tuple[str, str]] = set()  # study and cell that were looked up and are still not known
        for each in joined:
            note_other_plugins(storage, each.study, each.found, observer)

    def _job(self, joined: Joined) -> Job:
        return make_job(
            self._terms.url,
            study=joined.study,
            found=joined.found,
            storage=self._storage,
            device=self._terms.device,
            compute=self._compute,
            observer=self._observer,
            stop=self._stop,
            total=0,
            cells=joined.params,
            limit=self._terms.limit,
            until=self._until,
            replaced=self._terms.coordinated,
        )

    def run(self) -> int:
        """Study after study, and again while cells come back."""
        worked = False
        while True:
            self._look_again()
            for joined, optuna_study, job in self._studies:
                self._take_back(joined, optuna_study)
                if not job.leaving() and anything_waits(optuna_study, job.cells):
                    worked = True
                    code = work_and_give_back(optuna_study, job, joined.prepare)
                    if self._stop():
                        return code
            if self._leaving():
                return self._stop.exit_code
            if not self._anything_waits() and not self._something_came_back():
                if not worked:
                    self._observer.note("no cell waits; `kernbench status` shows what is done, failed or running")
                return 0

    def _leaving(self) -> bool:
        return any(job.leaving() for _, _, job in self._studies)

    def _anything_waits(self) -> bool:
        self._look_again()
        return any(anything_waits(optuna_study, job.cells) for _, optuna_study, job in self._studies)

    def _look_again(self) -> None:
        """Read studies again for which cells wait that were added since."""
        for place, (joined, optuna_study, job) in enumerate(self._studies):
            cells = waiting_cells(optuna_study) - set(job.cells)
            added = {(joined.study.key, cell) for cell in cells} - self._strange
            if joined.again is None or not added:
                continue
            self._strange |= added
            try:
                fresh = joined.again()
            except KernbenchError as error:
                self._observer.note(f"warning: {error}; cells added since are left to other workers")
                continue
            self._studies[place] = (fresh, optuna_study, self._job(fresh))

    def _take_back(self, joined: Joined, optuna_study: optuna.Study) -> None:
        """Fail what workers that have ended left running, and queue what may be tried again."""
        if not self._terms.coordinated:
            recover(optuna_study, self._storage, self._terms.grace_s, self._observer)
            requeue(optuna_study, joined.study, list(joined.params))

    def _something_came_back(self) -> bool:
        """Wait until every worker that runs a cell of these studies elsewhere beats again or is known to have ended.

        A worker that died elsewhere a moment ago looks like one that works; the last one to leave must find out.
        """
        if self._terms.coordinated:
            return False
        unknown = self._elsewhere()
        if unknown:
            self._observer.note(
                f"no cell waits; checking whether workers elsewhere are alive ({counted(len(unknown), 'cell')})"
            )
        before = silent_seconds(self._storage.engine)
        pause = min(1.0, self._terms.heartbeat_s / 4)
        while unknown and not self._leaving():
            time.sleep(pause)
            now = silent_seconds(self._storage.engine)
            # a beat makes the silence shorter; without one it only grows
            unknown = {each for each in unknown if now.get(each, 0) >= before.get(each, 0)} & self._elsewhere()
            before = {each: max(before.get(each, 0), now.get(each, 0)) for each in unknown}
            for joined, optuna_study, _ in self._studies:
                self._take_back(joined, optuna_study)
            if self._anything_waits():
                return True
        return False

    def _elsewhere(self) -> set[int]:
        """Running trials of other hosts and containers; the end of a worker of this one is known immediately."""
        running = (TrialState.RUNNING,)
        trials = [t for _, study, _ in self._studies for t in study.get_trials(deepcopy=False, states=running)]
        return {trial_id(trial) for trial in trials if not ran_here(trial)}


def _leave_with_coordinator(stop: StopFlag) -> None:
    """Leave as on SIGTERM when the other end of standard input is closed: even SIGKILL closes it."""
    descriptor = sys.stdin.fileno()

    def watch() -> None:
        while os.read(descriptor, 1024):
            pass
        if stop.signal is None:
            log.warning("the coordinator has ended; this worker leaves")
            os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(LAST_BATCH_S)
        os._exit(1)  # hung in a plugin; the next run on this host finds the cell immediately

    threading.Thread(target=watch, name="kernbench-coordinator", daemon=True).start()
