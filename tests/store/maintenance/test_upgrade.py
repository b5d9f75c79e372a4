"""Databases of older versions: read as they are, upgraded whole or not at all, by one process; newer ones refused."""

import contextlib
import csv
import dataclasses
import gzip
import itertools
import os
import subprocess
import time
from pathlib import Path

import fakes
import pytest
from forked import Forked
from sqlalchemy import create_engine, event, inspect, text

from kernbench.errors import StorageError
from kernbench.report.dashboard.serving import application
from kernbench.store.database.opening import open_storage
from kernbench.store.database.schema import SCHEMA_VERSION
from kernbench.store.database.url import sqlite_path
from kernbench.store.maintenance.copying import copy_studies
from kernbench.store.maintenance.upgrade import ready_tables, upgrade_storage
from kernbench.store.reading.runs import load_runs
from kernbench.store.reading.stored_study import find_stored

DATA = Path(__file__).parents[1] / "data"
# f1_mean of summary.csv as the report of that version wrote it
F1 = {
    ("discrete", "9"): 0.28331455515247567,
    ("discrete", "33"): 0.2262312131107573,
    ("siren", "9"): 0.3019399354208431,
    ("siren", "33"): 0.20730042044888455,
}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def old(request, bench):
    """URL of a database of version 1, and a world on it."""
    if request.param == "sqlite":
        bench.database.write_bytes(gzip.decompress((DATA / "schema_v1.db.gz").read_bytes()))
        url = bench.url
    else:
        url = request.getfixturevalue("new_database")(tables=False)
        with connected(url) as connection:
            connection.connection.driver_connection.execute(gzip.decompress((DATA / "schema_v1.sql.gz").read_bytes()))
    world = fakes.World(bench.folder, url=url)
    yield world
    world.close()


@contextlib.contextmanager
def connected(url):
    """A connection of its own, whose changes stay."""
    engine = create_engine(url)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def shape(url, tables):
    """Columns of the result tables as the database has them."""
    with connected(url) as connection:
        found = {name: inspect(connection).get_columns(name) for name in tables}
    return {
        name: {each["name"]: (str(each["type"]), each["nullable"]) for each in columns}
        for name, columns in found.items()
    }


def select(url, query):
    with connected(url) as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def f1_of_lines(url):
    """F1 of each test line at the headline tolerance, by plain SQL."""
    rows = select(
        url,
        "SELECT s.study, s.cell, s.signal, s.tp, s.fp, s.fn FROM kernbench_score s JOIN kernbench_run r "
        "ON r.study = s.study AND r.cell = s.cell AND r.tolerance = s.tolerance WHERE s.split = 'test'",
    )
    return {(study, cell, line): 2 * tp / (2 * tp + fp + fn) for study, cell, line, tp, fp, fn in rows}


def read_f1(url):
    """The same as the report reads them."""
    found = {}
    for run in load_runs(url):
        scores = run.scores["test"]
        tp, fp, fn = (each[run.tolerance] for each in (scores.tp, scores.fp, scores.fn))
        found |= {(run.study, run.cell, line): f1 for line, f1 in enumerate(2 * tp / (2 * tp + fp + fn))}
    return found


def summary(bench, url):
    """summary.csv of a report."""
    assert bench.run("report", "--storage", url, "--out", "report").code == 0
    return (bench.folder / "report" / "summary.csv").read_text()


def test_scores_are_the_same_before_and_after_an_upgrade(old, bench, request):
    content = old.content()
    lines, before = f1_of_lines(old.url), summary(bench, old.url)
    assert old.content() == content  # reports change nothing
    assert read_f1(old.url) == lines
    rows = list(csv.DictReader(before.splitlines()))
    assert {(row["family"], row["kernel_size"]): float(row["f1_mean"]) for row in rows} == F1
    done = bench.run("storage", "upgrade", "--storage", old.url)
    assert f"were upgraded from version 1 to {SCHEMA_VERSION}" in done.out
    assert (f1_of_lines(old.url), read_f1(old.url), summary(bench, old.url)) == (lines, lines, before)
    query = "SELECT study, cell, f1_matched, rmse_samples FROM kernbench_run"
    columns = {(study, cell): values for study, cell, *values in select(old.url, query)}
    assert columns == {
        (run.study, run.cell): [run.matched[name][run.tolerance] for name in ("f1", "rmse_samples")]
        for run in load_runs(old.url)
    }
    new = "sqlite:///new.db" if sqlite_path(old.url) else request.getfixturevalue("new_database")()
    storage = open_storage(new)
    ready_tables(storage.engine, new, pytest.fail)
    storage.engine.dispose()
    tables = [name for name in old.content()[0] if name.startswith("kernbench_") and name != "kernbench_alembic"]
    assert shape(old.url, tables) == shape(new, tables)


def test_reading_changes_nothing(old, bench):
    before = old.content()
    for words in ("status", "data weights", "storage upgrade --dry-run"):
        done = bench.run(*words.split(), "--storage", old.url)
        assert done.code == 0, done
    assert f"would be upgraded from version 1 to {SCHEMA_VERSION}" in done.out
    application(old.url, pytest.fail)
    checked = bench.run("storage", "check", "--storage", old.url)
    assert "result tables of version 1 (`kernbench storage upgrade`" in checked.out
    assert [line for line in checked.out.splitlines()[:-1] if "artifact" not in line] == []
    assert old.content() == before


