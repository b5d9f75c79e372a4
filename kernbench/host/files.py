"""Files that are complete or not there, and the digests that name what is stored."""

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from kernbench.host.processes import process_place, process_start

PART = ".part"  # at the end of the names of files that are not complete yet
_LONGEST = 50  # letters of the final name in the temporary one: with four bytes each, still a name for the system


@contextlib.contextmanager
def whole_file(path: Path, *, sync: bool = True) -> Iterator[IO[bytes]]:
    """A file to write, under a temporary name in the same folder; it takes its name when the block ends.

    If anything fails, the temporary file is removed and what was at `path` is as it was. Two that write the same file
    do not meet; the last one stays. A link at `path` is replaced, not followed.

    Args:
        path: the final name, in a folder that is there.
        sync: wait until file and name are on the disk; without, the caller does that for many files together.

    Raises:
        OSError: the folder is not there or cannot be written, or the disk is full.
    """
    part = part_of(path)
    file = part.open("xb")  # a link that somebody left there is not written through
    try:
        with file:
            yield file
            if sync:
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):  # the folder may be gone
            part.unlink()
        raise
    if sync:
        _sync_folder(path.parent)


def part_of(path: Path) -> Path:
    """A temporary name beside a file, which no other process and no other call has."""
    return path.with_name(f"{path.name[:_LONGEST]}.{_own()}{PART}")


@dataclass(frozen=True)
class Writer:
    """What the name of a temporary file says.

    Attributes:
        name: final name of the file, its first 50 letters.
        pid: number of the process that writes it.
        place: `process_place` of that process; empty where an older kernbench wrote.
    """

    name: str
    pid: int
    place: str

    def is_gone(self) -> bool:
        """Whether the process has ended; false where its number means nothing here."""
        return self.place in ("", process_place()) and process_start(self.pid) is None


def writer_of(part: str) -> Writer | None:
    """Who writes a temporary file of this name; None for another file."""
    found = re.fullmatch(rf"(.+)\.([0-9]{{1,9}})-([0-9a-f]{{8}})?[0-9a-f]{{8}}{re.escape(PART)}", part, re.DOTALL)
    return None if found is None else Writer(found[1], int(found[2]), found[3] or "")


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file as `whole_file` does; text as UTF-8, its line ends as they are.

    Raises:
        OSError: see `whole_file`.
        UnicodeEncodeError: a text that is none; nothing was written.
    """
    encoded = content if isinstance(content, bytes) else content.encode()
    with whole_file(path) as file:
        file.write(encoded)


@contextlib.contextmanager
def partial_folder(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder`, `.NAME.RANDOM.partial`, to be renamed by the caller; what is left of it is removed.

    Raises:
        OSError: it cannot be made.
    """
    partial = folder.with_name(f".{folder.name}.{_own()}.partial")
    try:
        partial.mkdir(parents=True)
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def sha256_of(content: bytes | str, digits: int = 64) -> str:
    """First hexadecimal digits of the SHA-256 of bytes, or of text as UTF-8."""
    return sha256_of_parts([content], digits)


def sha256_of_parts(parts: Iterable[bytes | str], digits: int = 64) -> str:
    """The same of parts as if they were one; only one at a time is held."""
    content = hashlib.sha256()
    for part in parts:
        content.update(part if isinstance(part, bytes) else part.encode())
    return content.hexdigest()[:digits]


def sha256_of_file(path: Path, digits: int = 64) -> str:
    """The same of a file's content.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:digits]


def canonical(content: Any) -> str:  # Any: JSON
    """JSON text that depends on the content only: sorted keys, no spaces.

    Raises:
        ValueError: NaN or infinity, which JSON does not have.
    """
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def json_digest(content: Any) -> str:
    """First 12 hexadecimal digits of the SHA-256 of the canonical JSON: the name of settings, data sets, machines."""
    return sha256_of(canonical(content), 12)


def _own() -> str:
    """A part of a name that no other process and no other call has."""
    return f"{os.getpid()}-{process_place()}{secrets.token_hex(4)}"


def _sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk, where the file system can; the content is there already."""
    with contextlib.suppress(OSError):  # a folder that may be written but not read; some network file systems
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
