"""Storages that cannot be reached, cannot lock or have no room: each is a line with what to do."""

import contextlib
import errno
import os
import shutil
import socket
import sqlite3
from pathlib import Path

import pytest
from small_disk import fill, small_disk

from kernbench.doctor import room, sqlite_locks
from kernbench.host import file_systems


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/kernbench.db"


def test_a_new_file_can_be_made_and_locks_and_nothing_is_left_behind(examined, tmp_path):
    found = examined("storage")
    assert [each.status for each in found.values()] == ["ok"] * 3
    assert "does not exist yet" in found["storage"].found
    assert "two processes exclude each other" in found["storage locks"].found
    assert list(tmp_path.iterdir()) == []


def test_a_database_is_reached_with_its_studies(examined, empty_database, tmp_path, url):
    shutil.copy(empty_database, tmp_path / "kernbench.db")
    found = examined("storage", storage=url)
    assert [each.status for each in found.values()] == ["ok"] * 3
    assert found["storage"].found.endswith("answers: 0 studies, result tables of version 2")


def test_a_folder_that_is_not_there(failed, tmp_path):
    found, advice = failed("storage", check="storage", storage=f"sqlite:///{tmp_path}/no/kernbench.db")
    assert "does not exist" in found
    assert "--storage" in advice


def test_a_network_file_system_is_named(failed, tmp_path, monkeypatch):
    (tmp_path / "mounts").write_bytes(b"device / ext4 rw 0 0\nserver:/a " + os.fsencode(tmp_path) + b" nfs4 rw 0 0\n")
    monkeypatch.setattr(file_systems, "MOUNTS", tmp_path / "mounts")
    found, advice = failed("storage", check="storage")
    assert f"{tmp_path} is on nfs4" in found
    assert "postgresql" in advice


def test_a_file_system_whose_locks_do_nothing(failed, monkeypatch, tmp_path):
    """SQLite's own file system without locks: every process gets each of them."""
    monkeypatch.setattr(sqlite_locks, "address", lambda path: f"{path.as_uri()}?vfs=unix-none")
    found, advice = failed("storage", check="storage locks")
    assert "two processes had the write lock of one file" in found
    assert "PostgreSQL" in advice
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_that_refuses_locks(failed, monkeypatch):
    """Locks that are files cannot be made where a file is in the place of their folder: SQLite gets an error."""
    monkeypatch.setattr(sqlite_locks, "address", lambda path: f"{path.as_uri()}?vfs=unix-dotfile")
    found, advice = failed("storage", check="storage locks")
    assert "no write-ahead log" in found  # its locks work, and it shares no memory
    assert "local disk" in advice


def test_a_second_process_that_fails_for_another_reason(failed, monkeypatch):
    monkeypatch.setattr(sqlite_locks, "_other", lambda _path: "disk I/O error")
    found, _ = failed("storage", check="storage locks")
    assert "another error than a lock: disk I/O error" in found


def test_a_lock_that_a_process_does_not_give_back(failed, tmp_path, monkeypatch, url):
    monkeypatch.setattr(sqlite_locks, "WAIT_S", 0.01)
    with contextlib.closing(sqlite3.connect(tmp_path / "kernbench.db", isolation_level=None)) as holder:
        holder.execute("PRAGMA journal_mode=WAL")
        holder.execute("BEGIN IMMEDIATE")
        found, advice = failed("storage", check="storage locks", storage=url)
    assert "database is locked" in found
    assert f"fuser {tmp_path}/kernbench.db" in advice


def test_a_server_that_cannot_be_reached(examined):
    pytest.importorskip("psycopg")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = examined("storage", storage=f"postgresql+psycopg://me:secret@127.0.0.1:{port}/name")
    assert [each.status for each in found.values()] == ["fail", "skip", "ok"]
    assert f"127.0.0.1:{port}" in found["storage"].found
    assert "start the server" in found["storage"].advice
    assert "secret" not in str(found)


def test_a_server_locks_and_its_user_may_write(examined, new_database):
    found = examined("storage", storage=new_database(tables=False))
    assert [each.status for each in found.values()] == ["ok"] * 3
    assert "answers and is empty" in found["storage"].found
    assert "two connections exclude each other, and tables can be made" in found["storage locks"].found


def test_a_user_of_a_server_without_rights(failed, new_database, server):
    url = new_database(tables=False)
    name = url.rpartition("/")[2]
    server.execute("DROP ROLE IF EXISTS doctored", "CREATE ROLE doctored LOGIN")
    try:
        found, advice = failed("storage", check="storage locks", storage=server.url(name, "doctored"))
    finally:
        server.execute("DROP ROLE doctored")
    assert "may not make tables" in found
    assert "GRANT" in advice


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk", 4096) as place:
        yield place


def test_a_disk_that_is_really_full(examined, disk):
    url = f"sqlite:///{disk}/kernbench.db"
    assert {name: each.status for name, each in examined("storage", storage=url).items()} == {
        "storage": "ok",
        "storage locks": "ok",
        "storage room": "fail",  # less than a small study needs
    }
    fill(disk)
    found = examined("storage", storage=url)
    assert [found[name].status for name in ("storage locks", "storage room")] == ["skip", "fail"]
    assert "No space left on device" in found["storage room"].found
    assert [each.name for each in disk.iterdir()] == ["ballast"]


@pytest.mark.parametrize(("group", "check"), [("cache", "cache room"), ("storage", "storage room")])
def test_a_full_disk(failed, group, check, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    found, advice = failed(group, check=check)
    assert "No space left on device" in found
    assert advice.startswith("free some space, or ")


@pytest.mark.parametrize(("free", "status"), [(50_000_000, "fail"), (500_000_000, "note"), (5_000_000_000, "ok")])
def test_room_that_is_nearly_used_up(examined, free, status, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: shutil._ntuple_diskusage(10**12, 10**12 - free, free))
    found = examined("cache")
    assert found["cache room"].status == status
    assert room.size_text(free) in found["cache room"].found


@pytest.mark.parametrize("place", ["a file", "/proc/found"])
def test_a_cache_folder_that_cannot_be_written(examined, tmp_path, monkeypatch, place):
    (tmp_path / "a file").write_text("")
    folder = tmp_path / place  # an absolute place stays as it is
    monkeypatch.setenv("KERNBENCH_CACHE", str(folder))
    found = examined("cache")
    assert [each.status for each in found.values()] == ["fail", "skip"]
    assert str(folder) in found["cache"].found
    assert found["cache"].advice == "set KERNBENCH_CACHE to a folder that can be written"


def test_a_user_without_a_home(examined, monkeypatch):
    monkeypatch.delenv("KERNBENCH_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    found = examined("cache")
    assert found["cache"].status == "fail"
    assert "KERNBENCH_CACHE" in found["cache"].advice
