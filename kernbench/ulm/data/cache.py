"""Entries of the data cache: folders of arrays that are either complete and checked, or not there.

An entry is written under another name and renamed when it is complete; a lock file beside it lets one process work
while others wait. The system drops the lock of a process that dies, so whatever unfinished folder is found while
holding the lock is stale.
"""

import contextlib
import errno
import fcntl
import functools
import json
import secrets
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
import numpy.typing as npt

from kernbench.errors import DataError, KernbenchWarning
from kernbench.host.cache_folder import cache_folder, check_writable
from kernbench.host.files import canonical, partial_folder, sha256_of, sha256_of_file

MANIFEST = "manifest.json"
Array = npt.NDArray[Any]  # voltage and counts differ in type
Facts = dict[str, Any]  # JSON
Found = TypeVar("Found")
_ADVICE = "set KERNBENCH_CACHE to a folder of your own, or have its owner give you the rights; see `kernbench doctor`"

# Some network file systems have no locks: there every process writes its own copy and the first rename wins.
# The package filelock stops there with an error (ENOLCK, EOPNOTSUPP), and elsewhere polls where flock waits.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class Damaged(Exception):  # noqa: N818  a finding about an entry, not yet an error
    """An entry that is there but cannot be used; the message says why."""


def read_entry(folder: Path) -> tuple[dict[str, Array], Facts] | None:
    """Arrays (memory-mapped, read-only) and facts of an entry, or None where there is none.

    Checksums are computed once per process, and again when a file's size or time of change differs.

    Raises:
        Damaged: a file is missing, cut or changed.
    """
    try:
        if not folder.is_dir():
            return None
    except OSError as error:  # of a folder above that may not be looked into
        raise Damaged(f"it cannot be read: {error.strerror}") from error
    manifest = _read_manifest(folder)
    arrays = {}
    for name, expected in manifest["files"].items():
        _check_file(folder / name, expected)
        try:
            arrays[Path(name).stem] = np.load(folder / name, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise Damaged(f"{name} cannot be read: {error}") from error
    return arrays, manifest["facts"]


def describe_entry(folder: Path) -> tuple[Facts, int, str]:
    """Facts, size of all files [bytes], and what is wrong with an entry; no facts where something is wrong."""
    try:
        size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    except OSError as error:
        return {}, 0, f"it cannot be read: {error.strerror}"
    try:
        entry = read_entry(folder)
    except Damaged as damage:
        return {}, size, str(damage)
    return entry[1] if entry else {}, size, ""


def listed(folder: Path) -> list[Path]:
    """Folders in a folder of the cache by name, hidden ones left out; none where it is not there.

    Raises:
        DataError: it may not be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _unreadable(folder, error) from error


def check_usable(folder: Path) -> None:
    """Refuse, before a run, an entry that this user may not read, or may not write where it is not there yet.

    Raises:
        DataError: names the folder or file, and what to do.
    """
    try:
        if folder.is_dir():
            for path in folder.iterdir():
                with path.open("rb"):
                    pass
            return
        lock = _lock_file(folder)
        if lock.exists():
            with lock.open("a"):
                pass
    except OSError as error:
        raise _unreadable(Path(error.filename or folder), error) from error
    check_writable(folder.parent, DataError, _ADVICE)


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"data cache: {path} cannot be used: {error.strerror or error}; {_ADVICE}")


def write_entry(folder: Path, arrays: Mapping[str, Array], facts: Facts) -> None:
    """Write an entry, replacing a damaged one; call with `locked`.

    Raises:
        DataError: the folder cannot be written, or the disk is full.
    """
    with _explained(), partial_folder(folder) as partial:
        for name, array in arrays.items():
            np.save(partial / f"{name}.npy", array, allow_pickle=False)
        _write_manifest(partial, facts)
        _publish(partial, folder)


def found_or_made(
    folder: Path, find: Callable[[], Found | None], make: Callable[[], None], words: tuple[str, str]
) -> Found:
    """What is in an entry; one that is missing or damaged is made while other processes wait.

    Args:
        folder: of the entry.
        find: what is in it, or None; raises Damaged.
        make: writes it.
        words: for a warning: what the entry holds, and what `make` does, "lines" and "simulating".

    Raises:
        DataError: the cache folder cannot be written.
    """
    with contextlib.suppress(Damaged):
        if (found := find()) is not None:
            return found
    with locked(folder):
        try:
            if (found := find()) is not None:  # made while we waited
                return found
        except Damaged as damage:
            message = f"cached {words[0]} in {folder} cannot be used ({damage}); {words[1]} them again"
            warnings.warn(message, KernbenchWarning, stacklevel=3)
        make()
        made = find()
    assert made is not None
    return made


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of an entry, waiting for a process that has it; removes what dead processes left unfinished.

    Raises:
        DataError: the cache folder cannot be written.
    """
    with contextlib.ExitStack() as stack:
        with _explained():
            folder.parent.mkdir(parents=True, exist_ok=True)
            handle = stack.enter_context(_lock_file(folder).open("a"))
            _remove_unfinished(folder.parent.parent, folder if _flock(handle, fcntl.LOCK_EX) else None)
        yield


def _check_file(path: Path, expected: Mapping[str, Any]) -> None:
    """Raise Damaged unless the file has the size and checksum of the manifest."""
    try:
        found = path.stat()
        if found.st_size != expected["bytes"]:
            raise Damaged(f"{path.name} has {found.st_size} bytes, expected {expected['bytes']}")
        if _checksum(path, found.st_size, found.st_mtime_ns, found.st_ino) != expected["sha256"]:
            raise Damaged(f"{path.name} has another checksum")
    except OSError as error:
        raise Damaged(f"{path.name}: {error.strerror}") from error


@functools.lru_cache(maxsize=1024)
def _checksum(path: Path, size: int, changed_ns: int, inode: int) -> str:
    """SHA-256 of a file, once per state of the file."""
    return sha256_of_file(path)


def _read_manifest(folder: Path) -> Facts:
    """Manifest of an entry, complete and unchanged."""
    try:
        manifest: Facts = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        seal = manifest.pop("sha256")
        intact = seal == sha256_of(canonical(manifest))
    except OSError as error:
        raise Damaged(f"{MANIFEST}: {error.strerror}") from error
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise Damaged(f"{MANIFEST} is cut or not a manifest") from error
    if not intact:
        raise Damaged(f"{MANIFEST} was changed")
    return manifest


def _write_manifest(folder: Path, facts: Facts) -> None:
    """Manifest with the checksums of all files, sealed with its own."""
    paths = sorted(folder.glob("*.npy"))
    files = {path.name: {"bytes": path.stat().st_size, "sha256": sha256_of_file(path)} for path in paths}
    manifest = {"facts": facts, "files": files}
    seal = sha256_of(canonical(manifest))
    text = json.dumps(manifest | {"sha256": seal}, indent=1, sort_keys=True)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _publish(partial: Path, folder: Path) -> None:
    """Give a complete folder its name; what was there (damaged) goes."""
    if folder.exists():
        aside = partial.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
        folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
    try:
        partial.rename(folder)
    except OSError as error:
        # Without locks another process may have been first; its copy is as good.
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def _lock_file(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


def _flock(handle: IO[str], operation: int) -> bool:
    """Take a lock; False where the file system has none."""
    try:
        fcntl.flock(handle, operation)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        raise
    return True


def _remove_unfinished(root: Path, held: Path | None) -> None:
    """Remove unfinished folders of the entry whose lock we hold, and of all that no living process has locked."""
    for partial in root.glob("*/.*.partial"):
        folder = partial.with_name(partial.name.split(".")[1])
        with contextlib.suppress(OSError), _lock_file(folder).open("a") as handle:
            if folder == held or _flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Turn a failure of the file system into one line that says what to do."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot write to the data cache {cache_folder()}: {error.strerror or error}. "
            "Set KERNBENCH_CACHE to a folder that can be written and has room."
        ) from error
