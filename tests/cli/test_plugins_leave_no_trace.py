"""A plugin that changes its process: no cell, score or file depends on it, and `check` says so."""

import os
import random
import signal
import warnings

import pytest
import torch

from kernbench.networks.network import build
from kernbench.registry import find

CHANGES = """
def disturb(where):
    if where in {disturbing}:
        os.chdir(os.path.dirname(os.path.abspath(__file__)))
        torch.set_default_dtype(torch.float64)
        torch.set_num_threads(3)
        torch.set_default_device("meta")
        if where != "forward of a step":
            warnings.simplefilter("ignore")
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        if where in ("import", "hook"):
            random.seed(1)
            torch.manual_seed(1)
"""

PLUGIN = (
    "import os, random, signal, warnings\nimport torch, kernbench\n"
    + CHANGES
    + """
disturb("import")

class Mine(kernbench.KernelModule):
    def __init__(self, spec):
        super().__init__(spec)
        self.weight = torch.nn.Parameter(torch.randn(spec.shape))
        disturb("constructor")
    def forward(self, grid):
        kernel = self.weight * 1
        disturb("forward of a step" if torch.is_grad_enabled() else "forward")
        return kernel

@kernbench.hookimpl
def kernbench_kernels():
    disturb("hook")
    return [kernbench.KernelFamily("mine", Mine, resampling="none")]
"""
)

SMALL = """
version = 1
[axes]
kernel_size = [3]
[data]
train = 4
validation = 2
test = 2
window = 512
[network]
channels = 2
depth = 1
[training]
epochs = 2
"""


@pytest.fixture
def plugin(bench):
    """Writes a plugin into another folder that disturbs the process at the given places."""

    def write(*disturbing):
        (bench.folder / "elsewhere").mkdir(exist_ok=True)
        (bench.folder / "elsewhere" / "mine.py").write_text(PLUGIN.replace("{disturbing}", repr(disturbing)))
        return "elsewhere/mine.py:mine"

    return write


def state():
    return (
        os.getcwd(),  # noqa: PTH109
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.get_num_threads(),
        ("ignore", None, Warning, None, 0) in warnings.filters,
        signal.getsignal(signal.SIGUSR1),
    )


@pytest.mark.parametrize("place", ["import", "hook"])
def test_an_import_changes_nothing_and_draws_nothing(plugin, place):
    torch.manual_seed(5)
    random.seed(5)
    expected = torch.rand(2), random.random()
    torch.manual_seed(5)
    random.seed(5)
    before = state()
    assert find(plugin(place)).family.name == "mine"
    assert state() == before
    got = torch.rand(2), random.random()
    assert torch.equal(got[0], expected[0])
    assert got[1] == expected[1]


@pytest.mark.parametrize("place", ["constructor", "forward", "forward of a step"])
def test_building_and_training_change_nothing_and_the_numbers_are_the_same(plugin, place):
    outputs = []
    for places in ((), (place,)):
        torch.manual_seed(5)
        before = state()
        network = build("shallow", find(plugin(*places)).family, 3, channels=2, depth=1)
        outputs.append(network(torch.linspace(-1, 1, 64).view(1, 1, 64)))
        assert state() == before
    assert torch.equal(*outputs)


def test_a_study_runs_beside_the_file_that_was_named_and_scores_as_without_the_changes(bench, plugin):
    (bench.folder / "small.toml").write_text(SMALL)
    words = ("--study", "./small.toml", "--no-baselines", "--profile", "quick")
    scores = []
    before = state()
    for name, places in (("plain", ()), ("busy", ("import", "hook", "constructor", "forward", "forward of a step"))):
        result = bench.run(
            "run", "--plugin", plugin(*places), *words, "--storage", f"sqlite:///{name}.db", "--out", name
        )
        assert result.code == 0, result.err
        scores.append((bench.folder / name / "curves.csv").read_text())
        assert state() == before
    assert "average_precision" in scores[0]
    assert scores[0] == scores[1]
    assert {"plain.db", "busy.db"} <= {path.name for path in bench.folder.iterdir()}
    assert [path.name for path in (bench.folder / "elsewhere").iterdir()] == ["mine.py"]


def test_check_says_what_a_plugin_changes(bench, plugin):
    quiet = bench.run("check", plugin())
    assert quiet.code == 0, quiet.out
    assert "note: importing" not in quiet.out
    result = bench.run("check", plugin("import", "forward of a step"))
    assert result.code == 2
    assert "note: importing it changes the working folder, the default dtype, the number of threads" in result.out
    assert "the state of torch's random numbers; kernbench puts that back" in result.out
    assert "FAIL  process" in result.out
    assert "forward changes the working folder, the default dtype" in result.out
