"""A file is complete or not there, whatever happens and whatever else writes it."""

import contextlib
import errno
import os
import resource
import signal
import stat
import subprocess
import sys
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernbench.host import files
from kernbench.host.processes import process_place

OLD, NEW = b"old content", b"new content, another length"
same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # every example writes anew


def names(folder):
    """Everything in a folder."""
    return sorted(path.name for path in folder.iterdir())


def full(*_arguments, **_options):
    """What the system says when the disk is full."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@same_folder
@given(st.binary(max_size=10_000) | st.text())
def test_content_comes_back_with_its_line_ends(tmp_path, content):
    files.write_whole(tmp_path / "file", content)
    encoded = content.encode() if isinstance(content, str) else content
    assert (tmp_path / "file").read_bytes() == encoded
    assert names(tmp_path) == ["file"]


# 255 bytes are the most that Linux takes, also for the temporary name
NAMES = ["x" * 255, "ü" * 127, "\U0001f9ea" * 63, "caf\udce9.csv", "no suffix", ".hidden", "a.b.c"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_that_the_file_system_takes(tmp_path, name):
    files.write_whole(tmp_path / name, NEW)
    assert names(tmp_path) == [name]


class Stop(BaseException):
    """Neither an Exception nor KeyboardInterrupt, as plugins may raise it."""


ERRORS = [OSError(errno.EIO, "no"), RuntimeError("torch"), KeyboardInterrupt(), Stop()]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize("before", [None, OLD])
def test_a_write_that_fails_in_the_middle_leaves_what_was_there(tmp_path, before, error):
    path = tmp_path / "file"
    if before is not None:
        path.write_bytes(before)

    def write():
        with files.whole_file(path) as file:
            file.write(NEW * 100_000)  # more than a buffer
            raise error

    with pytest.raises(type(error)) as raised:
        write()
    assert raised.value is error
    assert names(tmp_path) == ([] if before is None else ["file"])
    assert before is None or path.read_bytes() == before


@contextlib.contextmanager
def small_disk():
    """No file may have more than 100 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


FAILING = {  # what fails -> content, what is raised, and its message
    "os.fsync": (NEW, OSError, "No space left"),
    "pathlib.Path.replace": (NEW, OSError, "No space left"),
    "disk": (b"x" * 101, OSError, "File too large"),
    "encoding": ("caf\udce9", UnicodeEncodeError, "surrogates"),
}


@pytest.mark.parametrize("step", FAILING)
def test_a_step_that_fails_leaves_what_was_there(tmp_path, monkeypatch, step):
    content, error, said = FAILING[step]
    path = tmp_path / "file"
    path.write_bytes(OLD)
    if "." in step:
        monkeypatch.setattr(step, full)
    with small_disk() if step == "disk" else contextlib.nullcontext(), pytest.raises(error, match=said):
        files.write_whole(path, content)
    assert path.read_bytes() == OLD
    assert names(tmp_path) == ["file"]


