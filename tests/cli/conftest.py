"""Fixtures of the command line's tests."""

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
