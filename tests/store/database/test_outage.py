"""A database that is unavailable: calls wait and are repeated without harm; an outage costs no cell anything."""

import collections
import sqlite3
import threading
import time

import fakes
import optuna
import pytest
from fakes import NINE, THIRTY_THREE
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import TrialState
from sqlalchemy import event, exc, text

from kernbench.engine.work.time_limit import Limit
from kernbench.store.database import opening, outage
from kernbench.store.database import storage as steady
from kernbench.store.database.outage import Outages, is_outage
from kernbench.store.tables import optuna_rows
from kernbench.store.tables.cell_states import cell_states

LOCKED = exc.OperationalError("UPDATE", {}, sqlite3.OperationalError("database is locked"))
REFUSED = exc.OperationalError("SELECT", {}, ConnectionRefusedError("connection refused"))


def wrapped(error):
    """An error of the database as Optuna passes it on."""
    try:
        raise optuna.exceptions.StorageInternalError("An exception is raised during the commit.") from error
    except optuna.exceptions.StorageInternalError as raised:
        return raised


OUTAGES = [LOCKED, REFUSED, wrapped(LOCKED), wrapped(REFUSED)]
OTHERS = [
    *(None, ValueError("x"), optuna.exceptions.UpdateFinishedTrialError("x")),
    exc.IntegrityError("INSERT", {}, sqlite3.IntegrityError("UNIQUE constraint failed")),
    exc.OperationalError("INSERT", {}, sqlite3.OperationalError("database or disk is full")),
    wrapped(exc.DataError("INSERT", {}, ValueError("too long"))),
]


@pytest.mark.parametrize("error", [*OUTAGES, *OTHERS])
def test_outages_are_a_lock_and_a_server_that_is_not_there_alone(error):
    assert is_outage(error) == (error in OUTAGES)


def test_every_method_of_a_storage_waits():
    # no worker deletes studies
    calls = BaseStorage.__abstractmethods__ - {"delete_study"}
    assert {name for name in calls if name not in vars(steady.SteadyStorage)} == set()
    # called by the cached storage, which Optuna puts before ours
    private = {"_create_new_trial", "_set_trial_param", "_get_trials", "_get_best_trial_id", "_get_stale_trial_ids"}
    assert private <= set(vars(steady.SteadyStorage))


def after_a_while(call, seconds):
    """Do something later, in another thread."""
    timer = threading.Timer(seconds, call)
    timer.start()
    return timer


class Outage:
    """A call that fails until it is over."""

    def __init__(self, times):
        self.left, self.calls = times, 0

    def __call__(self):
        self.calls += 1
        if self.calls <= self.left:
            raise wrapped(LOCKED)
        return "done"


def test_a_call_is_repeated_and_two_lines_are_said():
    outages, said = Outages("mine"), []
    outages.say = said.append
    assert outages.outlast(Outage(2)) == "done"
    assert [line.partition(" after ")[0] for line in said] == [
        "storage mine does not answer (database is locked); waiting for it, up to 300 s",
        "storage mine answers again",
    ]


def test_the_wait_is_bounded_and_later_calls_do_not_wait_again():
    outages, call = Outages("mine", seconds=0.3), Outage(10**6)
    with pytest.raises(optuna.exceptions.StorageInternalError):
        outages.outlast(call)
    calls = call.calls
    with pytest.raises(optuna.exceptions.StorageInternalError) as error:
        outages.outlast(call)
    assert call.calls == calls
    assert is_outage(error.value)


def test_a_process_that_is_to_leave_waits_for_little_more(monkeypatch):
    monkeypatch.setattr(outage, "LEAVING_S", 0.2)
    outages, leave = Outages("mine", seconds=3600), threading.Event()
    outages.leaving = leave.is_set
    after_a_while(leave.set, 0.3)
    with pytest.raises(optuna.exceptions.StorageInternalError):
        outages.outlast(Outage(10**6))


