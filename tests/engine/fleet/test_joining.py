"""A worker that joins: takes what waits, gives back what it cannot end, and finishes what dead workers left."""

import functools
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import fakes
import pytest
from fakes import NINE, THIRTY_THREE
from optuna.trial import TrialState
from sqlalchemy import text
from worlds import claimed, dead_worker

from kernbench.engine.fleet.joining import Joined, WorkerTerms, serve
from kernbench.engine.work import storing
from kernbench.engine.work.time_limit import Limit
from kernbench.store.tables.liveness import silent_seconds
from kernbench.training.settings import Interrupted


@pytest.fixture
def queued(world):
    """A world with a queue of two cells."""
    world.run(queue_only=True)
    return world


def join(world, compute=None, studies=None, again=None, **terms):
    """Serve a study in this process."""

    def noted(context):
        world.executed.append(context.cell)
        return (compute or (lambda _: fakes.outcome()))(context)

    world.prepared = []
    joined = [
        Joined(
            study,
            fakes.find(study.family.name),
            list(study.cells()),
            functools.partial(world.prepared.append, study.key),
            again,
        )
        for study in studies or [world.study()]
    ]
    return serve(joined, WorkerTerms(world.url, **terms), noted, world.observer)


def states(world, study=None):
    """Cell -> state."""
    return world.states(world.run(study, queue_only=True))


def test_a_worker_runs_what_waits_and_leaves_with_0(queued):
    assert join(queued) == 0
    assert states(queued) == {NINE: "done", THIRTY_THREE: "done"}
    assert queued.prepared == ["mine.v1.quick/discrete"]
    assert not any("no cell waits" in note for note in queued.observer.notes)
    assert join(queued) == 0
    assert "no cell waits" in queued.observer.notes[-1]
    assert queued.prepared == []  # no data are made where no cell waits
    assert len(queued.executed) == 2


def test_a_worker_serves_two_families(world):
    studies = []
    for family in ("discrete", "siren"):
        world.found = fakes.find(family)
        studies.append(world.study())
        world.run(studies[-1], queue_only=True)
    assert join(world, studies=studies) == 0
    assert world.executed == [NINE, THIRTY_THREE] * 2
    for study in studies:
        assert set(states(world, study).values()) == {"done"}


def test_a_failed_cell_is_no_reason_to_fail(queued):
    assert join(queued, fakes.raises(ValueError("x"))) == 0
    assert queued.executed == [NINE, THIRTY_THREE]  # and it is not tried again and again


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_gives_the_cell_back(queued, number, code):
    def interrupt(context):
        os.kill(os.getpid(), number)
        assert context.stop()
        raise Interrupted("stopped in epoch 3")

    assert join(queued, interrupt) == code
    assert {t.user_attrs["status"] for t in queued.trials(TrialState.FAIL)} == {"interrupted"}
    assert states(queued) == {NINE: "waiting", THIRTY_THREE: "waiting"}
    assert queued.executed == [NINE]


def test_no_cell_is_begun_after_its_time(queued, monkeypatch):
    def slow(_context):
        monkeypatch.setattr(storing, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 4000))
        return fakes.outcome()

    assert join(queued, slow, stop_after_s=3600) == 0
    assert states(queued) == {NINE: "done", THIRTY_THREE: "waiting"}


def test_a_cell_of_a_worker_that_died_here_is_finished_by_another(queued):
    claimed(queued, worker=dead_worker())
    assert join(queued) == 0
    assert set(states(queued).values()) == {"done"}
    assert "has ended" in "\n".join(queued.observer.notes)


def test_a_cell_of_a_worker_that_went_silent_elsewhere_is_finished_by_the_last_one(queued):
    started = time.monotonic()  # before the beat of the claim
    claimed(queued, worker="elsewhere:1")
    assert join(queued, heartbeat_s=1, grace_s=3) == 0
    assert time.monotonic() - started > 2  # it could not be told from a live one before
    assert set(states(queued).values()) == {"done"}


def test_a_worker_that_beats_elsewhere_is_left_alone_and_nobody_waits_for_it(queued):
    _, trial_id = claimed(queued, worker="elsewhere:1")
    program = (
        "import sys, time; from kernbench.store.database.opening import open_storage; s = open_storage(sys.argv[1])\n"
    )
    program += "while True: s.record_heartbeat(int(sys.argv[2])); time.sleep(0.5)"
    command = [sys.executable, "-c", program, queued.url, str(trial_id)]
    beating = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        assert join(queued, heartbeat_s=1, grace_s=120) == 0
    finally:
        beating.kill()
        beating.wait()
    assert queued.executed == [THIRTY_THREE]
    assert states(queued)[NINE] == "running"


def test_silence_is_measured_by_the_database(queued):
    _, trial_id = claimed(queued, worker="elsewhere:1")
    engine = queued.storage().engine
    assert 0 <= silent_seconds(engine)[trial_id] < 60
    with engine.begin() as connection:
        connection.execute(text("UPDATE trial_heartbeats SET heartbeat = '2020-01-01 00:00:00'"))
    assert silent_seconds(engine)[trial_id] > 10**8


def test_a_cell_over_its_time_is_timed_out_recorded_and_goes_on_with_a_longer_limit(queued):
    def slow(context):
        context.saved(3)
        while not context.stop():
            time.sleep(0.01)
        raise Interrupted("asked to leave")

    assert join(queued, slow, limit=Limit(0.1, 60)) == 0
    failed = queued.trials(TrialState.FAIL)
    assert [t.user_attrs["status"] for t in failed] == ["timeout", "timeout"]
    assert {t.user_attrs["cell_limit_s"] for t in failed} == {0.1}
    assert all("cell limit of 0.1s" in t.user_attrs["error"] for t in failed)
    assert queued.observer.finished[0][1] == "timeout"
    assert states(queued) == {NINE: "failed", THIRTY_THREE: "failed"}
    again = queued.run(retry_failed=True, queue_only=True)
    assert {state.detail for state in again.states} == {"goes on from epoch 3"}


def test_cells_that_are_added_while_a_worker_runs_are_run_by_it_or_left_in_the_queue(queued):
    more = fakes.World(queued.folder, url=queued.url)
    larger = more.study([9, 33, 65])
    queued.study()  # the file as it was

    def extend(_context):
        if len(queued.executed) == 1:
            more.run(larger, queue_only=True, extend=True)
        return fakes.outcome()

    def serves(again):
        assert join(queued, extend, again=again) == 0
        return states(queued, larger)

    added = "kernel_size=65,seed=0"
    assert serves(None) == {NINE: "done", THIRTY_THREE: "done", added: "waiting"}
    now = Joined(larger, queued.found, list(larger.cells()), lambda: None)
    assert serves(lambda: now) == dict.fromkeys([NINE, THIRTY_THREE, added], "done")
    assert queued.executed == [NINE, THIRTY_THREE, added]
    more.close()


def test_an_interruption_within_the_limit_is_none_of_its_doing(queued):
    def interrupted(_context):
        raise Interrupted("by itself")

    with pytest.raises(KeyboardInterrupt):
        join(queued, interrupted, limit=Limit(60, 60))
    assert {t.user_attrs["status"] for t in queued.trials(TrialState.FAIL)} == {"interrupted"}
