"""Many workers on one host: started, watched, replaced when they die, asked to leave when this process is."""

import signal
import time
from collections.abc import Callable, Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState

from kernbench.engine.fleet.children import Child, Crew, start, wait_for_all
from kernbench.engine.queue.queueing import requeue
from kernbench.engine.queue.recovery import fail_attempts, recover
from kernbench.engine.work.storing import made_folder
from kernbench.engine.work.terms import Terms
from kernbench.engine.work.time_limit import TIMED_OUT
from kernbench.engine.work.worker import handling, opened_study, prepared, stop_on_signals
from kernbench.errors import StorageLostError, WorkersError, counted
from kernbench.store.database.opening import read_storage
from kernbench.store.database.storage import SteadyStorage
from kernbench.store.files.scratch import remove_abandoned
from kernbench.store.tables.cell_states import KILLED_LIMIT, cell_states
from kernbench.store.tables.optuna_tables import close
from kernbench.study.cell import CellState, Observer
from kernbench.study.study import Study
from kernbench.study.time_left import time_left

POLL_S = 0.5
RECOVER_S = 15.0
LEAVE_S = 60.0  # for a batch, a checkpoint, and to put the cell back into the queue
STARTS = 3  # workers in a row that end before they take up a cell
SETTLED = ("done", "diverged", "pruned", "failed")


def coordinate(
    optuna_study: optuna.Study,
    study: Study,
    storage: SteadyStorage,
    terms: Terms,
    crew: Crew,
    prepare: Callable[[], None],
    observer: Observer,
) -> tuple[int, bool]:
    """Prepare, then keep worker processes on a study until no cell waits or a signal comes.

    Args:
        optuna_study: Optuna's, with its queue.
        study: the study.
        storage: open storage.
        terms: how cells are run.
        crew: how many workers, and how each is started.
        prepare: called once before the first worker starts.
        observer: who shows progress.

    Returns:
        Exit code, 130 after SIGINT, and whether a signal ended it.

    Raises:
        WorkersError: workers end before they take up a cell.
        StorageLostError: the same, because they lost the database.
    """
    remove_abandoned(made_folder(terms.url, "checkpoints"))
    with stop_on_signals() as stop:
        if not prepared(stop, prepare):
            return stop.exit_code, True
    signals: list[int] = []
    with handling(lambda number, _frame: signals.append(number)):  # none of them acts by itself
        return _Watch(optuna_study, study, storage, terms, crew, observer, signals).run()


