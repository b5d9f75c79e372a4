"""The main job as a user runs it, in processes of its own: run, kill, interrupt, go on, compare.

One long file, because all of it shares the helpers that watch a process and compare results.
"""

import csv
import json
import signal
import sqlite3
import time
from unittest import mock

import fakes
import numpy as np
import pytest

from kernbench.engine.fleet import runner
from kernbench.host.device import choose_device
from kernbench.registry import find, installed
from kernbench.store.reading.runs import load_runs
from kernbench.store.tables.cell_states import this_worker
from kernbench.study.task import load as load_task_study
from kernbench.ulm.cells import run as experiment

pytestmark = pytest.mark.slow

# As in design.md: the whole plugin.
PLUGIN = """
import torch, kernbench

class Exponential(kernbench.KernelModule):
    def __init__(self, spec, b=8.0):
        super().__init__(spec)
        self.weight = torch.nn.Parameter(torch.randn(*spec.shape[:2], 1))
        self.log_b = torch.nn.Parameter(torch.tensor(b).log())
    def forward(self, grid):
        return self.weight * torch.exp(-grid.lags.abs() / self.log_b.exp())

@kernbench.hookimpl
def kernbench_kernels():
    space = {"b": kernbench.Float(1.0, 64.0, log=True, default=8.0)}
    return [kernbench.KernelFamily("exponential", Exponential, space=space)]
"""

# Cells long enough to be caught in the middle.
LONG = fakes.SMALL + "epochs = 300\nbatch_size = 4\ndecay_epoch = 200\nvalidate_every = 10\n"

# The classical detectors of a run have tests of their own.
SMOKE = ("run", "--study", "smoke", "--profile", "quick", "--no-baselines")


@pytest.fixture
def long(plain_bench):
    """A study whose cells take some seconds each, and the words that run it."""
    (plain_bench.folder / "long.toml").write_text(LONG)
    return ("run", "--plugin", "discrete", "--study", "long.toml", "--profile", "quick", "--no-baselines")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, smoke_lines):
    """Results of the long study, run in one piece and without the command line."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    (folder / "long.toml").write_text(LONG)
    found = find("discrete")
    study = load_task_study(str(folder / "long.toml"), found.family, "quick")
    with pytest.MonkeyPatch.context() as patch, fakes.no_pictures():
        patch.setenv("KERNBENCH_CACHE", str(smoke_lines))
        options = runner.Options(f"sqlite:///{folder}/kernbench.db", choose_device("cpu"))
        runner.run(study, found, options, experiment.run_cell, lambda: None, fakes.Silent())
    return results(folder / "kernbench.db")


def trials(bench):
    """(state, cell, other user attributes) of every trial, read beside the writer."""
    if not bench.database.exists():
        return []
    connection = sqlite3.connect(f"file:{bench.database}?mode=ro", uri=True, timeout=60)
    try:
        attributes = {}
        for trial_id, key, value in connection.execute("SELECT trial_id, key, value_json FROM trial_user_attributes"):
            attributes.setdefault(trial_id, {})[key] = json.loads(value)
        rows = connection.execute("SELECT trial_id, state FROM trials ORDER BY trial_id").fetchall()
    except sqlite3.OperationalError:  # the tables are being made
        return []
    finally:
        connection.close()
    return [(state, attributes.get(trial_id, {}).get("cell"), attributes.get(trial_id, {})) for trial_id, state in rows]


def wait_for(condition, process, timeout=120):
    """Wait until something is true of a running process."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert process.poll() is None, f"ended too early: {process.communicate()}"
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.02)


def in_training(process, cell=1):
    """Wait until epochs of the n-th cell are being trained."""
    here = False
    for line in process.stdout:
        here = here or line.startswith(f"[{cell}/")
        if here and line.startswith("  epoch "):
            return
    pytest.fail(f"ended before its training was seen: {process.stderr.read()}")


def finished(bench):
    """Cell -> number of COMPLETE trials."""
    found = [(state, cell) for state, cell, _ in trials(bench) if cell is not None]
    return {cell: found.count(("COMPLETE", cell)) for _, cell in found}


def results(database, family="discrete"):
    """Cell -> scores, kernels, curve: all that must not depend on interruptions or on other work of the machine."""
    found = {}
    for run in load_runs(f"sqlite:///{database}"):
        if run.family != family:
            continue
        with np.load(run.artifacts["cell.npz"]) as file:
            arrays = dict(file)
        with run.artifacts["curve.csv"].open() as file:
            curve = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
        scores = {s: (each.tp, each.fn, each.fp, each.thresholds) for s, each in run.scores.items()}
        numbers = run.values["n_params"], run.values["flops"], run.digest, run.data_digest
        found[run.cell] = (scores, arrays, curve, numbers)
    return found


