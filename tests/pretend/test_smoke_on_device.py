"""Cells of `smoke` on the pretend accelerator, by the way of `kernbench run`: what the CPU gives, bit for bit."""

import numpy as np
import pytest
import torch
from cell_on_device import all_of, outcome, study
from fakes import no_pictures, stored_scores
from pretend_gpu import gpu
from pretending import pretending, values
from small_training import waits_of_epochs
from stopping import StopAt

from kernbench.study.task import task
from kernbench.training.settings import Interrupted
from kernbench.ulm.detectors.detector import only_peaks

NOISY = {"data": {"noise_percent": 5.0}}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A cache folder with the lines of smoke, simulated on the accelerator."""
    folder = tmp_path_factory.mktemp("simulated-there")
    with pytest.MonkeyPatch.context() as patch, pretending():
        patch.setenv("KERNBENCH_CACHE", str(folder))
        task().prepare(study(), "gpu:0", lambda *_: None)
        assert gpu.from_host, "nothing was simulated there"
    return folder


@pytest.fixture
def cache(simulated, monkeypatch, own_cache):
    """Those lines; `own_cache` comes first, or it would put another folder in their place."""
    monkeypatch.setenv("KERNBENCH_CACHE", str(simulated))


def test_lines_are_simulated_as_on_the_cpu(simulated, smoke_lines):
    def arrays(folder):
        found = {path.relative_to(folder): np.load(path) for path in folder.rglob("*.npy")}
        assert len(found) >= 3
        return found

    there, here = arrays(simulated), arrays(smoke_lines)
    assert there.keys() == here.keys()
    for name, array in there.items():
        np.testing.assert_array_equal(array, here[name], err_msg=str(name))


@pytest.mark.slow
def test_run_gives_the_scores_of_the_cpu_and_says_where_it_ran(bench, cache, same_choices):
    words = ("run", "--study", "smoke", "--profile", "quick", "--no-baselines", "--plugin", "siren,discrete")
    words = (*words, "--only", "kernel_size=9")
    with no_pictures():
        with pretending(), waits_of_epochs() as waits:
            there = bench.run(*words, "--device", "gpu:0", "--storage", "sqlite:///there.db")
        here = bench.run(*words, "--device", "cpu", "--storage", "sqlite:///here.db")
    assert there.code == here.code == 0, (there, here)
    assert [len(each) for each in waits] == [1] * 6, waits
    rows, trials = stored_scores(bench.folder / "there.db")
    assert rows
    assert (rows, trials) == stored_scores(bench.folder / "here.db")
    page = (bench.folder / "kernbench-report" / "report.html").read_text(encoding="utf-8")
    assert "cpu" in page
    assert "a pretend accelerator" in _stored_text(bench.folder / "there.db")


def _stored_text(database):
    return database.read_bytes().decode(errors="replace")


@pytest.mark.parametrize(
    ("tables", "runtime"),
    [
        ({}, {}),
        (NOISY, {}),
        ({"training": {"update": "per-epoch"}, "data": {"delay": 20}}, {}),
        ({"network": {"side": "causal"}, "data": {"test_rate": 125}}, {}),
        ({"network": {"depth": 3}}, {"recompute": True}),
    ],
    ids=["plain", "noisy", "per epoch, delayed", "causal, test lines at 125 MHz", "recomputed"],
)
def test_a_cell_leaves_what_it_leaves_on_the_cpu(tmp_path, cache, same_choices, tables, runtime):
    asked = study(tables, runtime)
    with pretending() as there, waits_of_epochs() as waits:
        found = outcome(tmp_path, "gpu:0", asked)
        assert there.waits >= 12, "the latency is taken when all is done"
    assert found.values["peak_memory_mb"] < 100, "of the accelerator, not of the process"
    assert [len(each) for each in waits] == [1, 1, 1], waits
    assert all_of(found) == all_of(outcome(tmp_path, "cpu", asked))


@pytest.mark.parametrize("backend", ["fft", "overlap_save"])
def test_a_cell_that_convolves_by_spectra_leaves_what_it_leaves_on_the_cpu(
    tmp_path, cache, same_choices, monkeypatch, backend
):
    monkeypatch.setattr("kernbench.conv.dispatch.choose", lambda *_: backend)
    asked = study({"network": {"depth": 3}}, {"recompute": True})
    with pretending():
        found = outcome(tmp_path, "gpu:0", asked)
    assert all_of(found) == all_of(outcome(tmp_path, "cpu", asked))


def test_its_pictures_are_drawn(tmp_path, cache):
    with pretending():
        found = outcome(tmp_path, "gpu:0", study())
        assert len(found.draw()) >= 3


@pytest.mark.parametrize("then", ["gpu:0", "cpu"])
def test_a_stopped_cell_goes_on_where_it_was_on_the_accelerator_or_the_cpu(tmp_path, cache, same_choices, then):
    asked = study(NOISY)
    with pretending():
        with pytest.raises(Interrupted):
            outcome(tmp_path / "stopped", "gpu:0", asked, stop=StopAt(4))
        rest = outcome(tmp_path / "stopped", then, asked, attempt=1)
    assert rest.resumed_from == 1
    assert all_of(rest) == all_of(outcome(tmp_path / "whole", "cpu", asked))


LINES_OF_SMOKE = "data = { train = 8, validation = 4, test = 6, window = 512 }\n"
DEEP = """
version = 1
[axes]
kernel_size = [9]
[network]
channels = 16
depth = 9
[training]
epochs = 1
batch_size = 8
"""


def test_memory_that_runs_out_while_lines_are_simulated_is_one_line(bench):
    (bench.folder / "mine.toml").write_text(DEEP)
    with pretending(memory=gpu.allocated + 4 * 2**20):
        words = ("run", "--study", "mine.toml", "--plugin", "discrete", "--profile", "smoke")
        refused = bench.run(*words, "--device", "gpu")
    assert refused.code == 2, refused
    (line,) = refused.err.splitlines()
    assert line.startswith("kernbench: no memory to simulate lines on gpu:0: OutOfMemoryError: gpu out of memory"), line
    assert line.endswith("give `kernbench data simulate --device cpu` first")


@pytest.mark.slow
def test_memory_that_runs_out_fails_the_cell_with_advice_that_helps(bench, cache):
    """It takes 5.5 MiB, and 2.6 MiB where activations are made again."""
    study_file = bench.folder / "mine.toml"
    study_file.write_text(f"{LINES_OF_SMOKE}{DEEP}")
    words = ("run", "--study", "mine.toml", "--profile", "smoke", "--plugin", "discrete", "--no-baselines")
    with no_pictures(), pretending(memory=gpu.allocated + 4 * 2**20) as there:
        failed = bench.run(*words, "--device", "gpu:0")
        assert failed.code == 1, failed
        assert there.emptied, "what is kept was not given back for the next cell"
        assert "oom: OutOfMemoryError: gpu out of memory" in failed.out, failed
        assert "GiB allocated by torch on gpu:0; set training.recompute = true" in failed.out, failed
        study_file.write_text(f"{LINES_OF_SMOKE}{DEEP}recompute = true\n")
        done = bench.run(*words, "--device", "gpu:0", "--retry-failed")
        assert done.code == 0, done


def test_check_tries_the_device_and_finds_what_stays_on_the_cpu(bench):
    (bench.folder / "mine.py").write_text(BROKEN)
    with pretending():
        sound, broken = bench.run("check", "discrete"), bench.run("check", "mine.py:left_behind")
    without = bench.run("check", "discrete")
    assert "ok    device             same kernel on the accelerator" in sound.out, sound
    assert "none  device             no accelerator here" in without.out, without
    assert broken.code == 2, broken
    (line,) = [each for each in broken.out.splitlines() if each.split()[1:2] == ["device"]]
    assert line.startswith("FAIL"), line
    assert "expected all tensors on gpu:0" in line, line


BROKEN = """
import torch, kernbench

class LeftBehind(kernbench.KernelModule):
    def __init__(self, spec):
        super().__init__(spec)
        self.weight = torch.nn.Parameter(torch.randn(spec.shape))
        self.window = torch.ones(spec.kernel_size)

    def forward(self, grid):
        return self.weight * self.window.to(grid.lags.dtype)

@kernbench.hookimpl
def kernbench_kernels():
    return [kernbench.KernelFamily("left_behind", LeftBehind)]
"""


def test_peaks_of_a_detector_stay_on_the_device():
    score = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    with pretending():
        there = only_peaks(score.to("gpu"))
        assert there.device.type == "gpu"
    assert torch.equal(values(there), only_peaks(score))


def test_a_device_that_is_registered_and_not_there_is_unknown(bench):
    refused = bench.run("run", "--study", "smoke", "--plugin", "siren", "--device", "gpu:0", "--dry-run")
    assert refused.code == 2, refused
    assert "expected auto, cpu or cuda[:i], got 'gpu:0'" in refused.err
    with pretending():
        refused = bench.run("run", "--study", "smoke", "--plugin", "siren", "--device", "gpu:3", "--dry-run")
    assert "--device gpu:3: this machine has 1 gpu devices" in refused.err, refused
