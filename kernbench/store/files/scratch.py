"""Folders for the files of a cell while it runs, in a place where those of killed workers are found and removed."""

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from kernbench.host.processes import process_is_gone, process_namespace, process_place, process_start

PREFIX = "scratch."  # of the names: scratch.HOST.PID-PLACE.START.RANDOM
FORGOTTEN_S = 7 * 24 * 3600.0  # without a change, after which one of this host, but of another namespace, is abandoned


def scratch_folder(checkpoints: Path) -> tempfile.TemporaryDirectory[str]:
    """A new, empty folder beside the checkpoints, named after this process; removed when its context ends."""
    checkpoints.mkdir(parents=True, exist_ok=True)
    # PLACE is beside PID: to a kernbench that does not know it, this is no number of a process, and so not gone
    owner = f"{socket.gethostname()}.{os.getpid()}-{process_place()}.{process_start(os.getpid()) or 0}"
    return tempfile.TemporaryDirectory(prefix=f"{PREFIX}{owner}.", dir=checkpoints)


def remove_abandoned(checkpoints: Path) -> None:
    """Remove the scratch folders of this host whose process is gone; those of other hosts are theirs to remove."""
    for folder in checkpoints.glob(f"{PREFIX}*"):
        if folder.is_dir() and not folder.is_symlink() and is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)


def is_abandoned(folder: Path) -> bool:
    """Whether the process that the name of a scratch folder holds has ended; false for one of another host.

    The process of another container, or of before the machine was restarted, cannot be asked for: age decides.
    """
    host, owner, start, _ = [*folder.name.removeprefix(PREFIX).rsplit(".", 3), "", "", ""][:4]
    pid, _, place = owner.partition("-")
    if place in ("", process_place()):
        namespace = process_namespace() if place else None
        return process_is_gone(host, namespace, pid, None if start == "0" else start)
    return host == socket.gethostname() and time.time() - max(_changes(folder)) > FORGOTTEN_S


def _changes(folder: Path) -> Iterator[float]:
    """When a folder and what is in it changed last."""
    yield 0.0
    for path in [folder, *folder.rglob("*")]:
        with suppress(OSError):
            yield path.lstat().st_mtime
