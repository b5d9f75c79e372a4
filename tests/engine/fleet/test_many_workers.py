"""Many workers as a user runs them, through the command line, with real training."""

import os
import signal
import sqlite3

import fakes
import pytest
from worlds import wait_until

from kernbench.host.processes import process_start
from kernbench.store.reading.runs import load_runs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

LONG = fakes.SMALL + "epochs = 100000\nbatch_size = 4\ndecay_epoch = 200\nvalidate_every = 10\n"
RUN = ("run", "--profile", "quick", "--no-baselines", "--workers", "2")


def workers(bench):
    """Process numbers of the workers whose cells are running and have looked at their validation lines."""
    if not bench.database.exists():
        return set()
    connection = sqlite3.connect(f"file:{bench.database}?mode=ro", uri=True, timeout=60)
    try:
        query = "SELECT a.value_json FROM trial_user_attributes a JOIN trials t ON t.trial_id = a.trial_id "
        query += "WHERE a.key = 'worker' AND t.state = 'RUNNING' "
        query += "AND t.trial_id IN (SELECT trial_id FROM trial_intermediate_values)"
        rows = connection.execute(query).fetchall()
    except sqlite3.OperationalError:  # the tables are being made
        return set()
    finally:
        connection.close()
    return {int(row[0].strip('"').rpartition(":")[2]) for row in rows}


def test_the_main_job_with_two_workers_makes_data_once_and_gives_what_one_gives(bench):
    words = (*RUN, "--study", "smoke", "--plugin", "siren")
    ended = bench.ended(bench.spawn(*words))
    assert ended.code == 0, ended
    assert ended.err == "", ended
    for said in (
        "[1/2] ",
        "[2/2] ",
        "on validation lines  worker ",
        "all complete (2 done)",
        "blind floor",
        "report: ",
    ):
        assert said in ended.out, ended
    assert list((bench.folder / "kernbench.checkpoints").iterdir()) == []
    assert "simulating train lines" in ended.out, ended  # before the workers start
    assert not any("simulating" in log.read_text() for log in (bench.folder / "kernbench.logs").iterdir())
    one = f"sqlite:///{bench.folder}/one.db"
    alone = bench.run(*RUN[:-1], "1", "--study", "smoke", "--plugin", "siren", "--storage", one, "--out", "one")
    assert alone.code == 0, alone
    scores = [
        {run.cell: (run.scores["test"].tp.tolist(), run.scores["test"].thresholds.tolist()) for run in load_runs(url)}
        for url in (bench.url, one)
    ]
    assert scores[0] == scores[1]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_stopped_run_gives_every_cell_back_with_its_checkpoint(smoke_bench, number, code):
    bench = smoke_bench
    (bench.folder / "long.toml").write_text(LONG)
    process = bench.spawn(*RUN, "--study", "long.toml", "--plugin", "discrete")
    wait_until(lambda: len(workers(bench)) == 2, process)
    process.send_signal(number)
    ended = bench.ended(process)
    assert ended.code == code, ended
    assert "stopping: 2 workers" in ended.out, ended
    assert "give the same command again" in ended.out, ended
    assert "2 waiting" in bench.run("status").out
    assert [path.suffix for path in (bench.folder / "kernbench.checkpoints").iterdir()] == [".pt", ".pt"]


def test_workers_of_a_killed_run_leave_and_give_their_cells_back(smoke_bench):
    bench = smoke_bench
    (bench.folder / "long.toml").write_text(LONG)
    process = bench.spawn(*RUN, "--study", "long.toml", "--plugin", "discrete")
    wait_until(lambda: len(workers(bench)) == 2, process)
    children = workers(bench)
    process.kill()
    bench.ended(process)
    wait_until(lambda: all(process_start(pid) is None for pid in children))
    status = bench.run("status")
    assert "2 waiting" in status.out, status
    assert "goes on from epoch" in status.out, status


def test_a_killed_worker_is_replaced_and_nothing_is_lost(smoke_bench):
    bench = smoke_bench
    (bench.folder / "mid.toml").write_text(LONG.replace("100000", "150"))
    process = bench.spawn(*RUN, "--study", "mid.toml", "--plugin", "discrete")
    wait_until(lambda: len(workers(bench)) == 2, process)
    os.kill(min(workers(bench)), signal.SIGKILL)
    ended = bench.ended(process)
    assert ended.code == 0, ended
    assert "was ended by SIGKILL" in ended.out, ended
    assert "it is queued again" in ended.out, ended
    assert "all complete (2 done)" in ended.out, ended
    assert list((bench.folder / "kernbench.checkpoints").iterdir()) == []  # the scratch folder of the dead, too


def test_one_worker_with_a_limit_times_out_a_plugin_that_never_returns_and_goes_on(smoke_bench):
    bench = smoke_bench
    (bench.folder / "deaf.py").write_text(
        "import time, torch, kernbench\n"
        "class Deaf(kernbench.KernelModule):\n"
        "    def __init__(self, spec):\n"
        "        super().__init__(spec)\n"
        "        self.weight = torch.nn.Parameter(torch.randn(*spec.shape))\n"
        "    def forward(self, grid):\n"
        "        while self.training and torch.is_grad_enabled() and len(grid.lags) == 9: time.sleep(0.1)\n"
        "        return self.weight\n"
        "@kernbench.hookimpl\n"
        "def kernbench_kernels(): return [kernbench.KernelFamily('deaf', Deaf)]\n"
    )
    words = ("run", "--profile", "quick", "--no-baselines", "--study", "smoke", "--plugin", "./deaf.py:deaf")
    ended = bench.ended(bench.spawn(*words, "--cell-limit", "40s", "--cell-margin", "1s"))
    assert ended.code == 1, ended
    assert "longer than the cell limit of 40s" in ended.out, ended
    assert {run.status for run in load_runs(bench.url)} == {"ok", "timeout"}