def test_the_clock_stops_while_a_call_waits():
    outages = Outages("mine")
    before, began = outages.clock(), time.monotonic()
    outages.outlast(Outage(3))
    passed = time.monotonic() - began
    assert passed > 0.5
    assert outages.clock() - before < passed / 2


WRITES = ["set_trial_user_attr", "_set_trial_param", "set_trial_intermediate_value"]


@pytest.mark.parametrize("method", [*WRITES, "set_trial_state_values", "_get_trials"])
def test_a_write_whose_answer_was_lost_is_done_once(world, monkeypatch, method):
    usual, lost = getattr(RDBStorage, method), collections.Counter()

    def stored_but_not_answered(self, *arguments, **named):
        done = usual(self, *arguments, **named)
        claim = method == "set_trial_state_values" and TrialState.RUNNING in (*arguments, *named.values())
        lost[method] += not claim
        if lost[method] % 3 == 1 and not claim:
            raise wrapped(LOCKED)
        return done

    def compute(context):
        context.report(1, 0.5)
        context.saved(1)
        return fakes.outcome()

    monkeypatch.setattr(RDBStorage, method, stored_but_not_answered)
    result = world.run(compute=compute)
    monkeypatch.undo()
    assert lost[method] > 1
    assert world.states(result) == {NINE: "done", THIRTY_THREE: "done"}
    assert sorted(world.executed) == sorted([NINE, THIRTY_THREE])
    assert len(world.trials(TrialState.COMPLETE)) == 2
    assert [trial.intermediate_values for trial in world.trials(TrialState.COMPLETE)] == [{1: 0.5}] * 2


def test_cells_whose_queueing_was_stored_and_not_answered_are_queued_once(world, monkeypatch):
    usual, lost = optuna_rows.add_waiting, []

    def queued_but_not_answered(connection, *arguments):
        usual(connection, *arguments)
        if not lost:
            lost.append(connection)
            connection.commit()
            raise LOCKED

    monkeypatch.setattr(optuna_rows, "add_waiting", queued_but_not_answered)
    assert world.states(world.run()) == {NINE: "done", THIRTY_THREE: "done"}
    assert len(lost) == 1
    assert sorted(world.executed) == sorted([NINE, THIRTY_THREE])
    assert [len(world.trials(state)) for state in (TrialState.COMPLETE, TrialState.PRUNED)] == [2, 0]


def test_a_claim_whose_answer_was_lost_is_given_to_the_next_after_the_grace_period(world, monkeypatch):
    usual, lost = RDBStorage.set_trial_state_values, []

    def claimed_but_not_answered(self, trial_id, state, values=None):
        done = usual(self, trial_id, state, values)
        if state == TrialState.RUNNING and not lost:
            lost.append(trial_id)
            raise wrapped(LOCKED)
        return done

    monkeypatch.setattr(RDBStorage, "set_trial_state_values", claimed_but_not_answered)
    monkeypatch.setattr(steady, "SETTLING_BEATS", 0)
    assert world.states(world.run(heartbeat_s=1, grace_s=600)) == {NINE: "running", THIRTY_THREE: "done"}
    with world.storage().engine.begin() as connection:
        connection.execute(text("UPDATE trials SET datetime_start = '2020-01-01 00:00:00' WHERE state = 'RUNNING'"))
    assert set(world.states(world.run(heartbeat_s=1, grace_s=600)).values()) == {"done"}
    assert world.executed == [THIRTY_THREE, NINE]


def test_a_result_whose_transaction_broke_is_written_completely_and_once(world):
    opened, broken = world.storage(), []

    def cut(_connection, _cursor, statement, *_others):
        if statement.startswith("INSERT INTO kernbench_score") and not broken:
            broken.append(statement)
            raise LOCKED

    study = world.study([9])
    world.run(study, queue_only=True)
    event.listen(opened.engine, "before_cursor_execute", cut)
    (world.folder / "kernbench.artifacts").mkdir(exist_ok=True)
    fakes.work(world.optuna_study(study, opened), world.job(study, opened, lambda _: fakes.outcome()))
    assert len(broken) == 1
    with opened.engine.connect() as connection:
        rows = connection.execute(text("SELECT count(*) FROM kernbench_score")).scalar()
        assert connection.execute(text("SELECT trial, status FROM kernbench_run")).fetchall() == [(0, "ok")]
    assert rows == 2 * fakes.TOLERANCES * fakes.LINES


