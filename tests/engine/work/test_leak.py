"""A plugin that leaks memory until it is refused more, or until its process is killed: its cell alone fails."""

import contextlib
import os
import resource
import signal
import subprocess
import threading
import time
from pathlib import Path

import fakes
import optuna
import pytest
from forked import Forked, call_main

from kernbench.engine.fleet import coordinator
from kernbench.store.reading.runs import load_runs
from kernbench.store.tables import cell_states

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MIB = 1 << 20
# 32 MiB at a time, written to; the assertion protects the machine, should the leak not be stopped
PLUGIN = """
import time, torch, kernbench
LEAKED = []
class Leak(kernbench.KernelModule):
    def __init__(self, spec):
        super().__init__(spec)
        self.weight = torch.nn.Parameter(torch.randn(*spec.shape))
    def forward(self, grid):
        while self.training and torch.is_grad_enabled() and len(grid.lags) == 9:
            LEAKED.append(torch.ones(8 << 20))
            assert len(LEAKED) < 90, "the leak was not stopped"
            time.sleep(0.01)
        return self.weight
@kernbench.hookimpl
def kernbench_kernels(): return [kernbench.KernelFamily('leak', Leak)]
"""
STUDY = fakes.SMALL + "epochs = 2\nbatch_size = 4\n"
LEAKING, OTHER = fakes.NINE, fakes.THIRTY_THREE
RUN = ("run", "--plugin", "./leak.py:leak", "--study", "./leaking.toml", "--profile", "quick", "--no-baselines")
RUN += ("--workers", "2")


@pytest.fixture
def leaking(smoke_bench):
    """A working folder with the plugin and its study."""
    (smoke_bench.folder / "leak.py").write_text(PLUGIN)
    (smoke_bench.folder / "leaking.toml").write_text(STUDY)
    return smoke_bench


def run_held_after_two(*words):
    """`kernbench WORDS` that holds a cell after two ends of its worker."""
    coordinator.KILLED_LIMIT = cell_states.KILLED_LIMIT = 2
    call_main(*words)


def children(pid):
    """Process numbers of a process's children."""
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:  # it has ended
        return []


def resident_mib(pid):
    """Resident memory of a process."""
    try:
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    except OSError:
        return 0
    return int(fields.get("VmRSS", "0 kB").split()[0]) // 1024


@contextlib.contextmanager
def memory_killer(process, limit_mib):
    """Kill workers above a limit, as the kernel does where memory runs out; gives the list of those killed."""
    killed, over = [], threading.Event()

    def watch():
        while not over.wait(0.02):
            for pid in children(process.pid):
                if pid not in killed and resident_mib(pid) > limit_mib:
                    killed.append(pid)
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def status_of(bench):
    """Cell -> status of all runs."""
    return {run.cell: run.status for run in load_runs(bench.url)}


def report_of(ended):
    """The report that a run has written."""
    (path,) = [line.partition("report: ")[2].split(" (")[0] for line in ended.out.splitlines() if "report: " in line]
    return Path(path).read_text()


def test_a_leak_until_the_process_is_killed_is_held_and_the_other_cells_finish(leaking, monkeypatch):
    process = Forked(run_held_after_two, RUN, cwd=leaking.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with memory_killer(process, 768) as killed:
        ended = leaking.ended(process, timeout=600)
    assert ended.code == 1, ended
    assert len(killed) == 2, ended
    assert status_of(leaking) == {LEAKING: "killed", OTHER: "ok"}, ended
    assert "killed 2 times in a row" in ended.out, ended
    assert "SIGKILL (by hand, or out of memory)" in ended.out, ended
    assert "killed" in report_of(ended)
    assert LEAKING in report_of(ended)
    monkeypatch.setattr(cell_states, "KILLED_LIMIT", 2)
    again = leaking.run(*RUN)
    assert again.code == 1  # held: nothing is begun again
    assert status_of(leaking)[LEAKING] == "killed"


def test_a_leak_until_memory_is_refused_is_oom_and_the_other_cells_finish(leaking):
    process = leaking.spawn(*RUN, "--workers", "1", "--cell-limit", "1h")  # one worker, watched
    resource.prlimit(process.pid, resource.RLIMIT_DATA, (1536 * MIB, 1536 * MIB))  # its workers inherit it
    deadline = time.monotonic() + 600
    while process.poll() is None and time.monotonic() < deadline:
        assert all(resident_mib(pid) < 2048 for pid in children(process.pid))
        time.sleep(0.2)
    ended = leaking.ended(process)
    assert ended.code == 1, ended
    assert status_of(leaking) == {LEAKING: "oom", OTHER: "ok"}, ended
    assert "oom" in report_of(ended)
    assert LEAKING in report_of(ended)
    study = optuna.load_study(study_name=None, storage=leaking.url)  # the only one
    trials = [trial for trial in study.trials if "cell" in trial.user_attrs]  # an empty queue leaves one without
    workers = {trial.user_attrs["cell"]: trial.user_attrs["worker"] for trial in trials}
    begun = {trial.user_attrs["cell"]: trial.datetime_start for trial in trials}
    assert begun[OTHER] > begun[LEAKING]  # one worker takes them in order
    assert workers[OTHER] != workers[LEAKING]  # what leaked went with its process