def test_until_the_end_the_old_file_is_there(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(OLD)
    with files.whole_file(path) as file:
        file.write(NEW)
        file.flush()
        assert path.read_bytes() == OLD
        [part] = [name for name in names(tmp_path) if name != "file"]
        assert part.endswith(files.PART)
        assert files.writer_of(part) == files.Writer("file", os.getpid(), process_place())
    assert path.read_bytes() == NEW
    assert names(tmp_path) == ["file"]


@given(st.text())
def test_other_names_are_those_of_no_temporary_file(name):
    assert files.writer_of(f"{name}{files.PART}") is None
    assert files.writer_of(f"{name}.12-0123456{files.PART}") is None
    assert files.writer_of(f"{name}.{10**10}-01234567{files.PART}") is None  # no process number
    assert files.writer_of(f"{name}.12-01234567{files.PART}~") is None
    assert files.writer_of(f"{name}.12-0123456789ab{files.PART}") is None


def test_only_a_process_that_would_be_seen_here_is_known_to_be_gone():
    process = subprocess.run(
        [sys.executable, "-S", "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    dead = int(process.stdout)
    assert files.writer_of(f"a.{dead}-01234567{files.PART}").is_gone()  # of before places were known
    assert files.writer_of(f"a.{dead}-{process_place()}01234567{files.PART}").is_gone()
    assert not files.writer_of(f"a.{dead}-{'f' * 8}01234567{files.PART}").is_gone()
    assert not files.writer_of(f"a.{os.getpid()}-{process_place()}01234567{files.PART}").is_gone()


KILLED = """
import os, signal, sys
from pathlib import Path
from kernbench.host.files import whole_file
with whole_file(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_writer_leaves_the_old_file_and_does_not_stop_the_next(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(OLD)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False, timeout=300)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == OLD
    files.write_whole(path, NEW)
    assert path.read_bytes() == NEW


WRITER = """
import sys
from pathlib import Path
from kernbench.host.files import write_whole
print("ready", flush=True)
sys.stdin.readline()
for turn in range(100):
    write_whole(Path(sys.argv[1]), sys.argv[2] * 100_000)
"""


def test_processes_that_write_one_file_all_succeed_and_no_reader_sees_a_part(tmp_path):
    path = tmp_path / "file"
    piped = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with contextlib.ExitStack() as stack:
        writers = [
            stack.enter_context(subprocess.Popen([sys.executable, "-c", WRITER, str(path), letter], **piped))
            for letter in "ab"
        ]
        for writer in writers:
            assert writer.stdout.readline() == "ready\n"
        for writer in writers:
            writer.stdin.write("go\n")
            writer.stdin.flush()
        seen = set()
        while any(writer.poll() is None for writer in writers):
            with contextlib.suppress(FileNotFoundError):  # before the first is done
                seen.add(path.read_bytes())
        assert [writer.returncode for writer in writers] == [0, 0]
    whole = {b"a" * 100_000, b"b" * 100_000}
    assert seen
    assert {path.read_bytes(), *seen} <= whole
    assert names(tmp_path) == ["file"]


def test_threads_that_write_one_file_all_succeed(tmp_path):
    path, failed = tmp_path / "file", []

    def write(letter):
        try:
            for _ in range(20):
                files.write_whole(path, letter * 10_000)
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert path.read_bytes() in {letter * 10_000 for letter in (b"a", b"b", b"c")}
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002, 0o000], ids=oct)
@pytest.mark.parametrize("there", [False, True])
def test_rights_are_those_of_any_new_file(tmp_path, mask, there):
    path = tmp_path / "file"
    if there:
        path.touch(mode=0o600)
    usual = os.umask(mask)
    try:
        files.write_whole(path, NEW)
    finally:
        os.umask(usual)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_a_link_is_replaced_and_its_target_left(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(OLD)
    link.symlink_to(target)
    files.write_whole(link, NEW)
    assert target.read_bytes() == OLD
    assert not link.is_symlink()
    assert link.read_bytes() == NEW


def test_a_link_in_place_of_the_temporary_file_is_not_written_through(tmp_path, monkeypatch):
    """The name cannot be guessed; if it could, what is there is neither written nor removed."""
    monkeypatch.setattr(files.secrets, "token_hex", lambda size: "0" * 2 * size)
    other, link = tmp_path / "other", tmp_path / files.part_of(tmp_path / "file")
    other.write_bytes(OLD)
    link.symlink_to(other)
    with pytest.raises(FileExistsError):
        files.write_whole(tmp_path / "file", NEW)
    assert other.read_bytes() == OLD
    assert names(tmp_path) == sorted(["other", link.name])


@pytest.mark.parametrize(
    ("place", "error"),
    [
        *(("absent/file", FileNotFoundError), ("a file/file", NotADirectoryError), ("folder", IsADirectoryError)),
        ("/proc/file", OSError),  # read-only for root, too
    ],
)
def test_a_place_that_cannot_be_written_is_an_oserror_and_nothing_is_left(tmp_path, place, error):
    (tmp_path / "a file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(error):
        files.write_whole(tmp_path / place, NEW)
    assert names(tmp_path) == ["a file", "folder"]
    assert names(tmp_path / "folder") == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_a_permission_error(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            files.write_whole(tmp_path / "file", NEW)
    finally:
        tmp_path.chmod(0o700)


def synced(monkeypatch):
    """What is put on the disk from now on, in order, with its size; "name" where a file gets its own."""
    done, fsync, replace = [], os.fsync, files.Path.replace

    def of(descriptor):
        about = os.fstat(descriptor)
        done.append("folder" if stat.S_ISDIR(about.st_mode) else f"file of {about.st_size}")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", of)
    monkeypatch.setattr(files.Path, "replace", lambda path, target: done.append("name") or replace(path, target))
    return done


@pytest.mark.parametrize(("sync", "steps"), [(True, [f"file of {len(NEW)}", "name", "folder"]), (False, ["name"])])
def test_content_goes_to_the_disk_before_the_name_unless_the_caller_syncs(tmp_path, monkeypatch, sync, steps):
    done = synced(monkeypatch)
    with files.whole_file(tmp_path / "file", sync=sync) as file:
        file.write(NEW)
    assert done == steps
    assert (tmp_path / "file").read_bytes() == NEW


def test_a_folder_that_cannot_be_synced_does_not_undo_the_write(tmp_path, monkeypatch):
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: full() if stat.S_ISDIR(os.fstat(fd).st_mode) else fsync(fd))
    files.write_whole(tmp_path / "file", NEW)
    assert (tmp_path / "file").read_bytes() == NEW


def test_a_partial_folder_is_renamed_by_its_maker_or_gone(tmp_path):
    target = tmp_path / "deep" / "folder"
    with files.partial_folder(target) as partial:
        (partial / "file").write_bytes(NEW)
        partial.rename(target)
    assert names(target) == ["file"]
    with pytest.raises(Stop), files.partial_folder(target) as partial:  # noqa: PT012  # the folder must be there first
        (partial / "file").write_bytes(OLD)
        raise Stop
    assert names(target.parent) == ["folder"]
    assert (target / "file").read_bytes() == NEW
