"""Storage: places are checked, claims are exclusive, heartbeats start immediately and outlive an outage."""

import collections
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import fakes
import optuna
import pytest
from forked import Forked
from optuna.trial import TrialState
from sqlalchemy import text

from kernbench.errors import StorageError, StorageLostError, StudyError
from kernbench.store.database import opening, outage
from kernbench.store.database.opening import check_place, open_storage, outage_explained, read_storage

SIZES = [2 * n + 1 for n in range(24)]
ROUNDS = int(os.environ.get("KERNBENCH_ROUNDS", "1"))  # 20 were run for docs/reliability.md


def test_a_server_that_is_not_there_is_one_line_without_the_password():
    with pytest.raises(StorageError) as error:
        open_storage("postgresql+psycopg://me:secret@127.0.0.1:1/name")
    assert "cannot be opened" in str(error.value)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("place", ["missing/my.db", "text.db/my.db", "text.db", "folder.db", "/proc/kernbench.db"])
def test_a_bad_place_is_refused_and_nothing_is_written(tmp_path, place):
    (tmp_path / "text.db").write_text("this is no database, but it is long enough to be one")
    (tmp_path / "folder.db").mkdir()
    before = sorted(tmp_path.rglob("*"))
    for opens in (open_storage,) if place.startswith("/") else (check_place, open_storage):
        with pytest.raises(StorageError) as error:
            opens(f"sqlite:///{tmp_path / place}")
        assert "\n" not in str(error.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_damaged_database_is_refused(tmp_path):
    path = tmp_path / "damaged.db"
    path.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 40)
    for opens in (open_storage, read_storage):
        with pytest.raises(StorageError, match="cannot be opened"):
            opens(f"sqlite:///{path}")


def test_a_network_file_system_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "file_system", lambda _folder: "nfs4")
    with pytest.raises(StorageError, match=r"local disk.*nfs4.*postgresql"):
        check_place(f"sqlite:///{tmp_path}/kernbench.db")


def test_a_file_without_tables_holds_nothing_to_read(tmp_path):
    (tmp_path / "empty.db").touch()
    assert read_storage(f"sqlite:///{tmp_path}/empty.db") is None
    with pytest.raises(StorageError, match="no database there yet"):
        read_storage(f"sqlite:///{tmp_path}/missing.db")


def test_reading_cannot_write(world):
    world.run()
    reader = read_storage(world.url)
    with pytest.raises(optuna.exceptions.StorageInternalError):
        world.optuna_study(storage=reader).set_user_attr("mine", 1)
    reader.close()
    assert "mine" not in world.optuna_study().user_attrs


