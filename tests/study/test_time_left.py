"""The estimate of the time that a study still takes, computed by hand."""

import pytest

from kernbench.study.cell import CellState
from kernbench.study.progress import Progress
from kernbench.study.time_left import time_left

DONE = [CellState("a", "done", seconds=100.0), CellState("b", "diverged", seconds=20.0)]  # 60 s each
RUNNING = CellState("c", "running", progress=Progress(1, 2, 0.5, 10.0))
WAITING = [CellState(name, "waiting") for name in "defgh"]


@pytest.mark.parametrize("states", [[], [*WAITING, RUNNING], DONE, [CellState("a", "done"), *WAITING]])
def test_nothing_is_said_where_nothing_is_known_or_left(states):
    assert time_left(states, 2) is None


def test_each_worker_takes_the_next_cell_when_it_is_free():
    # 10, 70, 130 s and 60, 120, 180 s: five cells after the one that runs
    assert time_left([*DONE, RUNNING, *WAITING], 2).seconds == 180
    assert time_left([*DONE, RUNNING, *WAITING], 1).seconds == 310
    assert time_left([*DONE, RUNNING, CellState("i", "running")], 2).seconds == 60  # the other is as long as usual


def test_cells_that_the_next_run_takes_up_are_left_too():
    again = [CellState("i", "lost", retry=True), CellState("j", "failed", retry=True), CellState("k", "failed")]
    assert time_left([*DONE, *again]).seconds == 120


def test_it_says_that_it_is_an_estimate_from_how_many_cells_and_for_whom():
    assert time_left([*DONE, *WAITING], 4).text == "about 2 min left with 4 workers (estimate from 2 cells)"
    assert time_left([*DONE, *WAITING[:2]], 4).text == "about 1 min left with 2 workers (estimate from 2 cells)"
    assert time_left([DONE[0], RUNNING]).text == "about 10 s left with 1 worker (estimate from 1 cell)"
    assert time_left([*DONE, *WAITING]).text == "no worker runs; one would take about 5 min (estimate from 2 cells)"
