"""Runs: missing cells are queued, run once, classed when they fail, and never run again when they are done."""

import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta

import fakes
import optuna
import pytest
import torch
from optuna.trial import TrialState
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from kernbench.engine import results
from kernbench.engine.reading import stored_states
from kernbench.engine.record import StopFlag
from kernbench.engine.results import RunRow, ScoreRow
from kernbench.engine.runner import Options, enqueue, plan
from kernbench.engine.states import KILLED_LIMIT
from kernbench.engine.worker import stop_on_signals, work
from kernbench.errors import StorageError, StudyError
from kernbench.training import Interrupted

NINE, THIRTY_THREE = "kernel_size=9,seed=0", "kernel_size=33,seed=0"


def raises(error):
    """A compute that raises for kernel size 9 only."""

    def compute(context):
        if context.params["kernel_size"] == 9:
            raise error
        return fakes.outcome()

    return compute


def kill_trial(world, study, cell=NINE):
    """Leave a RUNNING trial of a worker that is gone, as SIGKILL does."""
    opened = world.optuna_study(study)
    trial_id = opened._pop_waiting_trial_id()
    assert opened._storage.get_trial(trial_id).user_attrs["cell"] == cell
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    opened._storage.set_trial_user_attr(trial_id, "worker", f"{os.uname().nodename}:{process.pid}")


def test_a_run_fills_the_queue_and_runs_every_cell_once(world):
    result = world.run()
    assert world.states(result) == {NINE: "done", THIRTY_THREE: "done"}
    assert world.executed == [NINE, THIRTY_THREE]
    assert world.observer.started == [(NINE, 1, 2), (THIRTY_THREE, 2, 2)]
    assert [trial.value for trial in world.trials(TrialState.COMPLETE)] == [0.5, 0.5]


def test_a_run_after_success_queues_nothing_and_changes_nothing(world):
    world.run()
    before = world.trials()
    result = world.run()
    assert (list(result.plan.queue), len(world.executed)) == ([], 2)
    assert world.trials() == before


def test_a_dry_plan_writes_nothing(world):
    study = world.study()
    assert plan(study, Options(world.url)).queue == [NINE, THIRTY_THREE]
    assert not world.database.exists()
    world.run(study)
    content = world.database.read_bytes()
    assert plan(study, Options(world.url)).queue == []
    assert world.database.read_bytes() == content


def test_only_missing_cells_run(world):
    world.run(world.study([9]))
    world.run(world.study([9, 33]), extend=True)
    assert world.executed == [NINE, THIRTY_THREE]


