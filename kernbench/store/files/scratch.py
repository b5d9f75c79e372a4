"""Folders for the files of a cell while it runs, in a place where those of killed workers are found and removed."""

import os
import shutil
import socket
import tempfile
from pathlib import Path

from kernbench.store.tables.cell_states import process_is_gone, process_start

PREFIX = "scratch."  # of the names: scratch.HOST.PID.START.RANDOM


def scratch_folder(checkpoints: Path) -> tempfile.TemporaryDirectory[str]:
    """A new, empty folder beside the checkpoints, named after this process; removed when its context ends."""
    checkpoints.mkdir(parents=True, exist_ok=True)
    owner = f"{socket.gethostname()}.{os.getpid()}.{process_start(os.getpid()) or 0}"
    return tempfile.TemporaryDirectory(prefix=f"{PREFIX}{owner}.", dir=checkpoints)


def remove_abandoned(checkpoints: Path) -> None:
    """Remove the scratch folders of this host whose process is gone; those of other hosts are theirs to remove."""
    for folder in checkpoints.glob(f"{PREFIX}*"):
        if folder.is_dir() and not folder.is_symlink() and is_abandoned(folder.name):
            shutil.rmtree(folder, ignore_errors=True)


def is_abandoned(name: str) -> bool:
    """Whether the process that the name of a scratch folder holds has ended; false for one of another host."""
    host, pid, start, _ = [*name.removeprefix(PREFIX).rsplit(".", 3), "", "", ""][:4]
    return process_is_gone(host, pid, None if start == "0" else start)
