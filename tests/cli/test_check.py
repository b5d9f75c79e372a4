"""`kernbench check`: all checks and all failures; and the line of `run` about families that have not passed."""

import os

import pytest

from kernbench.host.cache_folder import cache_folder
from kernbench.kernels.checks import CHECKS
from kernbench.registry import find

PLUGIN = """
import torch, kernbench

class Mine(kernbench.KernelModule):
    def __init__(self, spec):
        super().__init__(spec)
        self.weight = torch.nn.Parameter(torch.randn(*spec.shape[:2], 1))
    def forward(self, grid):
        return self.weight * torch.exp(-grid.lags.abs() / 8){broken}
    {more}

@kernbench.hookimpl
def kernbench_kernels():
    return [kernbench.KernelFamily("mine", Mine)]
"""
DRY = ("run", "--study", "smoke", "--profile", "quick", "--dry-run", "--plugin")
WARNING = "family 'mine' has not passed its checks on this machine; to see what it breaks: kernbench check"


@pytest.fixture
def mine(bench):
    """Writes ./mine.py."""

    def write(broken="", more=""):
        (bench.folder / "mine.py").write_text(PLUGIN.format(broken=broken, more=more))
        return "./mine.py:mine"

    return write


def test_all_failures_are_shown_and_what_needs_them_is_skipped(bench, mine):
    ended = bench.run("check", mine("[0]", "param_count = staticmethod(lambda spec: 1)"))
    assert ended.code == 2, ended
    lines = [line.split(maxsplit=2) for line in ended.out.splitlines()]
    assert [line[1] for line in lines] == list(CHECKS)
    states = {name: state for state, name, _ in lines}
    assert {name for name, state in states.items() if state == "FAIL"} == {"shape", "param-count"}
    assert {name for name, state in states.items() if state == "ok"} == {"build", "capabilities"}
    assert [name for name, state in states.items() if state == "none"] == ["kernel-flops"]
    assert {detail for state, _, detail in lines if state == "skip"} == {"shape failed"}
    skipped = len(CHECKS) - 5
    said = f"./mine.py:mine: 2 of {len(CHECKS)} checks failed: shape, param-count; {skipped} skipped\n"
    assert ended.err == said


def test_run_warns_once_of_a_family_that_has_not_passed_and_no_more_when_it_has(bench, mine):
    name = mine()
    first = bench.run(*DRY, f"{name},./mine.py,siren")
    assert (first.code, first.err) == (0, f"kernbench: warning: {WARNING} {name}\n"), first
    assert bench.run("check", name).code == 0
    again = bench.run(*DRY, f"{name},siren")
    assert (again.code, again.err) == (0, ""), again


def test_a_changed_file_needs_a_new_check(bench, mine):
    assert bench.run("check", mine()).code == 0
    name = mine(more="# edited")
    assert WARNING in bench.run(*DRY, name).err
    assert bench.run("check", name).code == 0
    assert bench.run(*DRY, name).err == ""


def test_a_family_that_fails_is_not_remembered(bench, mine):
    name = mine("[0]")
    assert bench.run("check", name).code == 2
    assert not any(path.name == "checked" for path in cache_folder().iterdir())


def test_a_warning_precedes_no_refusal(refused, mine):
    refused(*DRY[:-2], "--out", "/proc/report", "--plugin", mine(), said=["--out"])


def test_a_cache_that_takes_nothing_does_not_fail_a_check(bench, mine, monkeypatch):
    (bench.folder / "file").write_text("in the way")
    monkeypatch.setenv("KERNBENCH_CACHE", str(bench.folder / "file"))
    ended = bench.run("check", mine())
    assert ended.code == 0, ended
    assert ended.err.startswith("kernbench: warning: cannot keep that this has passed")
    assert ended.err.count("\n") == 1


def test_a_package_that_was_edited_needs_a_new_check(bench, mine, monkeypatch):
    from kernbench.cli import checked

    found = find(mine())
    checked.remember(found)
    assert checked._has_passed(found)
    monkeypatch.setattr("kernbench.engine.work.environment.source_digest", lambda _: "another")
    assert not checked._has_passed(found)


def test_the_record_says_what_has_passed(bench, mine):
    assert bench.run("check", mine()).code == 0
    (record,) = (cache_folder() / "checked").iterdir()
    text = record.read_text()
    assert '"family":"mine"' in text
    assert os.sep not in text  # no path of the file
