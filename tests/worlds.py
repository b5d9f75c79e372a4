"""Fixtures of the engine's tests: worlds on SQLite and on a PostgreSQL server that is started once."""

import gc
import itertools

import postgres_server
import pytest
from fakes import World

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


@pytest.fixture
def sqlite_world(tmp_path, empty_database):
    """A SQLite database in a folder of its own, and cells without training."""
    world = World(tmp_path, empty_database)
    yield world
    world.close()


@pytest.fixture
def postgres_world(tmp_path, new_database, monkeypatch):
    """The same on the PostgreSQL server; artifacts and checkpoints go to the same folder."""
    monkeypatch.chdir(tmp_path)
    world = World(tmp_path, url=new_database())
    yield world
    world.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def world(request):
    """Either of the two: whatever the engine promises, it promises on both."""
    return request.getfixturevalue(f"{request.param}_world")