def test_the_main_job_runs_once_and_the_same_command_again_changes_nothing(smoke_bench):
    bench = smoke_bench
    first = bench.ended(bench.spawn(*SMOKE, "--plugin", "siren"))
    assert first.code == 0, first
    assert first.err == "", first
    for said in ("[1/2]", "[2/2]", "all complete (2 done)", "F1", "95 % interval", "blind floor", "report: "):
        assert said in first.out, first
    page = bench.folder / "kernbench-report" / "report.html"
    assert "siren" in page.read_text()
    assert {"kernbench.db", "kernbench.artifacts", "kernbench.checkpoints", "kernbench-report"} == {
        path.name for path in bench.folder.iterdir()
    }
    assert list((bench.folder / "kernbench.checkpoints").iterdir()) == []
    before, stored = trials(bench), results(bench.database, "siren")
    second = bench.run(*SMOKE, "--plugin", "siren")
    assert second.code == 0, second
    assert "all cells were complete already (2 done)" in second.out, second
    assert trials(bench) == before
    np.testing.assert_equal(results(bench.database, "siren"), stored)
    status = bench.run("status")
    assert (status.code, status.out.count("done")) == (0, 3), status


def test_a_cell_does_not_depend_on_where_and_after_what_it_ran(plain_bench):
    bench = plain_bench
    fresh = bench.ended(bench.spawn(*SMOKE, "--plugin", "siren", OMP_NUM_THREADS="1"))
    assert fresh.code == 0, fresh
    other = ("--storage", f"sqlite:///{bench.folder}/other.db")
    for family in ("gaussian", "siren"):  # other cells of the same process come first
        ended = bench.run(*SMOKE, "--plugin", family, *other)
        assert ended.code == 0, ended
    one, two = results(bench.database, "siren"), results(bench.folder / "other.db", "siren")
    assert one.keys() == results(bench.folder / "other.db", "gaussian").keys()
    np.testing.assert_equal(two, one)


def test_a_plugin_of_ten_lines_in_a_file_runs_and_its_edition_is_noticed(plain_bench):
    bench, words = plain_bench, (*SMOKE, "--plugin", "./my_kernel.py:exponential")
    (bench.folder / "my_kernel.py").write_text(PLUGIN)
    checked = bench.run("check", "./my_kernel.py:exponential")
    assert checked.code == 0, checked
    ended = bench.ended(bench.spawn(*words))
    assert ended.code == 0, ended
    assert "smoke.v1.quick/exponential: all complete (2 done)" in ended.out, ended
    (run, _) = load_runs(bench.url)
    assert run.plugin.startswith("file ")
    (bench.folder / "my_kernel.py").write_text(PLUGIN + "# edited\n")
    again = bench.run(*words)
    assert "2 stored cells" in again.out, again
    assert "the plugin is now file" in again.out, again


def test_every_bundled_family_runs_the_smoke_study(plain_bench, monkeypatch):
    monkeypatch.setattr("kernbench.cli.terminal.console.write_report", mock.Mock(return_value="a page"))
    families = sorted(installed().found)
    ended = plain_bench.run(*SMOKE, "--plugin", ",".join(families), "--only", "kernel_size=33")
    assert ended.code == 0, ended
    found = load_runs(plain_bench.url)
    assert sorted(run.family for run in found) == families
    assert {run.status for run in found} == {"ok"}


def test_kill_9_in_the_middle_loses_nothing_that_was_finished(long, plain_bench, uninterrupted):
    bench = plain_bench
    process = bench.spawn(*long)
    in_training(process, cell=2)  # the first cell is done, the second under way
    process.kill()
    bench.ended(process)
    assert finished(bench) == {"kernel_size=9,seed=0": 1, "kernel_size=33,seed=0": 0}
    status = bench.run("status")
    assert "kernel_size=9,seed=0   done" in status.out, status
    assert "kernel_size=33,seed=0  lost" in status.out, status
    assert "is gone" in status.out, status
    planned = bench.run(*long, "--dry-run")
    assert "would run 1" in planned.out, planned
    again = bench.ended(bench.spawn(*long))
    assert again.code == 0, again
    assert "[1/1]" in again.out, again
    assert finished(bench) == {"kernel_size=9,seed=0": 1, "kernel_size=33,seed=0": 1}
    assert [state for state, _, _ in trials(bench)].count("FAIL") == 1
    np.testing.assert_equal(results(bench.database), uninterrupted)


def test_kill_9_while_data_are_simulated_is_no_harm(plain_bench, own_cache, monkeypatch):
    monkeypatch.setenv("KERNBENCH_CACHE", str(own_cache))  # no lines yet
    bench, words = plain_bench, (*SMOKE, "--plugin", "discrete")
    process = bench.spawn(*words)
    wait_for(lambda: trials(bench) != [], process)
    process.kill()
    bench.ended(process)
    again = bench.run(*words)
    assert again.code == 0, again
    assert set(finished(bench).values()) == {1}