@pytest.fixture
def foreign(sqlite_world, monkeypatch):
    """A foreign connection that can hold the lock for longer than one call waits."""
    monkeypatch.setattr(opening, "LOCK_TIMEOUT_S", 0.2)
    fakes.prepared(sqlite_world, [9, 33])
    connection = sqlite3.connect(sqlite_world.database, isolation_level=None, check_same_thread=False)
    yield connection
    connection.close()


def test_a_lock_past_the_timeout_is_waited_for(sqlite_world, foreign):
    def compute(context):
        if context.params["kernel_size"] == 9:
            foreign.execute("BEGIN IMMEDIATE")
            after_a_while(lambda: foreign.execute("ROLLBACK"), 1.5)
            context.report(1, 0.5)
        return fakes.outcome()

    result = sqlite_world.run(compute=compute)
    assert set(sqlite_world.states(result).values()) == {"done"}
    assert sqlite_world.executed == [NINE, THIRTY_THREE]
    lines = [note for note in sqlite_world.observer.notes if note.startswith("storage ")]
    assert ["does not answer" in line for line in lines] == [True, False]


def test_waiting_is_no_time_of_the_cell(sqlite_world, foreign):
    over = []

    def compute(context):
        foreign.execute("BEGIN IMMEDIATE")
        after_a_while(lambda: foreign.execute("ROLLBACK"), 8)
        context.report(1, 0.5)
        over.append(context.stop())
        return fakes.outcome()

    result = sqlite_world.run(sqlite_world.study([9]), compute, limit=Limit(7.0))
    assert over == [False]
    assert sqlite_world.states(result) == {NINE: "done"}
    with sqlite_world.storage().engine.connect() as connection:
        (seconds,) = connection.execute(text("SELECT seconds FROM kernbench_run")).one()
    assert seconds < 7.0


def test_no_worker_counts_as_silent_just_after_an_outage(world):
    world.run(queue_only=True)
    opened = world.storage(interval=1, grace=2)
    trial_id = world.optuna_study(storage=opened)._pop_waiting_trial_id()
    with opened.engine.begin() as connection:
        connection.execute(text("UPDATE trial_heartbeats SET heartbeat = '2020-01-01 00:00:00'"))
    opened.outages.ended = time.monotonic() + 3600  # the end of an outage, and no time passes
    optuna.storages.fail_stale_trials(world.optuna_study(storage=opened))
    assert opened.get_trial(trial_id).state == TrialState.RUNNING
    opened.outages.ended = None
    deadline = time.monotonic() + 300  # a server that has just started is an outage, too
    while opened.get_trial(trial_id).state == TrialState.RUNNING and time.monotonic() < deadline:
        optuna.storages.fail_stale_trials(world.optuna_study(storage=opened))
    assert opened.get_trial(trial_id).state == TrialState.FAIL


def test_an_attempt_cut_off_between_its_result_and_its_end_is_made_again(world):
    def result_stored_then_killed(_context):
        running = world.trials(TrialState.RUNNING)[0]
        world.storage().set_trial_user_attr(running._trial_id, "status", "ok")
        world.storage().set_trial_state_values(running._trial_id, TrialState.FAIL)
        return fakes.outcome()

    study = world.study([9])
    world.run(study, result_stored_then_killed)
    (state,) = cell_states(study.cells(), world.trials())
    assert (state.state, state.retry) == ("failed", True)
    assert world.states(world.run(study)) == {NINE: "done"}