class _Watch:
    """The workers, and which cells have been reported so far."""

    def __init__(
        self,
        optuna_study: optuna.Study,
        study: Study,
        storage: SteadyStorage,
        terms: Terms,
        crew: Crew,
        observer: Observer,
        signals: Sequence[int],
    ) -> None:
        self._optuna_study, self._study, self._storage, self._terms = optuna_study, study, storage, terms
        self._crew, self._observer, self._signals = crew, observer, signals
        self._cells = terms.cells_of(study)
        self._logs = made_folder(terms.url, "logs")
        storage.outages.leaving = lambda: bool(signals)
        reader = read_storage(terms.url, storage.outages)  # reading every half second must hold no lock
        assert reader is not None  # the queue is in it
        self._seen = opened_study(study.key, reader)
        self._now: list[FrozenTrial] = []
        self._pause_s = POLL_S
        self._look()
        self._children: list[Child] = []
        self._names: dict[str, str] = {}  # of a worker in its trials -> on the screen
        self._in_vain = self._interrupted = 0
        self._given_up: Child | None = None
        self._recovered = time.monotonic()
        self._open = {state.cell for state in self._states() if state.state not in SETTLED}
        self._total, self._reported = len(self._open), 0

    def run(self) -> tuple[int, bool]:
        """Watch until nothing is left to do; see `coordinate`."""
        try:
            while not self._signals and not self._step():
                self._pause()
            if self._signals:
                return self._leave()
        except BaseException:
            self._end_all(signal.SIGTERM)
            raise
        finally:
            close(self._seen)
            remove_abandoned(made_folder(self._terms.url, "checkpoints"))  # of those that were killed
        if self._given_up is not None:
            self._report_failure(self._given_up)
        return 0, False

    def _step(self) -> bool:
        """Look at everything once; whether all is done."""
        self._look()
        self._reap()
        self._end_late_ones()
        self._recover_now_and_then()
        states = self._states()
        self._tell(states)
        self._staff(states)
        # one without a worker's name: its worker died just then, and the grace period finds it out
        return not self._children and all("worker" in each.user_attrs for each in self._trials(TrialState.RUNNING))

    def _look(self) -> None:
        """Read all trials: once in a step, because it takes long where thousands of cells wait."""
        started = time.monotonic()
        self._now = self._seen.get_trials(deepcopy=False)
        self._pause_s = max(POLL_S, 4 * (time.monotonic() - started))

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return [trial for trial in self._now if not states or trial.state in states]

    def _states(self) -> list[CellState]:
        return cell_states(self._cells, self._trials())

    def _of(self, child: Child, *states: TrialState) -> list[FrozenTrial]:
        return [each for each in self._trials(*states) if child.signed(each.user_attrs)]

    def _requeue(self) -> list[str]:
        queued = requeue(self._optuna_study, self._study, self._cells)
        self._look()
        return queued

    def _pause(self) -> None:
        until = time.monotonic() + self._pause_s
        while time.monotonic() < until and not self._signals:
            if any(child.process.poll() is not None for child in self._children):
                return
            time.sleep(0.05)

    def _staff(self, states: Sequence[CellState]) -> None:
        """As many workers as there are places, and no more than there are waiting cells for them."""
        waiting = sum(state.state == "waiting" for state in states)
        idle = sum(not self._of(child, TrialState.RUNNING) for child in self._children)
        while self._given_up is None and len(self._children) < self._crew.count and idle < waiting:
            taken = {child.place for child in self._children}
            place = next(each for each in range(self._crew.count) if each not in taken)
            child = start(self._crew, place, self._logs)
            self._children.append(child)
            self._names[child.name] = child.shown
            idle += 1

    def _reap(self) -> None:
        for child in [child for child in self._children if child.process.poll() is not None]:
            self._bury(child)
            self._children.remove(child)

    def _bury(self, child: Child) -> None:
        """Fail what a worker that has ended left running, queue those cells again, and say why it ended."""
        child.close()
        self._look()  # what it did in its last moments
        claimed = bool(self._of(child))
        code, left = child.process.returncode, self._of(child, TrialState.RUNNING)
        late = [each for each in left if each.number == child.late]
        if late:
            assert self._terms.limit is not None
            fail_attempts(self._optuna_study, late, status="timeout", error=self._terms.limit.said)
        others = [each for each in left if each.number != child.late]
        lost = {"status": "interrupted"} if code == StorageLostError.exit_code else {}  # not the cell's doing
        fail_attempts(self._optuna_study, others, error=f"its worker {child.end_words()}", **lost)
        if code not in (0, TIMED_OUT) and child.late is None:
            self._observer.note(f"{child.shown} {child.end_words()}; its log is {child.log}")
            for line in child.last_lines():
                self._observer.note(f"  | {line}")
        again = self._requeue()
        for cell in (str(trial.user_attrs.get("cell")) for trial in left):
            if cell in again:
                self._observer.note(f"cell {cell} was lost when {child.shown} ended; it is queued again")
        waits = any(state.state == "waiting" for state in self._states())
        self._in_vain = self._in_vain + 1 if not claimed and (code != 0 or waits) else 0
        # a worker may find that others were faster, several concurrently; but not again and again while cells wait
        patience = STARTS if code != 0 else STARTS + 3 * self._crew.count
        # a signal to a worker alone was sent by a user; again and again, it is a plugin that ends its own process
        interrupted = any(each.user_attrs.get("status") == "interrupted" for each in self._of(child))
        self._interrupted = self._interrupted + 1 if interrupted else 0
        # 2 is a refusal or a full disk: the next worker would meet it, too
        if code == 2 or self._in_vain >= patience or self._interrupted >= KILLED_LIMIT:
            self._given_up = child

    def _recover_now_and_then(self) -> None:
        """Fail attempts of other hosts that have gone silent, and queue cells that others put back."""
        if time.monotonic() - self._recovered < min(RECOVER_S, self._terms.grace_s):
            return
        self._recovered = time.monotonic()
        ours = [child.name for child in self._children]
        recover(self._optuna_study, self._storage, self._terms.grace_s, self._observer, ours)
        self._requeue()

    def _end_late_ones(self) -> None:
        """Kill a worker whose own watch could not end it: code that never lets go of the interpreter."""
        limit = self._terms.limit
        if limit is None or limit.margin is None:
            return
        now = self._storage.outages.clock()
        for child in self._children:
            trial = next((each.number for each in self._of(child, TrialState.RUNNING)), None)
            if trial != child.trial:
                child.trial, child.since = trial, now
            # its own watch, one margin earlier, comes first
            child.late = trial if now - child.since > limit.seconds + 2 * limit.margin else None
            if child.late is not None:  # nothing is written before it is dead: it may hold the lock of the database
                child.send(signal.SIGKILL)

    def _tell(self, states: Sequence[CellState]) -> None:
        """Each cell that has ended, once; then how far the others are."""
        named = [each.user_attrs for each in self._trials() if "worker" in each.user_attrs]
        workers = {each.get("cell"): str(each["worker"]) for each in named}
        running: list[tuple[str, CellState]] = []
        for state in states:
            worker = workers.get(state.cell, "")
            name = self._names.get(worker, f"worker {worker}")
            if state.state == "running":
                running += [(name, state)] if worker else []  # one that was claimed just now has not said by whom
            elif state.cell in self._open and state.state in SETTLED and not state.retry:
                self._open.discard(state.cell)
                self._reported += 1
                self._observer.cell_told(state, self._reported, self._total, name)
        left = time_left(states, self._crew.count)
        self._observer.crew_told(running, "" if left is None else left.text)

    def _leave(self) -> tuple[int, bool]:
        """Pass the signal on once, wait, and see to it that every cell waits again."""
        number = self._signals[0]
        workers = counted(len(self._children), "worker")
        what = "puts its cell" if len(self._children) == 1 else "put their cells"
        self._observer.note(f"stopping: {workers} {what} back into the queue (signal again to stop immediately)")
        children = self._end_all(number)
        self._look()
        for child in children:
            error = "stopped before it could put its cell back into the queue"
            left = self._of(child, TrialState.RUNNING)
            fail_attempts(self._optuna_study, left, status="interrupted", error=error)
        self._requeue()
        self._tell(self._states())
        return (130 if number == signal.SIGINT else 0), True

    def _end_all(self, number: int) -> list[Child]:
        """Ask all workers to leave, kill those that do not, or all when one more signal comes."""
        came = len(self._signals)
        for child in self._children:
            child.send(number)
        wait_for_all(self._children, LEAVE_S, lambda: len(self._signals) > came)
        children, self._children = self._children, []
        for child in children:
            child.close()
        return children

    def _report_failure(self, child: Child) -> None:
        """End with the last line of a worker; the cells stay queued."""
        last = next(iter(child.last_lines()[-1:]), "it printed nothing")
        said = f"{child.shown} {child.end_words()}: {last.removeprefix('kernbench: ')} (log {child.log})"
        if child.process.returncode == StorageLostError.exit_code:
            raise StorageLostError(said)
        raise WorkersError(f"workers keep ending: {said}; the cells stay queued, give the same command again")