def test_queue_only_runs_nothing_and_a_later_run_takes_the_queue(world):
    first = world.run(queue_only=True)
    assert world.states(first) == {NINE: "waiting", THIRTY_THREE: "waiting"}
    second = world.run(queue_only=True)
    assert second.plan.waiting == 2
    assert len(world.trials()) == 2
    world.run()
    assert len(world.trials()) == 2
    assert world.executed == [NINE, THIRTY_THREE]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("bad\nsecond line"), "error"),
        (SystemExit(3), "error"),
        (GeneratorExit(), "error"),
        (MemoryError(), "oom"),
        (torch.OutOfMemoryError("CUDA"), "oom"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "oom"),
        (RuntimeError("something else"), "error"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_cell_that_fails_is_classed_and_the_others_go_on(world, error, status):
    result = world.run(compute=raises(error))
    assert world.states(result) == {NINE: "failed", THIRTY_THREE: "done"}
    failed = world.trials(TrialState.FAIL)[0]
    assert failed.user_attrs["status"] == status
    assert failed.user_attrs["error"].startswith(type(error).__name__)
    assert "\n" not in failed.user_attrs["error"]
    assert world.observer.finished[0][:2] == (NINE, status)
    traceback = next((world.folder / "kernbench.artifacts").iterdir()).read_text()
    assert "Traceback" in traceback
    assert result.exit_code == 1  # the run says so, as make does


def test_failed_cells_stay_until_retry_failed_queues_exactly_them(world):
    world.run(world.study([9, 33, 65]), raises(ValueError("x")))
    again = world.run(world.study([9, 33, 65]))
    assert list(again.plan.queue) == []
    third = world.run(world.study([9, 33, 65]), retry_failed=True)
    assert list(third.plan.queue) == [NINE]
    assert set(world.states(third).values()) == {"done"}


def test_a_diverged_cell_is_a_result_and_never_runs_again(world):
    result = world.run(compute=lambda _context: fakes.diverged())
    assert set(world.states(result).values()) == {"diverged"}
    assert {trial.value for trial in world.trials(TrialState.COMPLETE)} == {-float("inf")}
    world.run(retry_failed=True)
    assert len(world.executed) == 2


def test_an_interrupted_cell_waits_again_and_is_not_counted_against_it(world):
    def interrupt(context):
        os.kill(os.getpid(), signal.SIGINT)
        assert context.stop()
        raise Interrupted("stopped in epoch 3")

    result = world.run(compute=interrupt)
    assert result.exit_code == 130
    assert world.states(result) == {NINE: "waiting", THIRTY_THREE: "waiting"}
    assert world.trials(TrialState.FAIL)[0].user_attrs["status"] == "interrupted"
    done = world.run()
    assert set(world.states(done).values()) == {"done"}
    assert (done.exit_code, world.executed) == (0, [NINE, THIRTY_THREE, NINE])


def test_sigterm_ends_with_exit_code_0_between_two_cells(world):
    def finish_then_stop(_context):
        os.kill(os.getpid(), signal.SIGTERM)
        return fakes.outcome()

    result = world.run(compute=finish_then_stop)
    assert result.exit_code == 0
    assert world.states(result) == {NINE: "done", THIRTY_THREE: "waiting"}


def test_a_signal_while_data_are_made_stops_at_once_and_leaves_the_queue(world):
    study = world.study()

    def prepare():
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("went on simulating")

    result = fakes.run(study, world.found, Options(world.url), lambda _: None, prepare, world.observer)
    assert result.exit_code == 130
    assert set(world.states(result).values()) == {"waiting"}
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_first_signal_is_a_flag_and_a_second_of_its_kind_acts():
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop()
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_killed_cell_runs_again_until_it_is_held(world):
    study = world.study([9])
    world.run(study, queue_only=True)
    for kills in range(1, KILLED_LIMIT + 1):
        kill_trial(world, study)
        result = world.run(study, queue_only=True)
        assert len(world.trials(TrialState.FAIL)) == kills
        assert "is gone" in world.observer.notes[-1]
    assert world.states(result) == {NINE: "failed"}
    assert not result.states[0].retry
    assert world.run(study).plan.queue == []
    assert world.states(world.run(study, retry_failed=True)) == {NINE: "done"}


def test_status_tells_the_truth_about_a_killed_cell_before_the_next_run(world):
    study = world.study([9])
    world.run(study, queue_only=True)
    kill_trial(world, study)
    assert [state.state for state in stored_states(world.optuna_study(study))] == ["lost"]
    assert plan(study, Options(world.url)).queue == [NINE]


def test_a_trial_that_died_before_its_first_heartbeat_is_found_after_the_grace_period(world):
    study = world.study([9])
    world.run(study, queue_only=True)
    opened = world.optuna_study(study)
    trial_id = opened._pop_waiting_trial_id()

    def age(seconds):
        with opened._storage._backend.engine.begin() as connection:
            started = datetime.now() - timedelta(seconds=seconds)
            connection.execute(text("DELETE FROM trial_heartbeats"))
            connection.execute(
                text("UPDATE trials SET datetime_start = :when WHERE trial_id = :id"),
                {"when": str(started), "id": trial_id},
            )

    age(100)
    assert world.states(world.run(study, grace_s=200)) == {NINE: "running"}
    age(300)
    assert world.states(world.run(study, grace_s=200)) == {NINE: "done"}


def test_a_silent_trial_of_another_host_is_taken_over_after_the_grace_period(world):
    study = world.study([9])
    world.run(study, queue_only=True)
    opened = world.optuna_study(study)
    trial_id = opened._pop_waiting_trial_id()
    opened._storage.set_trial_user_attr(trial_id, "worker", "elsewhere:1")
    assert world.states(world.run(study)) == {NINE: "running"}
    with opened._storage._backend.engine.begin() as connection:
        connection.execute(text("UPDATE trial_heartbeats SET heartbeat = '2020-01-01 00:00:00'"))
    assert world.states(world.run(study)) == {NINE: "done"}


def test_a_changed_definition_is_refused_with_old_and_new_and_nothing_is_written(world):
    world.run(world.study(more="[training]\nrate = 0.001"))
    content = world.database.read_bytes()
    changed = world.study(more="[training]\nrate = 0.01")
    for attempt in ({}, {"extend": True}, {"retry_failed": True}):
        with pytest.raises(StudyError) as error:
            world.run(changed, **attempt)
        for said in ("2 finished cells", "training.rate", "0.001 (stored)", "0.01 (now)", "version", "mine.toml"):
            assert said in str(error.value)
    assert world.database.read_bytes() == content
    assert len(world.executed) == 2


def test_raising_the_version_makes_another_study(world):
    world.run()
    path = world.folder / "mine.toml"
    path.write_text(path.read_text().replace("version = 1", "version = 2").replace("[9, 33]", "[9]"))
    newer = fakes.load_study(str(path), world.found.family, "quick")
    assert world.states(world.run(newer)) == {NINE: "done"}
    assert len(world.executed) == 3


def test_more_cells_need_extend_and_are_told(world):
    world.run(world.study([9]))
    with pytest.raises(StudyError, match=r"1 cells .*kernel_size: 33.*--extend"):
        world.run(world.study([9, 33]))
    result = world.run(world.study([9, 33]), extend=True)
    assert list(result.plan.added) == [THIRTY_THREE]
    assert list(world.run(world.study([9, 33])).plan.added) == []


def test_fewer_cells_run_and_the_others_are_kept(world):
    world.run()
    result = world.run(world.study([9]))
    assert list(result.plan.left_out) == [THIRTY_THREE]
    assert len(world.trials(TrialState.COMPLETE)) == 2
    assert list(world.run(world.study()).plan.queue) == []


def test_a_waiting_cell_that_is_no_longer_asked_for_is_not_failed(world):
    world.run(queue_only=True)
    result = world.run(world.study([33]))
    assert world.states(result) == {THIRTY_THREE: "done"}
    assert world.trials(TrialState.FAIL) == []
    again = world.run(world.study([9, 33]))
    assert list(again.plan.queue) == [NINE]
    assert set(world.states(again).values()) == {"done"}


def test_a_cell_queued_by_two_coordinators_runs_once(world):
    study = world.study()
    world.run(study, queue_only=True)
    for cell in study.cells():
        enqueue(world.optuna_study(study), study, cell)
        enqueue(world.optuna_study(study), study, cell)
    result = world.run(study)
    assert world.executed == [NINE, THIRTY_THREE]
    assert len(world.trials(TrialState.COMPLETE)) == 2
    assert set(world.states(result).values()) == {"done"}


def test_an_empty_queue_runs_nothing_and_leaves_no_cell_behind(world):
    study = world.study()
    world.run(study)
    storage = world.storage()
    work(world.optuna_study(study, storage), world.job(study, storage, lambda _: pytest.fail("sampled")))
    assert world.trials()[-1].state == TrialState.PRUNED
    assert set(world.states(world.run(study)).values()) == {"done"}


@pytest.mark.parametrize(
    "params", [{"kernel_size": 11, "seed": 0}, {"kernel_size": 9}, {"kernel_size": 9, "seed": 1}, {}]
)
def test_a_queued_trial_with_other_parameters_is_refused_not_sampled(world, params):
    study = world.study([9])
    world.run(study, queue_only=True)
    opened = world.optuna_study(study)
    opened._pop_waiting_trial_id()
    opened.tell(0, state=TrialState.FAIL)
    opened.enqueue_trial(params, user_attrs={"cell": NINE})
    result = world.run(study)
    assert world.executed == []
    assert world.states(result) == {NINE: "failed"}
    assert "WrongCellError" in result.states[0].detail


def test_a_trial_taken_away_costs_its_result_and_not_the_worker(world, caplog):
    study = world.study()

    def compute(context):
        if context.params["kernel_size"] == 9 and len(world.executed) == 1:
            world.optuna_study(study).tell(context.trial, state=TrialState.FAIL)
        return fakes.outcome()

    result = world.run(study, compute)
    assert "was failed by another process" in caplog.text
    assert world.states(result) == {NINE: "failed", THIRTY_THREE: "done"}
    assert result.states[0].retry
    assert set(world.states(world.run(study)).values()) == {"done"}
    assert world.executed == [NINE, THIRTY_THREE, NINE]


def test_a_trial_taken_away_while_its_cell_raises_does_not_end_the_worker(world):
    study = world.study()

    def compute(context):
        if context.params["kernel_size"] == 9:
            world.optuna_study(study).tell(context.trial, state=TrialState.FAIL)
            raise ValueError("and then it failed")
        return fakes.outcome()

    assert world.states(world.run(study, compute))[THIRTY_THREE] == "done"


def test_a_full_disk_stops_the_run_and_does_not_count_against_the_cell(world):
    full = OSError(28, "No space left on device")
    for error in (full, StorageError("checkpoint cannot be written: No space left on device")):
        with pytest.raises(StorageError, match="No space left") as caught:
            world.run(compute=raises(error))
        assert "\n" not in str(caught.value)
        assert world.executed[-1] == NINE  # the worker left, it did not fail cell after cell
    assert "status" not in world.trials(TrialState.FAIL)[-1].user_attrs
    result = world.run()
    assert set(world.states(result).values()) == {"done"}


def test_a_traceback_that_cannot_be_kept_does_not_end_the_worker(world, caplog):
    def compute(_context):
        folder = world.folder / "kernbench.artifacts"
        if folder.is_dir():
            folder.rmdir()
            folder.write_text("in the way")
        raise ValueError("x")

    result = world.run(compute=compute)
    assert set(world.states(result).values()) == {"failed"}
    assert "no traceback kept" in caplog.text


def test_axes_of_every_kind_come_back_as_they_were_asked_for(world):
    world.found = fakes.find("siren")
    more = "omega_0 = [0.1e2, 15.5]\ninit = ['siren-intended']\nomega_bias = [true, false]\nhidden = [8]"
    more += "\nrate = [0.001]\nupdate = ['per-epoch']"
    study = world.study([9], more=more)
    seen = []
    world.run(study, lambda context: seen.append(context.params) or fakes.outcome())
    assert seen == list(study.cells().values())
    assert [list(map(type, each.values())) for each in seen] == [
        list(map(type, c.values())) for c in study.cells().values()
    ]


def test_a_value_may_be_added_to_every_kind_of_axis_later(world):
    world.found = fakes.find("siren")
    world.run(world.study([9], more="omega_0 = [10.0]\ninit = ['calibrated']\nhidden = [8]"))
    more = "omega_0 = [10.0, 7.0]\ninit = ['calibrated', 'siren-intended']\nhidden = [8, 9]"
    wide = world.study([9], more=more)
    result = world.run(wide, extend=True)
    assert set(world.states(result).values()) == {"done"}
    assert len(world.executed) == len(wide.cells()) == 8


def test_an_older_attempt_cannot_overwrite_a_newer_one(world):
    world.run(world.study([9]))
    storage = world.storage()
    with Session(storage.engine) as session:
        row = session.scalars(select(RunRow)).one()
        session.expunge(row)
    columns = {column.name: getattr(row, column.name) for column in RunRow.__table__.columns}

    def scores(tp):
        key = {"study": row.study, "cell": row.cell, "split": "test", "signal": 0, "tolerance": 0}
        return [ScoreRow(**key, tp=tp, fp=0, fn=0)]

    def stored():
        with Session(storage.engine) as session:
            return session.scalars(select(RunRow.message)).one(), session.scalars(select(ScoreRow.tp)).all()

    assert results.write_run(storage.engine, RunRow(**columns | {"trial": 7, "message": "seven"}), scores(7))
    assert not results.write_run(storage.engine, RunRow(**columns | {"trial": 6, "message": "six"}), scores(6))
    assert stored() == ("seven", [7])
    assert results.write_run(storage.engine, RunRow(**columns | {"trial": 7, "message": "again"}), scores(8))
    assert stored() == ("again", [8])


def test_cells_made_with_another_plugin_version_are_told(world):
    world.run()
    world.found = type(world.found)(world.found.family, "x", "kernbench", "99.9")
    world.run()
    assert "2 stored cells" in world.observer.notes[-1]
    assert "99.9" in world.observer.notes[-1]


def test_two_families_do_not_mix(world):
    world.run()
    world.found = fakes.find("siren")
    world.run()
    assert len(world.executed) == 4


def test_a_stop_flag_set_beforehand_still_leaves_the_cell_for_others(world):
    study = fakes.prepared(world, [9])
    storage = world.storage()

    def compute(context):
        assert context.stop()
        raise Interrupted("at once")

    with pytest.raises(KeyboardInterrupt):
        work(world.optuna_study(study, storage), world.job(study, storage, compute, StopFlag(signal.SIGTERM)))
    assert world.states(world.run(study)) == {NINE: "done"}


def test_studies_of_others_in_the_same_database_are_left_alone(world):
    world.run()
    optuna.create_study(study_name="somebody/else", storage=world.storage())
    assert set(world.states(world.run()).values()) == {"done"}
