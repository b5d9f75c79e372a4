"""`kernbench run` when its output ends, its terminal closes or what it shows fails: the cells are done."""

import fakes
import pytest

from kernbench.cli.terminal import console

RUN = ("run", "--plugin", "discrete", "--study", "./mine.toml", "--profile", "quick", "--no-baselines")


@pytest.fixture
def tiny(plain_bench):
    """A working folder with a study of one cell."""
    text = fakes.SMALL.replace("[9, 33]", "[9]") + "epochs = 2\nrate = 0.005\n"
    (plain_bench.folder / "mine.toml").write_text(text)
    return plain_bench


def states(bench):
    """What `status` says of the cells."""
    return bench.run("status").out


def test_a_reader_that_leaves_changes_nothing(tiny):
    process = tiny.spawn(*RUN)
    process.stdout.readline()
    process.stdout.close()  # as `| head -1`
    ended = tiny.ended(process)
    assert (ended.code, ended.err) == (0, "")
    assert "1 done" in states(tiny)
    assert (tiny.folder / "kernbench-report" / "report.html").is_file()


def test_a_report_that_fails_leaves_the_cells_done(tiny, monkeypatch):
    def unlucky(*_args, **_options):
        raise RuntimeError("no page today")

    monkeypatch.setattr(console, "write_report", unlucky)
    monkeypatch.setattr(console, "print_results", unlucky)
    ended = tiny.run(*RUN)
    assert ended.code == 0, ended
    assert ended.err.splitlines() == [
        "kernbench: warning: the results cannot be shown; `kernbench report` shows them: RuntimeError: no page today",
        "kernbench: warning: no report was written; `kernbench report` tries again: RuntimeError: no page today",
    ]
    assert "1 done" in states(tiny)
