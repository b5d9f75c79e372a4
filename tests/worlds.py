"""Fixtures of the engine's tests: worlds on SQLite and on a PostgreSQL server that is started once."""

import gc
import itertools
import socket
import subprocess
import sys
import time

import fakes
import postgres_server
import pytest
from optuna.trial import TrialState

from kernbench.store.database.opening import open_storage
from kernbench.store.tables.result_tables import create_tables

_numbers = itertools.count()


def _make_tables(url):
    storage = open_storage(url)
    create_tables(storage.engine)
    storage.remove_session()
    storage.engine.dispose()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """A database with tables and nothing in them."""
    path = tmp_path_factory.mktemp("empty") / "empty.db"
    _make_tables(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def server():
    """A running PostgreSQL server."""
    if reason := postgres_server.why_not():
        pytest.skip(reason)
    with postgres_server.running() as server:
        _make_tables(server.create("tables_only"))
        yield server


@pytest.fixture
def new_database(server):
    """Makes databases on the server, tables in them or not; they are dropped after the test."""
    made = []

    def make(tables=True):
        made.append(f"test_{next(_numbers)}")
        return server.create(made[-1], "tables_only" if tables else "template1")

    yield make
    gc.collect()  # a connection left open is noticed here, not at the end of the session
    gc.freeze()  # what is left stays: the next collection need not walk over it again
    for name in made:
        server.drop(name)


def wait_until(condition, process=None, seconds=120):
    """Wait until something is true, and `process` runs."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, f"ended too early: {process.communicate()}"
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)


def claimed(world, study=None, worker=None):
    """Claim the next cell, in the name of a worker: what SIGKILL leaves. Gives its study and the trial's id."""
    opened = world.optuna_study(study)
    trial_id = opened._pop_waiting_trial_id()
    if worker is not None:
        opened._storage.set_trial_user_attr(trial_id, "worker", worker)
    return opened, trial_id


def dead_worker():
    """Name of a worker of this host that has ended."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return f"{socket.gethostname()}:{process.pid}"


def queue_instead(world, study, values):
    """Put other values into the queue in the place of the first cell, which is failed."""
    world.run(study, queue_only=True)
    opened, trial_id = claimed(world, study)
    cell = opened._storage.get_trial(trial_id).user_attrs["cell"]
    opened.tell(0, state=TrialState.FAIL)
    opened.enqueue_trial(values, user_attrs={"cell": cell})


@pytest.fixture
def sqlite_world(tmp_path, empty_database):
    """A SQLite database in a folder of its own, and cells without training."""
    world = fakes.World(tmp_path, empty_database)
    yield world
    world.close()


@pytest.fixture
def postgres_world(tmp_path, new_database, monkeypatch):
    """The same on the PostgreSQL server; artifacts and checkpoints go to the same folder."""
    monkeypatch.chdir(tmp_path)
    world = fakes.World(tmp_path, url=new_database())
    yield world
    world.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def world(request):
    """Either of the two: whatever the engine promises, it promises on both."""
    return request.getfixturevalue(f"{request.param}_world")


@pytest.fixture
def no_report(monkeypatch):
    """Commands of this process write no page, which takes longer than small cells."""
    monkeypatch.setattr("kernbench.cli.terminal.console.write_report", lambda *_, **__: None)


@pytest.fixture
def no_pictures():
    """Cells and reports of this process draw nothing, which takes longer than to train small ones."""
    with fakes.no_pictures():
        yield
