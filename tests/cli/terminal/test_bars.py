"""Progress of one task: what a log and a terminal show."""

import time

import pytest

from kernbench.cli.terminal.bars import SECONDS_BETWEEN_LINES, bar, nothing, now_and_then, one_line


def shown(capsys, in_log, calls=()):
    with bar("a task", in_log) as progress:
        for done in calls:
            progress(done, 2000)
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


@pytest.mark.parametrize(("in_log", "expected"), [(nothing, ""), (one_line, "  a task\n"), (now_and_then, "")])
def test_a_log_is_not_filled(capsys, in_log, expected):
    assert shown(capsys, in_log, [1, 2, 2000]) == expected


def test_a_long_task_says_how_far_it_is(capsys, monkeypatch):
    seconds = iter([0, 1, SECONDS_BETWEEN_LINES + 1, SECONDS_BETWEEN_LINES + 1, SECONDS_BETWEEN_LINES + 2])
    monkeypatch.setattr(time, "monotonic", lambda: next(seconds))
    assert shown(capsys, now_and_then, [5, 1500, 1600]) == "  a task 1,500 of 2,000 lines\n"


def test_a_terminal_shows_a_bar_and_no_line(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes the stream for a terminal
    told = shown(capsys, one_line, [1000, 2000])
    assert "a task" in told
    assert "100%" in told
    assert "  a task\n" not in told