def test_a_run_upgrades_and_goes_on(old, bench):
    (stored,) = find_stored(old.url, "smoke", family="discrete")
    study = dataclasses.replace(old.study(), name="smoke", definition=stored.definition)
    before = old.content()

    def compute(_context):
        outcome = fakes.outcome()
        return dataclasses.replace(outcome, values={**outcome.values, "f1_matched": 0.25, "rmse_samples": 1.5})

    old.run(study, compute)
    assert old.executed == []  # all of it was done
    old.run(dataclasses.replace(study, axes={"kernel_size": (9, 33, 65)}), compute, extend=True)
    assert old.executed == ["kernel_size=65,seed=0"]
    said = [line for line in old.observer.notes if "upgraded" in line]
    assert len(said) == 1
    query = "SELECT f1_matched, rmse_samples FROM kernbench_run WHERE cell = 'kernel_size=65,seed=0'"
    assert select(old.url, query) == [(0.25, 1.5)]
    if sqlite_path(old.url):
        kept = bench.folder / f"kernbench.before-v{SCHEMA_VERSION}.db"
        assert said[0].endswith(f"the database as it was is kept in {kept}")
        assert fakes.World(bench.folder, url=f"sqlite:///{kept}").content()[0] == before[0]


@contextlib.contextmanager
def failing_at(engine, number):
    """Let a statement of the migrations fail, counted from 0."""
    counted = itertools.count()

    def fail(_connection, _cursor, statement, *_others):
        if next(counted) == number:
            raise StorageError(f"failed at {statement}")

    event.listen(engine, "before_cursor_execute", fail)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", fail)


def test_wherever_an_upgrade_fails_the_database_is_as_it_was_and_the_next_one_works(old, bench):
    before, said = old.content()[0], []
    shapes, files = shape(old.url, before), bench.files()
    storage = old.storage()
    for number in itertools.count():
        with failing_at(storage.engine, number), contextlib.suppress(StorageError):
            ready_tables(storage.engine, old.url, said.append)
        if said:
            break
        assert (old.content()[0], shape(old.url, before)) == (before, shapes)
        left = {name for name in bench.files() if not name.endswith(("-wal", "-shm"))}
        assert left == set(files)
    assert number > 10  # four rows among them
    assert select(old.url, "SELECT value FROM kernbench_meta") == [(str(SCHEMA_VERSION),)]
    assert select(old.url, "SELECT version_num FROM kernbench_alembic") == [(str(SCHEMA_VERSION),)]
    assert select(old.url, "SELECT count(f1_matched) FROM kernbench_run") == [(4,)]


def _upgrade_when_notified(folder, url):
    storage, said = open_storage(url), []
    (Path(folder) / f"{os.getpid()}.ready").touch()
    while not (Path(folder) / "go").exists():
        time.sleep(0.001)
    ready_tables(storage.engine, url, said.append)
    print(len(said), flush=True)


@pytest.mark.slow
def test_of_processes_that_upgrade_together_one_does_and_all_go_on(old, tmp_path):
    processes = [
        Forked(_upgrade_when_notified, [tmp_path, old.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    while len(list(tmp_path.glob("*.ready"))) < len(processes) and all(each.poll() is None for each in processes):
        time.sleep(0.01)
    (tmp_path / "go").touch()
    ended = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, ended
    assert sorted(int(out) for out, _ in ended) == [0, 0, 0, 1]
    assert select(old.url, "SELECT count(f1_matched) FROM kernbench_run") == [(4,)]


def test_a_copy_of_an_older_database_is_as_an_upgraded_one(old, tmp_path):
    (Path.cwd() / "kernbench.artifacts").mkdir()
    target = f"sqlite:///{tmp_path}/copy.db"
    copy_studies(old.url, target, [], lambda _line: None)
    upgrade_storage(old.url)
    copied, upgraded = (fakes.World(tmp_path, url=url).content()[0] for url in (target, old.url))
    for table in ("kernbench_run", "kernbench_score", "kernbench_meta"):
        assert copied[table] == upgraded[table]
        assert copied[table]


@pytest.mark.parametrize(
    "words",
    [
        *("run --plugin siren --study smoke", "worker --study smoke", "status", "report", "dashboard", "data weights"),
        *("storage check", "storage upgrade", "storage copy URL sqlite:///to.db", "storage copy sqlite:///from.db URL"),
    ],
)
def test_every_command_refuses_a_newer_database_in_one_line(old, bench, words):
    (bench.folder / "from.db").write_bytes(gzip.decompress((DATA / "schema_v1.db.gz").read_bytes()))
    with connected(old.url) as connection:
        connection.execute(text(f"UPDATE kernbench_meta SET value = '{SCHEMA_VERSION + 1}'"))
    before = old.content()
    storage = [] if "copy" in words else ["--storage", old.url]
    refused = bench.run(*(old.url if word == "URL" else word for word in words.split()), *storage)
    assert refused.code == 2, refused
    assert refused.err.count("\n") == 1
    assert f"have version {SCHEMA_VERSION + 1}, this kernbench knows 1 to {SCHEMA_VERSION}; use" in refused.err
    assert old.content() == before