def test_an_interrupted_run_keeps_its_checkpoint_and_goes_on_to_the_same_result(long, plain_bench, uninterrupted):
    bench = plain_bench
    for stops, (number, code) in enumerate(((signal.SIGINT, 130), (signal.SIGTERM, 0)), 1):
        process = bench.spawn(*long)
        in_training(process)
        process.send_signal(number)
        ended = bench.ended(process)
        assert ended.code == code, ended
        assert "Traceback" not in ended.err, ended
        assert "give the same command again" in ended.out, ended
        assert not (bench.folder / "kernbench-report").exists()  # half a study is no result
        # the second run trains the other cell: each has a checkpoint then
        assert [path.suffix for path in (bench.folder / "kernbench.checkpoints").iterdir()] == [".pt"] * stops
        status = bench.run("status")
        assert "2 waiting" in status.out, status
        failed = [(cell, about.get("status")) for state, cell, about in trials(bench) if state == "FAIL"]
        assert failed == [("kernel_size=9,seed=0", "interrupted"), ("kernel_size=33,seed=0", "interrupted")][:stops]
    again = bench.ended(bench.spawn(*long))
    assert again.code == 0, again
    assert again.out.count("  goes on from epoch ") == 2, again
    assert list((bench.folder / "kernbench.checkpoints").iterdir()) == []
    assert set(finished(bench).values()) == {1}
    assert all(about["resumed"] >= 50 for state, _, about in trials(bench) if state == "COMPLETE")
    np.testing.assert_equal(results(bench.database), uninterrupted)


def test_two_runs_share_the_cells(plain_bench):
    bench = plain_bench
    bench.run(*SMOKE, "--plugin", "discrete", "--workers", "0")
    processes = [bench.spawn(*SMOKE, "--plugin", "discrete", "--out", f"report{i}") for i in range(2)]
    for process in processes:
        ended = bench.ended(process)
        assert ended.code == 0, ended
    assert set(finished(bench).values()) == {1}


def test_one_broken_cell_does_not_stop_the_others_and_is_shown(plain_bench):
    bench = plain_bench
    sick = PLUGIN.replace(
        "return self.weight",
        "if self.training and torch.is_grad_enabled() and len(grid.lags) == 9: raise ValueError('sick at 9')\n"
        "        return self.weight",
    )
    (bench.folder / "my_kernel.py").write_text(sick)
    ended = bench.run(*SMOKE, "--plugin", "./my_kernel.py:exponential")
    assert "ValueError: sick at 9" in ended.out, ended
    assert "1 failed, 1 done" in ended.out, ended
    assert "--retry-failed" in ended.out, ended
    status = bench.run("status")
    assert "sick at 9" in status.out, status
    assert "sick at 9" in (bench.folder / "kernbench-report" / "report.html").read_text()
    again = bench.run(*SMOKE, "--plugin", "./my_kernel.py:exponential")
    assert "[1/" not in again.out, again
    (bench.folder / "my_kernel.py").write_text(PLUGIN)
    cured = bench.run(*SMOKE, "--plugin", "./my_kernel.py:exponential", "--retry-failed")
    assert "all complete (2 done)" in cured.out, cured
    assert set(finished(bench).values()) == {1}


def test_a_diverging_cell_is_a_result_with_its_curve(plain_bench):
    bench = plain_bench
    (bench.folder / "hot.toml").write_text(
        LONG.replace("[9, 33]", "[9]").replace("epochs = 300", "epochs = 4").replace("200", "4")
    )
    diverging = PLUGIN.replace(
        "return self.weight",
        "self.calls = getattr(self, 'calls', 0) + (self.training and torch.is_grad_enabled())\n"
        "        if self.calls > 6: return self.weight * float('nan') * grid.lags\n"
        "        return self.weight",
    )
    (bench.folder / "my_kernel.py").write_text(diverging)
    words = ("run", "--plugin", "./my_kernel.py:exponential", "--study", "hot.toml", "--profile", "quick")
    ended = bench.run(*words)
    assert ended.code == 0, ended
    assert "diverged" in ended.out, ended
    (run,) = load_runs(bench.url)
    assert (run.status, run.scores) == ("diverged", {})
    assert len(run.artifacts["curve.csv"].read_text().splitlines()) > 1
    again = bench.run(*words, "--retry-failed")
    assert "complete already (1 diverged)" in again.out, again


def test_a_worker_that_lives_is_not_robbed(long, plain_bench):
    bench = plain_bench
    endless = LONG.replace("epochs = 300", "epochs = 100000")
    (bench.folder / "long.toml").write_text(endless)
    process = bench.spawn(*long)
    wait_for(lambda: any(state == "RUNNING" and "worker" in about for state, _, about in trials(bench)), process)
    status = bench.run("status")
    assert "running" in status.out, status
    assert this_worker().partition(":")[0] in status.out, status
    planned = bench.run(*long, "--dry-run")
    assert "1 running" in planned.out, planned
    (bench.folder / "long.toml").write_text(endless.replace("[9, 33]", "[9]"))
    beside = bench.run(*long)  # nothing for it to do, and nothing to report yet
    assert beside.code == 0, beside
    assert "1 running" in beside.out, beside
    process.send_signal(signal.SIGTERM)
    assert bench.ended(process).code == 0
