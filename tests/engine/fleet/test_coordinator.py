"""Many workers on one host: each cell once, the dead replaced, the deaf ended, signals passed on. Real processes."""

import collections
import os
import signal
import sys
import threading

import fake_worker
import pytest
from fake_worker import coordinate, executed
from fakes import NINE, THIRTY_THREE
from forked import Forked
from optuna.trial import TrialState
from worlds import wait_until

from kernbench.engine.fleet import coordinator
from kernbench.engine.fleet.children import threads_each
from kernbench.engine.work.time_limit import Limit
from kernbench.errors import StorageLostError, WorkersError
from kernbench.store.tables import cell_states

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


KILLED_LIMIT = 3


@pytest.fixture
def held_soon(monkeypatch):
    """Cells are held after fewer ends of their worker than usual."""
    for module in (coordinator, cell_states):
        monkeypatch.setattr(module, "KILLED_LIMIT", KILLED_LIMIT)


def notes(world):
    """Everything that was said."""
    return "\n".join(world.observer.notes)


def test_cells_are_shared_run_once_and_told_once(world):
    study = world.study(range(3, 15, 2))
    made = []
    result = coordinate(world, study, 3, prepare=lambda: made.append(1))
    assert result.exit_code == 0
    assert set(world.states(result).values()) == {"done"}
    assert collections.Counter(executed(world)) == dict.fromkeys(study.cells(), 1)
    assert made == [1]  # the data, once, before any worker starts
    told = world.observer.told
    assert {cell for cell, *_ in told} == set(study.cells())
    assert [position for _, position, _, _ in told] == [1, 2, 3, 4, 5, 6]
    assert {total for _, _, total, _ in told} == {6}
    assert {worker.partition(" (")[0] for *_, worker in told} <= {"worker 1", "worker 2", "worker 3"}
    # the same again starts nothing
    assert coordinate(world, study, 3).exit_code == 0
    assert len(executed(world)) == 6


def test_epoch_and_loss_of_each_worker_and_the_time_left_are_told(world):
    study = world.study([9, 33, 65])
    deeds = {9: "meet,report", 33: "meet,nap", 65: "meet,nap"}
    coordinate(world, study, 2, deeds, environment={"FAKE_TIMES": '{"progress": 0}'})
    known = [state for running, _ in world.observer.crew for state in running.values() if state.progress is not None]
    assert {(state.cell, state.progress.epochs, state.progress.loss) for state in known} == {(NINE, 30, 0.25)}
    epochs = [state.progress.epoch for state in known]
    assert epochs == sorted(epochs)
    assert len(set(epochs)) > 1
    workers = {worker.partition(" (")[0] for running, _ in world.observer.crew for worker in running}
    assert workers == {"worker 1", "worker 2"}
    # nothing is known before a cell is finished; then it is said from how many
    assert world.observer.crew[0][1] == ""
    assert any("estimate from 2 cells" in left for _, left in world.observer.crew)
    assert world.observer.crew[-1] == ({}, "")


def test_a_worker_that_dies_is_replaced_and_its_cell_held_after_the_limit(world, held_soon):
    study = world.study([9, 33, 65, 129])
    once, exits = "kernel_size=65,seed=0", "kernel_size=129,seed=0"
    result = coordinate(world, study, 1, {9: "segv", 65: "first-segv", 129: "exit"})
    assert world.states(result) == {NINE: "failed", THIRTY_THREE: "done", once: "done", exits: "failed"}
    assert result.exit_code == 1
    assert collections.Counter(executed(world)) == {NINE: KILLED_LIMIT, THIRTY_THREE: 1, once: 2, exits: KILLED_LIMIT}
    assert f"killed {KILLED_LIMIT} times" in result.states[0].detail
    assert "SIGSEGV" in result.states[0].detail
    assert "exit code 7" in result.states[3].detail
    errors = {trial.user_attrs["error"] for trial in world.trials(TrialState.FAIL)}
    assert errors == {"its worker was ended by SIGSEGV", "its worker ended with exit code 7"}
    for said in ("SIGSEGV", "Segmentation fault", "it is queued again"):  # the second from the end of its log
        assert said in notes(world)
    # nothing is left of the scratch folders of those that died
    assert list((world.folder / "kernbench.checkpoints").iterdir()) == []


def test_a_plugin_that_interrupts_itself_is_not_tried_for_ever(world, held_soon):
    study = world.study([9])
    with pytest.raises(WorkersError, match=r"exit code 130.*the cells stay queued"):
        coordinate(world, study, 1, {9: "interrupt"})
    assert len(executed(world)) == KILLED_LIMIT
    assert len(world.trials(TrialState.WAITING)) == 1


