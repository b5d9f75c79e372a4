"""Folders: where kernbench keeps what it can make again, and whether one can be written."""

import os
import sys
import tempfile
from pathlib import Path

from kernbench.errors import DataError, KernbenchError


def cache_folder() -> Path:
    """Folder of simulated data and fitted constants: KERNBENCH_CACHE, or `kernbench` in the user's cache folder.

    It need not exist.

    Raises:
        DataError: it would be in a home folder, and the user has none.
    """
    try:
        return _cache_folder()
    except RuntimeError as error:  # of pathlib, where HOME is unset and the table of users has no entry
        raise DataError(f"no cache folder: {str(error).rstrip('.')}; set KERNBENCH_CACHE to a folder") from error


def _cache_folder() -> Path:
    if chosen := os.environ.get("KERNBENCH_CACHE"):
        return Path(chosen).expanduser()
    # as platformdirs has it, but for a relative XDG_CACHE_HOME, which that ignores: there are caches in such folders
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "kernbench"
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "kernbench"


def nearest(folder: Path) -> Path:
    """The folder itself, or the first above it that exists; a file, where one is in its place."""
    # os.path: where a folder may not be looked into, Path.exists raises
    found = (parent for parent in (folder.absolute(), *folder.absolute().parents) if os.path.exists(parent))  # noqa: PTH110
    return next(found)


def check_writable(folder: Path, kind: type[KernbenchError], advice: str) -> None:
    """Refuse a folder that neither exists as a writable folder nor can be made; leaves nothing behind.

    Args:
        folder: need not exist.
        kind: what to raise.
        advice: what to do about it, the end of the message.

    Raises:
        KernbenchError: of that kind, with the reason.
    """
    place = nearest(folder)
    try:
        # permissions are not all: quotas, read-only disks, root
        with tempfile.TemporaryFile(dir=place), os.scandir(place):
            return
    except OSError as error:
        reason = f"{place}: {error.strerror}" if place.is_dir() else f"{place} is not a folder"
    raise kind(f"folder {folder} cannot be written ({reason}); {advice}")