def test_reading_never_waits_for_a_writer(sqlite_world):
    sqlite_world.run()
    writer = sqlite3.connect(sqlite_world.database, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    reader = read_storage(sqlite_world.url)
    study = sqlite_world.optuna_study(storage=reader)
    assert len(study.trials) == 2  # while the writer holds the lock
    writer.execute("ROLLBACK")


def test_every_connection_begins_with_the_write_lock(sqlite_world):
    opened = sqlite_world.storage()
    with opened.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        other = sqlite3.connect(sqlite_world.database, timeout=0, isolation_level=None)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()
    opened.engine.dispose()


def test_a_check_of_the_file_does_not_drop_the_locks_of_open_connections(sqlite_world):
    fakes.prepared(sqlite_world, [9])
    opened = sqlite_world.storage()
    opened.get_all_studies()
    check_place(sqlite_world.url)  # reading the file by hand here would drop this process's locks on it
    other = "import sys; from kernbench.store.database.opening import open_storage; s = open_storage(sys.argv[1])\n"
    other += "s.set_study_user_attr(1, 'other', 1); s.remove_session(); s.engine.dispose()"
    subprocess.run([sys.executable, "-W", "ignore", "-c", other, sqlite_world.url], check=True, timeout=300)
    assert sqlite_world.database.with_name("kernbench.db-wal").exists()  # ours: the other one is not the last to leave
    opened.set_study_user_attr(1, "mine", 2)
    assert {"other": 1, "mine": 2}.items() <= opened.get_study_user_attrs(1).items()
    assert {"other": 1, "mine": 2}.items() <= sqlite_world.storage().get_study_user_attrs(1).items()


def heartbeats(world):
    with world.storage().engine.connect() as connection:
        return connection.execute(text("SELECT trial_id, heartbeat FROM trial_heartbeats")).fetchall()


def test_the_first_heartbeat_belongs_to_the_claim(world):
    study = fakes.prepared(world, [9])
    opened = world.optuna_study(study)
    assert heartbeats(world) == []
    trial_id = opened._pop_waiting_trial_id()  # the claim alone: no worker, no heartbeat thread
    assert [row[0] for row in heartbeats(world)] == [trial_id]
    assert world.trials()[0].state == TrialState.RUNNING


def test_a_heartbeat_outlives_a_storage_error(world, monkeypatch, caplog):
    fakes.prepared(world, [9])
    opened = world.storage()

    def fail(*_arguments):
        raise optuna.exceptions.StorageInternalError("gone for a moment")

    with monkeypatch.context() as patch:
        patch.setattr(optuna.storages.RDBStorage, "record_heartbeat", fail)
        opened.record_heartbeat(1)  # Optuna's thread would end here
    assert "trying again" in caplog.text
    opened.record_heartbeat(1)
    assert len(heartbeats(world)) == 1


def test_the_heartbeat_goes_on_during_a_cell_though_the_database_was_unavailable(world, monkeypatch):
    beats, away = [], threading.Event()
    usual = optuna.storages.RDBStorage.record_heartbeat

    def record(self, trial_id):
        if away.is_set() and "lost" not in beats:
            beats.append("lost")
            raise optuna.exceptions.StorageInternalError("gone for a moment")
        usual(self, trial_id)
        beats.append("written")

    def compute(_context):
        away.set()
        deadline = time.monotonic() + 300
        while beats[-1:] != ["again"] and time.monotonic() < deadline:
            if "lost" in beats and beats[-1] == "written":
                beats.append("again")
            time.sleep(0.05)
        return fakes.outcome()

    monkeypatch.setattr(optuna.storages.RDBStorage, "record_heartbeat", record)
    result = world.run(world.study([9]), compute, heartbeat_s=1, grace_s=300)
    assert beats[beats.index("lost") :][:3] == ["lost", "written", "again"]
    assert world.states(result) == {"kernel_size=9,seed=0": "done"}


def test_an_outage_is_one_line_with_exit_code_3_and_other_errors_pass(tmp_path):
    url = f"sqlite:///{tmp_path}/kernbench.db"

    def outage():
        try:
            raise optuna.exceptions.StorageInternalError("x") from sqlite3.OperationalError("database is locked")
        except optuna.exceptions.StorageInternalError:
            raise UnboundLocalError("updated_state")  # noqa: B904  # what Optuna makes of it

    with (
        pytest.raises(StorageLostError, match="became unavailable: database is locked") as error,
        outage_explained(url),
    ):
        outage()
    assert error.value.exit_code == 3
    with pytest.raises(ValueError, match="a bug"), outage_explained(url):
        raise ValueError("a bug")
    with pytest.raises(StudyError), outage_explained(url):
        raise StudyError("ours")


def test_a_lock_that_is_held_too_long_ends_a_run_with_one_line(sqlite_world, monkeypatch, dead):
    fakes.prepared(sqlite_world, [9])
    monkeypatch.setattr(opening, "LOCK_TIMEOUT_S", 0.2)
    monkeypatch.setattr(outage, "OUTAGE_S", 1.0)
    foreign = sqlite3.connect(sqlite_world.database, isolation_level=None, check_same_thread=False)

    def compute(_context):
        foreign.execute("BEGIN IMMEDIATE")
        return fakes.outcome()

    with pytest.raises(StorageLostError, match=r"became unavailable: .*locked"):
        sqlite_world.run(sqlite_world.study([9]), compute)
    foreign.execute("ROLLBACK")
    foreign.close()
    monkeypatch.setattr(opening, "LOCK_TIMEOUT_S", 60)
    left = sqlite_world.trials()[0]  # its end could not be written: as after a kill, once its process is gone
    assert left.state == TrialState.RUNNING
    sqlite_world.storage().set_trial_user_attr(left._trial_id, "worker", f"{socket.gethostname()}:{dead}")
    result = sqlite_world.run(sqlite_world.study([9]))
    assert sqlite_world.states(result) == {"kernel_size=9,seed=0": "done"}


def workers(world, kind, paths=None, count=8):
    """Exit codes of spawned workers and the cells they executed, of these studies or of the one of `world`."""
    log = world.folder / "executed"
    files = os.pathsep.join(map(str, paths or [world.folder / "mine.toml"]))
    words = [world.url, files, str(log), kind]
    with (world.folder / "errors").open("w") as errors:
        processes = [Forked(fakes.main, words, stderr=errors) for _ in range(count)]
        ready = Path(f"{log}.ready")  # a worker that is still importing would leave the cells to the others
        while not ready.exists() or len(ready.read_text().split()) < count:
            assert all(process.poll() is None for process in processes), Path(errors.name).read_text()
            time.sleep(0.05)
        Path(f"{log}.go").touch()
        codes = [process.wait(timeout=300) for process in processes]
    executed = log.read_text().split() if log.exists() else []  # all may have died immediately
    return codes, collections.Counter(executed), (world.folder / "errors").read_text()


@pytest.mark.slow
def test_eight_processes_run_each_cell_once_and_none_dies(world):
    found = fakes.prepared_rounds(world, SIZES, ROUNDS)
    codes, executed, errors = workers(world, "steady", [path for path, _ in found])
    assert codes == [0] * 8, errors
    assert executed == dict.fromkeys(found[0][1].cells(), ROUNDS)
    for _, study in found:
        trials = world.optuna_study(study).get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        assert sorted(trial.user_attrs["cell"] for trial in trials) == sorted(study.cells())


@pytest.mark.slow
def test_with_optunas_own_storage_the_same_work_goes_wrong(tmp_path):
    # if it does not, the test above proves nothing; each try goes wrong in practice, several make it certain
    for attempt in range(4):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        world = fakes.World(folder)
        study = fakes.prepared(world, SIZES, "plain")
        codes, executed, _errors = workers(world, "plain")
        if any(codes) or executed != dict.fromkeys(study.cells(), 1):
            return
    pytest.fail("a plain RDBStorage claimed every cell exactly once")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_coordinators_that_start_together_make_the_tables_and_share_the_cells(tmp_path, request, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    url = None if kind == "sqlite" else request.getfixturevalue("new_database")(tables=False)
    world = fakes.World(tmp_path, url=url)
    cells = world.study([3, 5, 7, 9, 11, 13]).cells()
    assert fakes.run_at_once(world, 4) == dict.fromkeys(cells, 1)
