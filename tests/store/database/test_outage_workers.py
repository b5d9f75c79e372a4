"""Workers and coordinator beside a database that goes away: processes, and what they say."""

import collections
import json
import sqlite3
import threading
import time

import pytest
from fake_worker import coordinate, executed
from fakes import NINE, THIRTY_THREE
from optuna.trial import TrialState

from kernbench.errors import StorageLostError
from kernbench.store.database import opening, outage


def times(**seconds):
    """An environment for fake workers."""
    return {"FAKE_TIMES": json.dumps(seconds)}


def trials(world, study, *states):
    """Trials of a study; `world.trials` would write another study's file under the workers."""
    found = world.optuna_study(study).get_trials(deepcopy=False)
    return [trial for trial in found if not states or trial.state in states]


def once_reported(world, study, count, call):
    """Call something once so many cells are in the middle."""

    def watch():
        deadline = time.monotonic() + 120
        while sum(bool(trial.intermediate_values) for trial in trials(world, study, TrialState.RUNNING)) < count:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        call()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def logs(world):
    """What the workers said."""
    return [log.read_text() for log in (world.folder / "kernbench.logs").iterdir()]


def outage_lines(text):
    return ["does not answer" in line for line in text.splitlines() if line.startswith("storage ")]


slow = pytest.mark.slow
dead_connections = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@slow
@dead_connections
@pytest.mark.timeout(300)
def test_workers_outlive_a_server_that_stops_and_starts_in_the_middle(postgres_world, server):
    world = postgres_world
    study = world.study([9, 33, 3, 5, 7])

    def stop_and_start():
        server.stop()
        time.sleep(3)  # so long it is unavailable
        server.start()

    world.run(study, queue_only=True)
    watch = once_reported(world, study, 2, stop_and_start)
    environment = times(heartbeat=1, grace=60) | {"PGTZ": "America/New_York"}  # heartbeats carry no zone
    deeds = {9: "meet,report", 33: "meet,report"}
    result = coordinate(world, study, 2, deeds, environment=environment, heartbeat_s=1, grace_s=60)
    watch.join()
    assert set(world.states(result).values()) == {"done"}
    assert collections.Counter(executed(world)) == dict.fromkeys(study.cells(), 1)
    # nothing failed; a worker that finds the queue empty may leave a pruned trial without a cell
    assert {trial.state for trial in trials(world, study)} <= {TrialState.COMPLETE, TrialState.PRUNED}
    complete = trials(world, study, TrialState.COMPLETE)
    assert len(complete) == 5
    said = logs(world)
    assert [outage_lines(text) for text in said] == [[True, False]] * 2, said
    assert outage_lines("\n".join(world.observer.notes)) == [True, False]
    epochs = [len(t.intermediate_values) for t in complete if t.user_attrs["cell"] in (NINE, THIRTY_THREE)]
    assert epochs == [30, 30]


@pytest.fixture(params=["sqlite", "postgres"])
def unavailable(request, monkeypatch):
    """A world, what makes its database unavailable and available again, and how many of two workers notice at least."""
    world = request.getfixturevalue(f"{request.param}_world")
    if request.param == "postgres":
        server = request.getfixturevalue("server")
        yield world, server.stop, server.start, 2
        return
    foreign = sqlite3.connect(world.database, isolation_level=None, timeout=60, check_same_thread=False)
    monkeypatch.setattr(opening, "LOCK_TIMEOUT_S", 2)
    yield world, lambda: foreign.execute("BEGIN IMMEDIATE"), lambda: foreign.execute("ROLLBACK"), 1
    foreign.close()


@slow
@dead_connections
@pytest.mark.timeout(300)
def test_a_database_that_never_comes_back_ends_everything_with_code_3_and_the_next_run_completes(
    unavailable, monkeypatch
):
    world, begin, end, least = unavailable
    study = world.study([9, 33, 3])
    world.run(study, queue_only=True)
    monkeypatch.setattr(outage, "OUTAGE_S", 3.0)
    watch = once_reported(world, study, 2, begin)
    environment = times(outage=2, heartbeat=1, grace=60, lock=1)
    try:
        with pytest.raises(StorageLostError, match="became unavailable") as error:
            coordinate(world, study, 2, {9: "meet,report", 33: "meet,report"}, environment=environment)
    finally:
        watch.join()
        end()
    assert error.value.exit_code == 3
    assert "\n" not in str(error.value)
    said = logs(world)
    ended = [text.count("kernbench: storage") for text in said if "became unavailable" in text]
    assert ended in ([1] * least, [1, 1]), said
    assert not any("Traceback" in text for text in said)
    monkeypatch.setattr(outage, "OUTAGE_S", 300.0)
    assert set(world.states(coordinate(world, study, 2)).values()) == {"done"}
    assert executed(world).count("kernel_size=3,seed=0") == 1
    assert len(trials(world, study, TrialState.COMPLETE)) == 3


@slow
@pytest.mark.timeout(300)
def test_a_foreign_lock_of_less_than_the_timeout_is_not_noticed(sqlite_world):
    world = sqlite_world
    study = world.study([9, 33, 3])
    world.run(study, queue_only=True)

    def hold():
        foreign = sqlite3.connect(world.database, isolation_level=None, timeout=60)
        foreign.execute("BEGIN IMMEDIATE")
        time.sleep(6)  # longer than sqlite3 waits unless it is asked to
        foreign.execute("ROLLBACK")
        foreign.close()

    watch = once_reported(world, study, 1, hold)
    result = coordinate(world, study, 2, {9: "report"}, environment=times(heartbeat=1, grace=90))
    watch.join()
    assert set(world.states(result).values()) == {"done"}
    assert collections.Counter(executed(world)) == dict.fromkeys(study.cells(), 1)
    assert "does not answer" not in "\n".join([*logs(world), *world.observer.notes])
