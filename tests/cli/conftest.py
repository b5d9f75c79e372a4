"""Fixtures of the command line's tests."""

import fakes
import pytest

from kernbench.registry import installed


@pytest.fixture(autouse=True)
def fresh_registry():
    """What is installed is looked up anew in each test."""
    installed.cache_clear()
    yield
    installed.cache_clear()


@pytest.fixture
def refused(bench):
    """Runs a command that must end with one line on standard error, exit code 2, and nothing written."""

    def check(*words, said=(), leaves=()):
        before = bench.files()
        ended = bench.run(*words)
        assert ended.code == 2, ended
        assert ended.out == "", ended
        assert ended.err.count("\n") == 1, ended
        assert ended.err.startswith("kernbench: "), ended
        for each in said:
            assert each in ended.err, ended
        assert bench.files() == before, ended
        return ended.err

    return check


@pytest.fixture
def quick_cells(bench, monkeypatch):
    """The command line on cells without training and reports without figures; what was trained, study and cell."""
    trained = []

    def run(_task, context):
        trained.append(f"{context.study.key} {context.cell}")
        if context.study.family.name in bench.broken:
            raise ValueError("sick")
        return fakes.outcome(seed=len(trained))

    bench.broken = set()
    monkeypatch.setattr("kernbench.ulm.cells.task.UlmTask.run", run)
    monkeypatch.setattr("kernbench.ulm.cells.task.UlmTask.prepare", lambda *_: None)
    with fakes.no_pictures():
        yield trained
