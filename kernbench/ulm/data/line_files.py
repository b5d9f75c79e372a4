"""Line files in a folder, in the order of the numbers in their names."""

import re
from pathlib import Path

from kernbench.errors import DataError
from kernbench.ulm.data.manifest import MANIFEST_NAMES, is_folder
from kernbench.ulm.srml1d.recordings import SUFFIXES


def line_files(path: Path) -> list[Path] | None:
    """Files of lines that a path means: itself, or those in the folder; None where nothing is there.

    Hidden files are left out, `._NAME` that a Mac writes beside each file among them, and manifests.

    Raises:
        DataError: a folder that cannot be read, or has no such file in it.
    """
    if not is_folder(path):
        return [path] if _is_file(path) else None
    try:
        there = [each for each in path.iterdir() if each.is_file() and not each.name.startswith(".")]
        folders = sorted(each.name for each in path.iterdir() if each.is_dir() and not each.name.startswith("."))
    except OSError as error:
        raise DataError(f"folder {path} cannot be read: {error.strerror}") from error
    lines = [each for each in there if each.suffix.lower() in SUFFIXES and each.name not in MANIFEST_NAMES]
    if not lines:
        inside = f"; give one of the folders in it: {', '.join(folders[:6])}" if folders else ""
        raise DataError(f"folder {path} has no files {', '.join(SUFFIXES)}{inside}")
    return sorted(lines, key=_natural)


def _natural(path: Path) -> tuple[list[int], str]:
    """Numbers of a name, so that line 2 comes before line 10, then the name."""
    return [int(digits) for digits in re.findall(r"\d+", path.stem)], path.name


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False