@pytest.mark.parametrize("deed", ["hang", "hold"])
def test_a_cell_that_never_returns_ends_as_timeout_and_the_others_finish(world, deed):
    result = coordinate(world, world.study(), 1, {9: deed}, Limit(8.0, 1.0))  # far more than the other cell needs
    assert world.states(result) == {NINE: "failed", THIRTY_THREE: "done"}
    assert result.states[0].detail.startswith("timeout: longer than the cell limit of 8s")
    assert not result.states[0].retry
    failed = world.trials(TrialState.FAIL)
    assert [each.user_attrs["cell_limit_s"] for each in failed] == [8.0]
    again = coordinate(world, world.study(), 1, {}, Limit(60.0, 60.0), retry_failed=True)
    assert set(world.states(again).values()) == {"done"}
    assert executed(world).count(NINE) == 2


def test_a_cell_that_asks_is_timed_out_between_two_batches_and_its_worker_stays(world):
    result = coordinate(world, world.study(), 1, {9: "slow"}, Limit(1.0, 100.0))
    assert world.states(result) == {NINE: "failed", THIRTY_THREE: "done"}
    assert result.states[0].detail.startswith("timeout: ")
    workers = {each.user_attrs["worker"] for each in world.trials(TrialState.FAIL, TrialState.COMPLETE)}
    assert len(workers) == 1


def test_workers_that_die_at_their_start_are_not_started_for_ever(world):
    with pytest.raises(WorkersError, match=r"exit code 4: no such thing.*cells stay queued") as error:
        coordinate(world, world.study(), 2, command=[sys.executable, "-c", "print('no such thing'); exit(4)"])
    assert error.value.exit_code == 1
    assert {trial.state for trial in world.trials()} == {TrialState.WAITING}


def test_workers_that_lose_the_database_at_their_start_end_the_run_with_code_3(world):
    with pytest.raises(StorageLostError) as error:
        coordinate(world, world.study(), 2, command=[sys.executable, "-c", "print('went away'); exit(3)"])
    assert error.value.exit_code == 3


def test_a_worker_that_is_refused_ends_the_run_at_once(world):
    command = [sys.executable, "-c", "print('kernbench: refused'); exit(2)"]
    with pytest.raises(WorkersError, match="exit code 2: refused"):
        coordinate(world, world.study([9]), 2, command=command)
    assert len(world.observer.notes) == 2
    assert len(list((world.folder / "kernbench.logs").iterdir())) == 1  # no more workers than cells


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_is_passed_on_and_every_cell_waits_again(world, number, code):
    study = world.study()
    threading.Thread(
        target=lambda: (wait_until(lambda: len(executed(world)) == 2), os.kill(os.getpid(), number))
    ).start()
    result = coordinate(world, study, 2, {9: "slow", 33: "slow"})
    assert (result.exit_code, result.stopped) == (code, True)
    assert set(world.states(result).values()) == {"waiting"}
    assert {each.user_attrs["status"] for each in world.trials(TrialState.FAIL)} == {"interrupted"}
    assert set(world.states(coordinate(world, study, 2)).values()) == {"done"}


def test_a_second_sigint_kills_deaf_workers_and_their_cells_wait_again(world):
    study = world.study()

    def interrupt_twice():
        wait_until(lambda: len(executed(world)) == 2)
        os.kill(os.getpid(), signal.SIGINT)
        wait_until(lambda: "stopping" in notes(world))
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt_twice).start()
    result = coordinate(world, study, 2, {9: "hang", 33: "hang"})
    assert (result.exit_code, result.stopped) == (130, True)
    assert set(world.states(result).values()) == {"waiting"}
    assert {each.user_attrs["status"] for each in world.trials(TrialState.FAIL)} == {"interrupted"}


def test_workers_leave_when_their_coordinator_is_killed_and_give_their_cells_back(world):
    study = world.study()
    process = Forked(fake_worker.coordinate_slow_cells, [world.url, world.folder])
    wait_until(lambda: len(executed(world)) == 2 or process.poll() is not None)
    process.kill()
    process.wait()

    def settled():
        return len(world.trials(TrialState.WAITING)) == 2 and not world.trials(TrialState.RUNNING)

    wait_until(settled)
    assert {each.user_attrs["status"] for each in world.trials(TrialState.FAIL)} == {"interrupted"}
    assert set(world.states(coordinate(world, study, 2)).values()) == {"done"}


def test_threads_are_shared_and_never_more_than_asked_for(monkeypatch):
    monkeypatch.setattr("kernbench.engine.fleet.children.cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert [threads_each(count) for count in (1, 2, 3, 8, 9)] == [8, 4, 2, 1, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert [threads_each(count) for count in (1, 2, 4, 8)] == [2, 2, 2, 1]
