"""What a database refuses is said in one line with what to do, before anything is written."""

import contextlib
import os
import tempfile
from pathlib import Path

import fakes
import postgres_server
import pytest
from fakes import NINE, THIRTY_THREE
from sqlalchemy import create_engine, inspect, make_url

from kernbench.errors import StorageError, StorageLostError
from kernbench.store.database.opening import open_storage, outage_explained, read_storage
from kernbench.store.reading.runs import load_runs, stored_states, stored_studies

FOREIGN = (
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
    "INSERT INTO alembic_version VALUES ('728d730b5ebd')",
    "CREATE TABLE experiments (experiment_id INTEGER)",
)
USER = "outsider"


def tables(url):
    """Names of the tables of a database."""
    engine = create_engine(url)
    names = set(inspect(engine).get_table_names())
    engine.dispose()
    return names


def execute(url, *statements):
    """Write what another program has written."""
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def test_a_database_of_another_program_is_refused_and_left_alone(kind, tmp_path, request):
    url = (
        f"sqlite:///{tmp_path}/mlflow.db" if kind == "sqlite" else request.getfixturevalue("new_database")(tables=False)
    )
    execute(url, *FOREIGN)
    before = tables(url)
    for opens in (open_storage, read_storage):
        with pytest.raises(StorageError, match=r"alembic_version belongs to another program.*database of its own"):
            opens(url)
    assert tables(url) == before


def test_the_same_where_an_earlier_kernbench_has_left_tables_in_it(sqlite_world):
    sqlite_world.run()
    execute(sqlite_world.url, "UPDATE alembic_version SET version_num = '728d730b5ebd'")
    with pytest.raises(StorageError, match="another program"):
        sqlite_world.run()


@contextlib.contextmanager
def without_rights(folder):
    """Let this process be a user who may read the folder and not write it."""
    if os.getuid() != 0:
        folder.chmod(0o555)
        yield
        folder.chmod(0o755)
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_reading_in_a_folder_that_may_not_be_written_says_what_to_do():
    with tempfile.TemporaryDirectory() as name:  # not in tmp_path, whose parents are closed to other users
        folder = Path(name)
        folder.chmod(0o755)
        world = fakes.World(folder)
        world.run(world.study([9]))
        world.close()
        with without_rights(folder), pytest.raises(StorageError, match="must be writable, also for reading, or copy"):
            stored_studies(world.url)


@pytest.fixture
def outsider(server, new_database):
    """URL of a database with tables for a user without any rights, and the database's name."""
    server.execute(f"DROP ROLE IF EXISTS {USER}", f"CREATE ROLE {USER} LOGIN")
    name = make_url(new_database()).database
    yield server.url(name, USER), name
    server.execute(f"DROP OWNED BY {USER}", name=name)
    server.execute(f"DROP ROLE {USER}")


@pytest.mark.slow
def test_missing_rights_are_no_outage(outsider, server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    url, name = outsider
    for opens in (open_storage, read_storage):
        with pytest.raises(StorageError, match=r"cannot be opened: permission denied.*GRANT") as error:
            opens(url)
        assert not isinstance(error.value, StorageLostError)
    server.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {USER}", name=name)
    assert stored_studies(url) == []
    world = fakes.World(tmp_path, url=url)
    with pytest.raises(StorageError, match=r"permission denied.*GRANT") as error:
        world.run()
    assert error.value.exit_code == 2
    assert "\n" not in str(error.value)
    owner = fakes.World(tmp_path, url=server.url(name))
    owner.run()
    assert len(load_runs(url)) == 2
    server.execute(f"REVOKE SELECT ON trials, kernbench_run FROM {USER}", name=name)
    with pytest.raises(StorageError, match=r"cannot be read: permission denied for table .*GRANT"):
        load_runs(url)
    [study] = stored_studies(url)
    with pytest.raises(StorageError, match=r"cannot be read: permission denied for table trials.*GRANT"):
        stored_states(study)


@pytest.mark.slow
def test_a_server_that_only_reads_is_no_outage(new_database, server):
    url = new_database()
    server.execute(f'ALTER DATABASE "{make_url(url).database}" SET default_transaction_read_only = on')
    storage = open_storage(url)
    with (
        pytest.raises(StorageError, match="read-only transaction; kernbench needs a server") as error,
        outage_explained(url),
    ):
        storage.create_new_study([], "mine")
    storage.close()
    assert error.value.exit_code == 2


@pytest.mark.slow
def test_a_database_without_an_encoding_works(tmp_path, monkeypatch):
    """As `initdb` makes it under LANG=C."""
    if reason := postgres_server.why_not():
        pytest.skip(reason)
    monkeypatch.chdir(tmp_path)
    with postgres_server.running(encoding="SQL_ASCII") as server:
        world = fakes.World(tmp_path, url=server.create("ascii"))
        assert world.states(world.run()) == {NINE: "done", THIRTY_THREE: "done"}
        [study] = stored_studies(world.url)
        assert study.user_attrs["question"] == world.study().question
        storage = world.storage()
        storage.set_study_user_attr(1, "said", "12 \u00b5m, \u03c9\u2080")
        assert world.optuna_study().user_attrs["said"] == "12 \u00b5m, \u03c9\u2080"
        assert len(load_runs(world.url)) == 2
        world.close()
