"""The worker: runs what waits, once, classes what fails, and leaves when it is told to."""

import dataclasses
import os
import signal

import fakes
import pytest
import torch
from fakes import NINE, THIRTY_THREE
from optuna.trial import TrialState
from worlds import queue_instead

from kernbench.engine.fleet.runner import Options
from kernbench.engine.notes import notes
from kernbench.engine.work.storing import StopFlag
from kernbench.engine.work.worker import stop_on_signals, work
from kernbench.errors import StorageError
from kernbench.store.reading.runs import load_runs
from kernbench.training.settings import Interrupted


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
    result = world.run(compute=fakes.raises(error))
    assert world.states(result) == {NINE: "failed", THIRTY_THREE: "done"}
    failed = world.trials(TrialState.FAIL)[0]
    assert failed.user_attrs["status"] == status
    assert failed.user_attrs["error"].startswith(type(error).__name__)
    assert "\n" not in failed.user_attrs["error"]
    assert world.observer.finished[0][:2] == (NINE, status)
    traceback = next((world.folder / "kernbench.artifacts").iterdir()).read_text()
    assert "Traceback" in traceback
    assert result.exit_code == 1  # the run says so, as make does


@pytest.mark.parametrize("silenced", [False, True], ids=["hung up", "nohup"])
def test_a_terminal_that_closes_gives_the_cell_back(world, silenced):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if silenced else signal.SIG_DFL)

    def hung_up(context):
        for _ in range(2):  # of the terminal, and of its shell
            os.kill(os.getpid(), signal.SIGHUP)
        if context.stop():
            raise Interrupted("stopped in epoch 3")
        return fakes.outcome()

    try:
        result = world.run(compute=hung_up)
        assert signal.getsignal(signal.SIGHUP) == (signal.SIG_IGN if silenced else signal.SIG_DFL)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (result.exit_code, result.stopped) == (0, not silenced)
    expected = ("done", "done") if silenced else ("waiting", "waiting")
    assert tuple(world.states(result).values()) == expected


def test_a_picture_or_a_note_that_fails_takes_no_score_away(world, monkeypatch):
    def unlucky(*_):
        raise RuntimeError("latex could not be found")

    monkeypatch.setattr(notes, "of_finished", unlucky)
    finished = dataclasses.replace(fakes.outcome(), draw=unlucky)
    result = world.run(compute=lambda _context: finished)
    assert set(world.states(result).values()) == {"done"}
    assert len(load_runs(world.url)) == 2
    assert [each.partition(":")[2] for each in world.observer.notes] == [
        " a note for the dashboard was not written: RuntimeError: latex could not be found",
        " pictures of a cell are missing, its scores are stored: RuntimeError: latex could not be found",
    ]  # once each, of both cells


def test_pictures_are_drawn_when_the_scores_are_stored(world):
    stored = []

    def compute(context):
        def draw():
            stored.append(len(world.content()[0]["kernbench_run"]))
            (context.scratch / "kernel.png").write_bytes(b"drawn")
            return [context.scratch / "kernel.png"]

        return dataclasses.replace(fakes.outcome(), draw=draw)

    world.run(compute=compute)
    kept = [path.read_bytes() for run in load_runs(world.url) for path in run.artifacts.values()]
    assert (stored, kept) == ([1, 2], [b"drawn", b"drawn"])


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
    kept = world.trials(TrialState.FAIL)[0].user_attrs
    assert (kept["status"], kept["error"]) == ("interrupted", "stopped in epoch 3")
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
    before = signal.getsignal(signal.SIGINT)  # ignored, where the suite runs in the background
    study = world.study()

    def prepare():
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("went on simulating")

    result = fakes.run(study, world.found, Options(world.url), lambda _: None, prepare, world.observer)
    assert result.exit_code == 130
    assert set(world.states(result).values()) == {"waiting"}
    assert signal.getsignal(signal.SIGINT) is before


def test_a_first_signal_is_a_flag_and_a_second_of_its_kind_acts():
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop()
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_cell_queued_by_two_coordinators_runs_once(world):
    study = world.study()
    world.run(study, queue_only=True)
    for cell in study.cells():
        for _ in range(2):
            world.optuna_study(study).enqueue_trial(study.cells()[cell], user_attrs={"cell": cell})
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
    queue_instead(world, study, params)
    result = world.run(study)
    assert world.executed == []
    assert world.states(result) == {NINE: "failed"}
    assert "WrongCellError" in result.states[0].detail
    assert ("its queue entry is incomplete" in result.states[0].detail) == (len(params) < 2)


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
        world.optuna_study(study).tell(context.trial, state=TrialState.FAIL)
        raise ValueError("and then it failed")

    world.run(study, compute)
    assert world.executed == [NINE, THIRTY_THREE]


def test_a_full_disk_stops_the_run_and_does_not_count_against_the_cell(world):
    full = OSError(28, "No space left on device")
    for error in (full, StorageError("checkpoint cannot be written: No space left on device")):
        with pytest.raises(StorageError, match="No space left") as caught:
            world.run(compute=fakes.raises(error))
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


def test_a_stop_flag_set_beforehand_still_leaves_the_cell_for_others(world):
    study = fakes.prepared(world, [9])
    storage = world.storage()

    def compute(context):
        assert context.stop()
        raise Interrupted("at once")

    with pytest.raises(KeyboardInterrupt):
        work(world.optuna_study(study, storage), world.job(study, storage, compute, StopFlag(signal.SIGTERM)))
    assert world.states(world.run(study)) == {NINE: "done"}
