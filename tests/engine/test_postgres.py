"""The same engine on a real PostgreSQL server, started for these tests on a free loopback port."""

import collections
import gc
import hashlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import fakes
import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import text

from kernbench.engine.reading import load_runs
from kernbench.engine.storage import read_storage
from kernbench.errors import StorageLostError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # connections of a dead server
]

NINE, THIRTY_THREE = "kernel_size=9,seed=0", "kernel_size=33,seed=0"


class Server:
    """A PostgreSQL server in a folder, that can go down and come back."""

    def __init__(self, folder, binaries, user):
        self._folder, self._binaries, self._user = folder, binaries, user
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._call("initdb", "-D", folder / "data", "-A", "trust", "-U", "kernbench")

    def _call(self, program, *words):
        command = [str(self._binaries / program), *map(str, words)]
        # the server's own output would keep a pipe open
        subprocess.run(command, check=True, user=self._user, cwd="/", stdout=subprocess.DEVNULL, timeout=120)

    def start(self):
        """Start, and wait until it takes connections."""
        options = f"-p {self._port} -k {self._folder} -c listen_addresses=127.0.0.1"
        log = self._folder / "log"
        self._call("pg_ctl", "-D", self._folder / "data", "-o", options, "-l", log, "-w", "start")

    def stop(self):
        """Stop without asking anybody, as a crash does."""
        self._call("pg_ctl", "-D", self._folder / "data", "-m", "immediate", "stop")

    def database(self, name):
        """URL of a new, empty database."""
        self._call("createdb", "-h", "127.0.0.1", "-p", self._port, "-U", "kernbench", name)
        return f"postgresql+psycopg://kernbench@127.0.0.1:{self._port}/{name}"


def binaries():
    """Folder of PostgreSQL's programs, or None."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = (installed and installed[-1]) or shutil.which("initdb")
    return Path(found).parent if found else None


@pytest.fixture(scope="module")
def server():
    """A running server; PostgreSQL refuses to run as root, so its own user does."""
    pytest.importorskip("psycopg")
    programs, root = binaries(), os.getuid() == 0
    if programs is None:
        pytest.skip("no PostgreSQL server is installed")
    if root and "postgres" not in {entry.pw_name for entry in pwd.getpwall()}:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    user = "postgres" if root else None
    # not in tmp_path, whose parents are closed to other users
    with tempfile.TemporaryDirectory(prefix="kernbench-postgres-") as folder:
        if user:
            shutil.chown(folder, user)
        server = Server(Path(folder), programs, user)
        server.start()
        yield server
        server.stop()


@pytest.fixture
def world(server, tmp_path, request, monkeypatch):
    """A database on the server; artifacts go to the working folder."""
    monkeypatch.chdir(tmp_path)
    world = fakes.World(tmp_path)
    world.url = server.database(f"db_{hashlib.sha256(request.node.name.encode()).hexdigest()[:12]}")
    yield world
    world.close()
    gc.collect()  # what a crashed server left open is noticed here, not at the end of the session


def test_a_study_runs_fails_resumes_and_is_read(world):
    def fail_at_nine(context):
        if context.params["kernel_size"] == 9:
            raise ValueError("x")
        return fakes.outcome()

    assert world.states(world.run(compute=fail_at_nine)) == {NINE: "failed", THIRTY_THREE: "done"}
    assert list(world.run().plan.queue) == []
    assert set(world.states(world.run(retry_failed=True)).values()) == {"done"}
    more = world.run(world.study([9, 33, 65]), lambda _context: fakes.diverged(), extend=True)
    assert world.states(more)["kernel_size=65,seed=0"] == "diverged"
    assert sorted(run.status for run in load_runs(world.url)) == ["diverged", "ok", "ok"]
    assert world.executed == [NINE, THIRTY_THREE, NINE, "kernel_size=65,seed=0"]


def test_reading_cannot_write(world):
    world.run()
    reader = read_storage(world.url)
    with pytest.raises(optuna.exceptions.StorageInternalError):
        world.optuna_study(storage=reader).set_user_attr("mine", 1)


def test_a_trial_is_not_lost_though_the_server_was_restarted_and_the_zone_differs(world, server, monkeypatch):
    monkeypatch.setenv("PGTZ", "America/New_York")  # heartbeats carry no zone

    def restart(context):
        if context.params["kernel_size"] == 9:
            server.stop()
            server.start()
        monkeypatch.delenv("PGTZ", raising=False)
        other = world.optuna_study()  # another process, in another zone
        optuna.storages.fail_stale_trials(other)
        return fakes.outcome()

    assert set(world.states(world.run(compute=restart, heartbeat_s=1, grace_s=30)).values()) == {"done"}
    assert world.executed == [NINE, THIRTY_THREE]


def test_a_server_that_stays_away_is_one_line_and_the_next_run_goes_on(world, server):
    def crash(_context):
        server.stop()
        return fakes.outcome()

    try:
        with pytest.raises(StorageLostError, match="went away") as error:
            world.run(compute=crash)
    finally:
        server.start()
    assert error.value.exit_code == 3
    assert "\n" not in str(error.value)
    (left,) = world.trials(TrialState.RUNNING)
    with world.storage().engine.begin() as connection:  # its process is gone and the grace period is over
        connection.execute(text("UPDATE trial_heartbeats SET heartbeat = '2020-01-01 00:00:00'"))
    assert set(world.states(world.run()).values()) == {"done"}
    assert left.user_attrs["cell"] == NINE


def test_coordinators_that_start_at_once_make_the_tables_and_share_the_cells(world, tmp_path):
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; import fakes, time\n"
        "world = fakes.World(Path(sys.argv[2])); world.url = sys.argv[3]\n"
        "study = fakes.load_study(str(world.folder / 'mine.toml'), world.found.family, 'quick')\n"
        "(world.folder / f'ready{fakes.os.getpid()}').touch()\n"
        "while not (world.folder / 'go').exists(): time.sleep(0.01)\n"
        "def compute(context):\n"
        "    fakes._log(world.folder / 'executed', context.cell); time.sleep(0.05); return fakes.outcome()\n"
        "world.run(study, compute)\n"
    )
    cells = world.study([3, 5, 7, 9, 11, 13]).cells()
    command = [sys.executable, "-c", program, str(Path(fakes.__file__).parent), str(tmp_path), world.url]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    while len(list(tmp_path.glob("ready*"))) < len(processes) and all(p.poll() is None for p in processes):
        time.sleep(0.05)
    (tmp_path / "go").touch()
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, errors
    assert collections.Counter((tmp_path / "executed").read_text().split()) == dict.fromkeys(cells, 1)
