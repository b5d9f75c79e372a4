"""Two containers with one host name: their workers have numbers that mean nothing to the other one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import fakes
import pytest
from fakes import NINE
from optuna.trial import TrialState

from kernbench.engine.fleet.children import Child
from kernbench.host.processes import process_namespace
from kernbench.store.tables.cell_states import NAMESPACE, this_worker

ANOTHER_RUN = """
import json, sys
from pathlib import Path
import fakes
world = fakes.World(Path(sys.argv[1]), url=sys.argv[2])
states = world.states(world.run(world.study([9])))
print(json.dumps([states, world.executed]))
"""


def another_run(world):
    """States and executed cells of a run of the same study in a PID namespace of its own."""
    command = [
        "unshare",
        "--pid",
        "--fork",
        "--mount-proc",
        sys.executable,
        "-c",
        ANOTHER_RUN,
        str(world.folder),
        world.url,
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(fakes.__file__).parent)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode and done.stderr.startswith("unshare"):
        pytest.skip(f"no PID namespace can be made here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_live_worker_of_another_container_keeps_its_cell(world):
    seen = []

    def compute(_context):
        seen.append(another_run(world))
        return fakes.outcome()

    assert world.states(world.run(world.study([9]), compute)) == {NINE: "done"}
    assert seen == [[{NINE: "running"}, []]]
    [trial] = world.trials(TrialState.COMPLETE)
    assert trial.user_attrs[NAMESPACE] == process_namespace()


def test_a_coordinator_takes_no_trial_of_another_container_for_its_worker(tmp_path):
    class Process:
        pid = os.getpid()

    child = Child(Process, 0, tmp_path / "log")
    assert child.signed({"worker": this_worker(), NAMESPACE: process_namespace()})
    assert child.signed({"worker": this_worker()})
    assert not child.signed({"worker": this_worker(), NAMESPACE: "another"})
    assert not child.signed({})
