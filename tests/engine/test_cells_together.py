"""Cells that differ in their seed only: claimed by one worker, each with a trial, a record and an end of its own."""

import dataclasses
import os
import signal
import time

import fakes
import pytest
from optuna.trial import TrialState

from kernbench.engine.limits import Limit
from kernbench.engine.reading import load_runs
from kernbench.engine.steady import SteadyStorage
from kernbench.errors import StorageError
from kernbench.training import Interrupted


def seeds(size, *numbers):
    return [f"kernel_size={size},seed={number}" for number in numbers]


def test_seeds_of_one_point_are_computed_at_once_and_stored_each(world):
    study = world.study(seeds=3)
    result = world.run(study, stack=3)
    assert world.executed == [seeds(9, 0, 1, 2), seeds(33, 0, 1, 2)]
    assert set(world.states(result).values()) == {"done"}
    stored = {run.cell: run for run in load_runs(world.url)}
    assert sorted(stored) == sorted(study.cells())
    values = {trial.user_attrs["cell"]: trial.value for trial in world.trials(TrialState.COMPLETE)}
    assert values == {cell: params["seed"] / 10 for cell, params in study.cells().items()}
    assert len({trial.user_attrs["worker"] for trial in world.trials()}) == 1
    assert [cell for cell, *_ in world.observer.started] == list(study.cells())
    assert [position for _, position, _ in world.observer.started] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(("stack", "groups"), [(1, [1] * 6), (2, [2, 1, 2, 1]), (9, [3, 3])])
def test_no_more_are_claimed_than_asked_for(world, stack, groups):
    world.run(world.study(seeds=3), stack=stack)
    assert [1 if isinstance(each, str) else len(each) for each in world.executed] == groups


def test_a_seed_that_fails_leaves_the_others_done(world):
    def second_fails(contexts):
        yield 0, fakes.outcome()
        yield 1, MemoryError("too big")
        yield 2, fakes.diverged()

    study = world.study([9], seeds=3)
    result = world.run(study, together=second_fails, stack=3)
    assert list(world.states(result).values()) == ["done", "failed", "diverged"]
    (failed,) = world.trials(TrialState.FAIL)
    assert failed.user_attrs["status"] == "oom"
    assert failed.user_attrs["error"].startswith("MemoryError: too big")
    assert result.exit_code == 1
    assert [status for _, status, _ in world.observer.finished] == ["ok", "oom", "diverged"]


def test_the_first_seed_may_fail_by_itself(world):
    def first_fails(contexts):
        yield 1, fakes.outcome()
        yield 0, ValueError("bad")

    result = world.run(world.study([9], seeds=2), together=first_fails, stack=2)
    assert list(world.states(result).values()) == ["failed", "done"]


@pytest.mark.parametrize("error", [ValueError("bad"), SystemExit(3)], ids=["exception", "exit"])
def test_an_error_of_the_whole_ends_the_open_ones(world, error):
    def breaks(contexts):
        yield 0, fakes.outcome()
        raise error

    result = world.run(world.study([9], seeds=3), together=breaks, stack=3)
    assert list(world.states(result).values()) == ["done", "failed", "failed"]
    assert not world.trials(TrialState.RUNNING)


@pytest.mark.parametrize("ended", [0, 1, 2])
def test_an_interruption_gives_every_open_seed_back(world, ended):
    def interrupt(contexts):
        for place in range(ended):
            yield place, fakes.outcome()
        os.kill(os.getpid(), signal.SIGINT)
        assert contexts[0].stop()
        raise Interrupted("stopped in epoch 3")

    study = world.study([9], seeds=3)
    result = world.run(study, together=interrupt, stack=3)
    assert result.exit_code == 130
    assert list(world.states(result).values()) == ["done"] * ended + ["waiting"] * (3 - ended)
    assert set(world.states(world.run(study, stack=3)).values()) == {"done"}
    assert world.executed[-1] == seeds(9, *range(ended, 3))


def test_an_interruption_without_a_signal_ends_the_worker_too(world):
    def interrupt(contexts):
        yield 0, fakes.outcome()
        raise KeyboardInterrupt

    result = world.run(world.study(seeds=2), together=interrupt, stack=2)
    assert result.exit_code == 130
    assert list(world.states(result).values()) == ["done", "waiting", "waiting", "waiting"]


def test_seeds_that_another_worker_holds_or_has_done_are_left_alone(world):
    study = world.study([9], seeds=4)
    world.run(study, queue_only=True)
    opened = world.optuna_study(study)
    held = opened.get_trials(deepcopy=False)[1]
    opened._storage.set_trial_state_values(held._trial_id, TrialState.RUNNING)
    opened._storage.set_trial_user_attr(held._trial_id, "worker", "elsewhere:1")
    (again,) = seeds(9, 2)
    opened.enqueue_trial(study.cells()[again], user_attrs={"cell": again})  # queued twice by two coordinators
    world.run(study, stack=4)
    assert world.executed == [seeds(9, 0, 2, 3)]
    assert len(world.trials(TrialState.COMPLETE)) == 3


def test_every_claimed_trial_beats_while_it_runs(world, monkeypatch):
    beaten, usual = [], SteadyStorage.record_heartbeat

    def noted(self, trial_id):
        usual(self, trial_id)
        beaten.append(trial_id)

    def slow(contexts):
        running = {trial._trial_id for trial in world.trials(TrialState.RUNNING)}
        assert len(running) == 3
        until = time.monotonic() + 60
        # one beat comes with the claim, the others from threads
        while any(beaten.count(each) < 3 for each in running) and time.monotonic() < until:
            time.sleep(0.01)
        for place in range(3):
            yield place, fakes.outcome()

    monkeypatch.setattr(SteadyStorage, "record_heartbeat", noted)
    world.run(world.study([9], seeds=3), together=slow, stack=3, heartbeat_s=1)
    assert all(beaten.count(each) >= 3 for each in set(beaten))
    assert len(set(beaten)) == 3


def test_a_seed_that_was_trained_by_itself_keeps_its_own_time(world):
    def alone(contexts):
        for place in range(len(contexts)):
            yield place, dataclasses.replace(fakes.outcome(), details={"own_seconds": 100.0 + place})

    world.run(world.study([9], seeds=3), together=alone, stack=3)
    assert sorted(run.seconds for run in load_runs(world.url)) == [100.0, 101.0, 102.0]


def test_seeds_at_once_have_the_limit_of_each_together(world):
    began, ended = [], []

    def slow(contexts):
        began.append(time.monotonic())
        while not contexts[0].stop():
            time.sleep(0.01)
        ended.append(time.monotonic())
        raise Interrupted("asked to leave")
        yield

    result = world.run(world.study([9], seeds=3), together=slow, stack=3, limit=Limit(1, 60))
    assert set(world.states(result).values()) == {"failed"}
    assert ended[0] - began[0] > 1  # more than one limit: it is three, but for what was done before
    for trial in world.trials(TrialState.FAIL):
        assert trial.user_attrs["status"] == "timeout"
        assert trial.user_attrs["cell_limit_s"] == 3
        assert "cell limit of 1s" in trial.user_attrs["error"]


def test_a_full_disk_ends_the_run_and_counts_against_no_seed(world):
    def full(contexts):
        yield 0, fakes.outcome()
        raise OSError(28, "No space left on device")

    study = world.study([9], seeds=3)
    with pytest.raises(StorageError, match="free space, then the same command goes on"):
        world.run(study, together=full, stack=3)
