"""Scratch folders: named after their process, and removed with it, if need be by the next one."""

import os
import socket
import time
from pathlib import Path

from fakes import NINE, outcome

from kernbench.host.processes import process_place, process_start
from kernbench.store.files.scratch import FORGOTTEN_S, remove_abandoned, scratch_folder


def test_a_folder_of_this_process_is_left_alone_and_ends_with_its_context(tmp_path):
    with scratch_folder(tmp_path / "checkpoints") as folder:
        remove_abandoned(tmp_path / "checkpoints")
        assert Path(folder).is_dir()
        assert f".{os.getpid()}-{process_place()}." in Path(folder).name
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_folders_of_processes_that_are_gone_are_removed_and_nothing_else(tmp_path, dead):
    host, mine = socket.gethostname(), process_start(os.getpid())
    gone = [f"scratch.{host}.{dead}.123.abc", f"scratch.{host}.{os.getpid()}.1.reused"]
    gone += [
        f"scratch.{host}.{dead}-{process_place()}.123.abc",
        f"scratch.{host}.{os.getpid()}-{process_place()}.1.abc",
    ]
    kept = [
        f"scratch.{host}.{os.getpid()}.{mine}.abc",
        f"scratch.{host}.{os.getpid()}-{process_place()}.{mine}.abc",
        f"scratch.{host}.{dead}-01234567.123.container",
        f"scratch.elsewhere.{dead}.123.abc",
        "scratch.nonsense",
        "scratch..",
    ]
    for name in [*gone, *kept]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    files = [f"scratch.{host}.{dead}.9.file", "0123456789abcdef.7.pt"]
    for name in files:
        (tmp_path / name).touch()
    remove_abandoned(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*kept, *files}


def test_where_the_process_cannot_be_seen_the_age_of_the_folder_decides(tmp_path, dead):
    host = socket.gethostname()
    old, changed, elsewhere = (
        tmp_path / f"scratch.{name}" for name in (f"{host}.{dead}-01234567.1.a", f"{host}.2-01234567.1.b", "x.3-0.1.c")
    )
    before = time.time() - FORGOTTEN_S - 60
    for folder in (old, changed, elsewhere):
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "file").touch()
        for path in (folder / "deep" / "file", folder / "deep", folder):
            os.utime(path, (before, before))
    os.utime(changed / "deep" / "file")
    remove_abandoned(tmp_path)
    assert set(tmp_path.iterdir()) == {changed, elsewhere}


def test_a_run_removes_what_a_killed_one_left_and_leaves_nothing_in_the_temporary_folder(world, dead):
    folder = world.folder / "kernbench.checkpoints" / f"scratch.{socket.gethostname()}.{dead}.1.abc"
    folder.mkdir(parents=True)
    seen = []

    def compute(context):
        seen.append(context.scratch)
        return outcome()

    assert world.states(world.run(world.study([9]), compute)) == {NINE: "done"}
    assert seen[0].parent.absolute() == folder.parent  # with a server it is in the working folder
    assert list(folder.parent.iterdir()) == []
