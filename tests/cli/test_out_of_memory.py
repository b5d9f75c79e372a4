"""A cell that runs out of memory ends as `oom` and says what helps; the study goes on with its other cells."""

import subprocess
import sys

import fakes
import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of address space are Linux's")

STUDY = fakes.SMALL.replace("channels = 4\n", "").replace("[9, 33]", "[9]\nchannels = [2048, 2]") + "epochs = 1\n"

# The libraries are loaded first: their address space must not count. 512 MiB are plenty for 2 channels; with 2048
# the weights of the second layer take 150 MB, as do their gradient and both moments.
LIMITED = """
import resource, sys
import matplotlib.pyplot, optuna, scipy.stats, torch
from kernbench.cli import main
from kernbench.cli.terminal import console
from kernbench.report.page import html
from kernbench.ulm.cells import run
used = int(open("/proc/self/status").read().partition("VmSize:")[2].split()[0]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (used + 2**29, resource.RLIM_INFINITY))
sys.argv = ["kernbench", *sys.argv[1:]]
main()
"""


@pytest.mark.slow
def test_a_cell_that_cannot_allocate_is_oom_and_the_others_go_on(smoke_bench):
    (smoke_bench.folder / "mine.toml").write_text(STUDY)
    words = ["run", "--plugin", "discrete", "--study", "mine.toml", "--profile", "quick", "--device", "cpu"]
    ended = subprocess.run([sys.executable, "-c", LIMITED, *words], capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended
    assert "Traceback" not in ended.stderr, ended
    status = smoke_bench.run("status", "--study", "mine.v1.quick/discrete")
    said = " ".join(status.out.split())
    assert "2 cells (1 failed, 1 done)" in said, status
    assert "channels=2048,kernel_size=9,seed=0 failed oom: " in said, status
    assert "training.recompute = true" in said, status
    page = (smoke_bench.folder / "kernbench-report" / "report.html").read_text(encoding="utf-8")
    assert "oom" in page
