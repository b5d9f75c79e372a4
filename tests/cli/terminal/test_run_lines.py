"""Lines of a log on a run: how far each worker is and what is left, now and then."""

import io
import time

import optuna
import pytest
from rich.console import Console

from kernbench.cli.terminal.console import SHOWN_CELLS, print_states
from kernbench.cli.terminal.progress import BETWEEN_CREWS_S, LONGEST_SILENCE_S, PlainObserver, TerminalObserver
from kernbench.study.cell import CellState
from kernbench.study.progress import Progress

LEFT = "about 5 min left with 2 workers (estimate from 2 cells)"


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still; its one item is the time [s]."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def crew(epoch):
    """Two workers, of which the second has not stored an epoch."""
    progress = Progress(epoch, 50, 0.5, 30.0)
    return [
        ("worker 1 (process 7)", CellState("a=1", "running", progress=progress)),
        ("worker 2 (process 8)", CellState("a=2", "running")),
    ]


def test_a_log_has_a_line_for_each_worker_now_and_then(capsys, clock):
    plain = PlainObserver("mine")

    def said(seconds, *told):
        clock[0] += seconds
        plain.crew_told(*told)
        return capsys.readouterr().out

    shown = "  worker 1 (process 7): a=1, epoch 3 of 50, loss 0.5000, 30 s left\n"
    shown += "  worker 2 (process 8): a=2, no epoch stored yet\n"
    assert said(BETWEEN_CREWS_S - 1, crew(3), LEFT) == ""
    assert said(1, crew(3), "") == shown
    assert said(BETWEEN_CREWS_S, crew(4), LEFT) == ""  # no cell has ended
    plain.cell_told(CellState("a=0", "done"), 1, 3, "worker 2")
    capsys.readouterr()
    assert said(0, crew(3), LEFT) == f"{shown}  {LEFT}\n"
    assert said(LONGEST_SILENCE_S, crew(3), LEFT) == ""  # nothing new
    assert said(0, crew(4), LEFT) == shown.replace("epoch 3", "epoch 4") + f"  {LEFT}\n"


def test_a_log_says_nothing_of_a_crew_of_which_nothing_is_known(capsys, clock):
    plain = PlainObserver("mine")
    clock[0] += LONGEST_SILENCE_S
    plain.crew_told(crew(3)[1:], "")
    plain.crew_told([], "")
    assert capsys.readouterr().out == ""


def test_a_log_of_one_process_says_what_is_left_when_a_cell_ends(capsys, clock):
    plain = PlainObserver("mine")
    for position, (seconds, status) in enumerate([(50, "error"), (100, "ok"), (20, "diverged"), (9, "ok")], 1):
        plain.cell_started(f"a={position}", position, 4)
        clock[0] += seconds
        plain.cell_finished(f"a={position}", status, "")
    lines = [line for line in capsys.readouterr().out.splitlines() if "left" in line]
    assert lines == [
        "  about 3 min 20 s left with 1 worker (estimate from 1 cell)",
        "  about 1 min left with 1 worker (estimate from 2 cells)",
    ]


def test_a_terminal_has_a_bar_for_each_worker(clock):
    shown = io.StringIO()
    live = TerminalObserver("mine", Console(file=shown, force_terminal=True, width=120))
    with live.display:
        live.crew_told(crew(3), "")
        live.cell_told(CellState("a=0", "done"), 1, 3, "worker 2")
        live.crew_told(crew(3), LEFT)
        live.display.refresh()
        assert all(each in shown.getvalue() for each in ("worker 1: a=1", "3/50", "loss 0.5000  30 s left", LEFT))
        live.crew_told(crew(3)[1:], LEFT)
        assert [task.description for task in live.display.tasks] == ["  worker 2: a=2", "mine"]


def test_status_shows_running_cells_of_large_studies_and_what_is_left(capsys):
    states = [CellState(f"a={place}", "done", seconds=60.0) for place in range(SHOWN_CELLS + 5)]
    progress = Progress(3, 50, 0.5, 30.0)
    states.append(CellState("a=x", "running", f"worker h:7, {progress.text}", progress=progress))
    print_states(optuna.create_study(study_name="mine.v1.quick/siren"), states)
    said = capsys.readouterr().out
    assert f"  about 30 s left with 1 worker (estimate from {SHOWN_CELLS + 5} cells)\n" in said
    assert "worker h:7, epoch 3 of 50, loss 0.5000, 30 s left" in said
    assert "  ... and 5 more\n" in said
