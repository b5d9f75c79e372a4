"""Fixtures of the engine's tests."""

import pytest
from fakes import World

from kernbench.engine.results import create_tables
from kernbench.engine.storage import open_storage


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """A database with tables and nothing in them."""
    path = tmp_path_factory.mktemp("empty") / "empty.db"
    storage = open_storage(f"sqlite:///{path}")
    create_tables(storage.engine)
    storage.engine.dispose()
    return path


@pytest.fixture
def world(tmp_path, empty_database):
    """A database in a folder of its own, and cells without training."""
    world = World(tmp_path, empty_database)
    yield world
    world.close()
