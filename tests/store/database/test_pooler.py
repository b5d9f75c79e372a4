"""A pooler in transaction mode: nothing that kernbench sets on a session may reach somebody else, or be counted on."""

import fakes
import pooler
import psycopg
import pytest
from fakes import NINE, THIRTY_THREE
from sqlalchemy import make_url, text

from kernbench.report.page.manifest import PAGE
from kernbench.store.database.opening import read_storage
from kernbench.store.reading.runs import load_runs, stored_states, stored_studies

pytestmark = pytest.mark.slow
SMOKE = ("--plugin", "discrete", "--study", "smoke", "--profile", "quick", "--no-baselines")


@pytest.fixture(scope="module")
def pool(server):
    """A pool of few connections before the server."""
    if reason := pooler.why_not():
        pytest.skip(reason)
    with pooler.pooling(server) as running:
        yield running


@pytest.fixture
def pooled(pool, new_database):
    """URL of a new database, through the pool."""
    return pool.url(make_url(new_database(tables=False)).database)


@pytest.fixture
def world(pooled, tmp_path, monkeypatch):
    """A database behind the pool."""
    monkeypatch.chdir(tmp_path)
    world = fakes.World(tmp_path, url=pooled)
    yield world
    world.close()


def everybody(url, number=8):
    """Connections of somebody else, in a transaction each, so that all connections of the pool are seen."""
    return [psycopg.connect(url.replace("+psycopg", ""), prepare_threshold=None) for _ in range(number)]


def test_somebody_else_may_write_after_kernbench_has_read(world):
    assert world.states(world.run()) == {NINE: "done", THIRTY_THREE: "done"}
    [study] = stored_studies(world.url)
    assert [state.state for state in stored_states(study)] == ["done", "done"]
    assert len(load_runs(world.url)) == 2
    others = everybody(world.url)
    others[0].execute("CREATE TABLE theirs (number int)")
    others[0].commit()
    for number, other in enumerate(others):
        other.execute("INSERT INTO theirs VALUES (%s)", (number,))
        said = [other.execute(f"SHOW {name}").fetchone()[0] for name in ("default_transaction_read_only", "TimeZone")]
        assert said == [
            "off",
            others[0].execute("SELECT reset_val FROM pg_settings WHERE name = 'TimeZone'").fetchone()[0],
        ]
        assert other.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)
        assert other.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)
    for other in others:
        other.commit()
        other.close()


def test_reading_writes_nothing_and_every_transaction_is_in_utc(world, monkeypatch):
    monkeypatch.setenv("PGTZ", "America/New_York")
    world.run()
    for storage in (world.storage(), read_storage(world.url)):
        with storage.engine.connect() as connection:
            for _ in range(2):
                assert connection.execute(text("SHOW TimeZone")).scalar() == "UTC"
                connection.rollback()
        storage.close()
    with read_storage(world.url).engine.connect() as connection:
        assert connection.execute(text("SHOW transaction_read_only")).scalar() == "on"


def test_the_same_statement_again_and_again(world):
    """Psycopg prepares a statement at its sixth execution, for a session that is somebody else's by then."""
    study = world.study(range(3, 27, 2))
    assert set(world.states(world.run(study)).values()) == {"done"}
    assert len(load_runs(world.url)) == 12


def test_the_commands_through_a_pool(plain_bench, pooled):
    where = ("--storage", pooled)
    assert plain_bench.run("run", *SMOKE, "--workers", "0", *where).code == 0
    worked = plain_bench.run("worker", "--study", "smoke", *where)
    assert worked.code == 0, worked
    again = plain_bench.run("run", *SMOKE, *where)
    assert again.code == 0, again
    status = plain_bench.run("status", *where)
    assert status.out.count("done") >= 2, status
    report = plain_bench.run("report", *where, "--out", "page")
    assert report.code == 0, report
    assert (plain_bench.folder / "page" / PAGE).exists()
