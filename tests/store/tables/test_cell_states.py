"""The state of a cell, derived from its trials: what counts, what does not, and what is tried again."""

import os
import socket
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FrozenTrial, TrialState, create_trial

from kernbench.host.processes import process_namespace, process_start
from kernbench.store.tables.cell_states import (
    KILLED_LIMIT,
    NAMESPACE,
    cell_states,
    killed_in_a_row,
    this_worker,
    worker_is_gone,
)

CELL = "kernel_size=9,seed=0"
HOST = socket.gethostname()


def trial(state, number=0, **attributes):
    """A trial of the cell; `status` and others are user attributes."""
    value = 0.5 if state == TrialState.COMPLETE else None
    frozen = create_trial(state=state, value=value, user_attrs={"cell": CELL, **attributes})
    frozen.number = number
    return frozen


def state(*trials: FrozenTrial):
    """State of the one cell."""
    return cell_states([CELL], trials)[0]


def test_a_complete_trial_wins_over_everything_else():
    others = [trial(each) for each in TrialState if each != TrialState.PRUNED]
    found = state(*others, trial(TrialState.COMPLETE, status="ok"))
    assert (found.state, found.score, found.retry) == ("done", 0.5, False)


def test_a_diverged_cell_is_done_has_no_score_and_never_runs_again():
    found = state(trial(TrialState.COMPLETE, status="diverged", message="loss became nan"))
    assert (found.state, found.score, found.retry, found.detail) == ("diverged", None, False, "loss became nan")


def test_trials_of_other_cells_without_a_cell_and_pruned_without_a_status_are_ignored():
    stray = create_trial(state=TrialState.COMPLETE, value=1.0)
    other = create_trial(state=TrialState.COMPLETE, value=1.0, user_attrs={"cell": "another"})
    found = state(stray, other, trial(TrialState.PRUNED))
    assert (found.state, found.retry) == ("missing", True)
    assert state(trial(TrialState.FAIL, status="error"), trial(TrialState.PRUNED)).detail == "error"
    assert state(trial(TrialState.PRUNED, status="pruned")).state == "pruned"


def test_a_running_trial_of_a_live_worker_is_left_alone():
    found = state(trial(TrialState.RUNNING, worker=this_worker(), worker_start=process_start(os.getpid())))
    assert (found.state, found.retry) == ("running", False)
    assert str(os.getpid()) in found.detail


def test_a_running_trial_whose_worker_died_here_is_lost_and_will_run(dead):
    found = state(trial(TrialState.RUNNING, worker=f"{HOST}:{dead}"))
    assert (found.state, found.retry) == ("lost", True)


def test_a_worker_on_another_host_or_unknown_is_not_declared_gone(dead):
    assert not worker_is_gone(trial(TrialState.RUNNING, worker=f"not-{HOST}:{dead}"))
    assert not worker_is_gone(trial(TrialState.RUNNING))
    assert not worker_is_gone(trial(TrialState.RUNNING, worker="nonsense"))
    for odd in (f"{HOST}:{10**20}", f"{HOST}:0", f"{HOST}:-1", f"{HOST}:\u00b2"):
        assert not worker_is_gone(trial(TrialState.RUNNING, worker=odd))


def test_a_worker_of_another_pid_namespace_is_not_declared_gone(dead):
    worker = f"{HOST}:{dead}"
    assert worker_is_gone(trial(TrialState.RUNNING, worker=worker, **{NAMESPACE: process_namespace()}))
    boot, _, numbers = process_namespace().partition(" ")
    for other in (f"{boot} pid:[1]", f"another-boot {numbers}", "", 7):
        running = trial(TrialState.RUNNING, worker=worker, **{NAMESPACE: other})
        assert not worker_is_gone(running)
        assert state(running).state == "running"


def test_a_process_number_used_again_does_not_pass_for_the_worker():
    mine = trial(TrialState.RUNNING, worker=this_worker(), worker_start="1")
    assert worker_is_gone(mine)
    # where the start of a process is not known, nothing is concluded
    assert not worker_is_gone(trial(TrialState.RUNNING, worker=this_worker()))
    assert not worker_is_gone(trial(TrialState.RUNNING, worker=this_worker(), worker_start=""))


def test_a_zombie_process_counts_as_gone():
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    process.stdout.read()  # its end closes the pipe; it has not been waited for yet
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert process_start(process.pid) is None
    process.wait()
    process.stdout.close()


def test_a_waiting_trial_is_waiting_though_an_earlier_attempt_failed():
    assert state(trial(TrialState.FAIL, status="error"), trial(TrialState.WAITING)).state == "waiting"


@pytest.mark.parametrize(
    ("status", "retry"), [("error", False), ("oom", False), ("timeout", False), ("interrupted", True)]
)
def test_only_interrupted_and_killed_cells_run_again_by_themselves(status, retry):
    found = state(trial(TrialState.FAIL, status=status, error="ValueError: x"))
    assert (found.state, found.retry, found.detail) == ("failed", retry, f"{status}: ValueError: x")


def test_the_last_failure_decides():
    assert state(trial(TrialState.FAIL, status="error"), trial(TrialState.FAIL, status="interrupted")).retry
    assert not state(trial(TrialState.FAIL, status="interrupted"), trial(TrialState.FAIL, status="error")).retry


@pytest.mark.parametrize("status", ["ok", "diverged", "pruned"])
def test_a_worker_killed_between_its_result_and_the_end_of_its_trial_was_killed(status):
    found = state(trial(TrialState.FAIL, status=status))
    assert (found.state, found.retry) == ("failed", True)
    assert found.detail.startswith("killed 1 time in a row")
    assert killed_in_a_row([trial(TrialState.FAIL, status=status)] * 3) == 3


def test_a_cell_killed_too_often_is_held():
    killed = [trial(TrialState.FAIL) for _ in range(KILLED_LIMIT)]
    assert state(*killed[:-1]).retry
    held = state(*killed)
    assert not held.retry
    assert f"killed {KILLED_LIMIT} times in a row" in held.detail


def test_a_later_checkpoint_or_another_failure_starts_the_count_again():
    killed = [trial(TrialState.FAIL) for _ in range(KILLED_LIMIT)]
    further = trial(TrialState.FAIL, checkpoint_epoch=7)
    assert state(*killed, further).retry
    assert killed_in_a_row([*killed, further]) == 1
    assert killed_in_a_row([*killed, trial(TrialState.FAIL, status="interrupted"), killed[0]]) == 1
    # the same epoch again is no progress
    assert killed_in_a_row([further, trial(TrialState.FAIL, checkpoint_epoch=7)]) == 2


@given(st.lists(st.tuples(st.sampled_from(list(TrialState)), st.sampled_from(["ok", "error", "interrupted", None]))))
def test_there_is_always_a_state_and_a_done_cell_is_never_queued(history):
    trials = [
        trial(each, number, **({} if status is None else {"status": status}))
        for number, (each, status) in enumerate(history)
    ]
    found = state(*trials)
    complete = any(each == TrialState.COMPLETE for each, _ in history)
    assert complete <= (found.state in ("done", "diverged"))
    if found.state in ("done", "diverged", "running", "waiting"):
        assert not found.retry
