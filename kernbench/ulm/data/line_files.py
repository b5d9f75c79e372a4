"""Line files in a folder, in the order of the numbers in their names."""

import re
from pathlib import Path

from kernbench.errors import DataError
from kernbench.ulm.srml1d.recordings import SUFFIXES

SPLIT_FOLDERS = {"train": "TRAINING", "validation": "VALIDATION", "test": "TESTING"}  # of the publisher


def line_files(path: Path) -> list[Path] | None:
    """Files of lines that a path means: itself, or those in the folder; None where nothing is there.

    Hidden files are left out, `._NAME` that a Mac writes beside each file among them, and manifests.

    Raises:
        DataError: a folder that cannot be read, or has no such file in it.
    """
    if not is_folder(path):
        return [path] if _is_file(path) else None
    there = listed(path)
    folders = [each.name for each in there if each.is_dir()]
    lines = [each for each in there if each.is_file() and each.suffix.lower() in SUFFIXES and each.stem != "manifest"]
    if not lines:
        inside = f"; give one of the folders in it: {', '.join(folders[:6])}" if folders else ""
        raise DataError(f"folder {path} has no files {', '.join(SUFFIXES)}{inside}")
    return sorted(lines, key=_natural)


def is_folder(path: Path) -> bool:
    """Whether a folder is there; what the file system does not take for a name is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def listed(folder: Path) -> list[Path]:
    """What is in a folder, sorted by name, without hidden files, such as `._NAME` that a Mac writes beside NAME.

    Raises:
        DataError: it is no folder, or cannot be read.
    """
    if not is_folder(folder):
        raise DataError(f"no folder {folder}; expected the folder of the line files")
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"folder {folder} cannot be read: {error.strerror}") from error


def split_folder(folder: Path, name: str) -> Path | None:
    """The folder of one split as the publisher calls it, in large or small letters, or None.

    Raises:
        DataError: there are two.
    """
    found = [path for path in listed(folder) if path.name.upper() == name and path.is_dir()]
    if len(found) > 1:
        raise DataError(f"{folder} has the folders {' and '.join(path.name for path in found)}; rename one")
    return found[0] if found else None


def numbered(folder: Path, wanted: tuple[int, int] | None, suffix: str, split: str) -> list[Path]:
    """Line files by the last number in their names.

    Args:
        folder: where they are.
        wanted: first and last number; None for all that are there.
        suffix: of the files.
        split: for which, for messages.

    Raises:
        DataError: a number has no file or several.
    """
    there: dict[int, list[Path]] = {}
    for path in listed(folder):
        if path.suffix.lower() == suffix and (digits := re.findall(r"\d+", path.stem)):
            there.setdefault(int(digits[-1]), []).append(path)
    if not there and wanted is None:
        raise DataError(f"{folder}: no file with a number ({suffix}); --format says which files are meant")
    numbers = sorted(there) if wanted is None else range(wanted[0], wanted[1] + 1)
    for number in numbers:
        found = there.get(number, [])
        if len(found) != 1:
            what = f"files {', '.join(path.name for path in found)}" if found else "no file"
            raise DataError(f"{folder}: {what} of number {number} ({suffix}), asked for by {split}")
    return [there[number][0] for number in numbers]


def _natural(path: Path) -> tuple[list[int], str]:
    """Numbers of a name, so that line 2 comes before line 10, then the name."""
    return [int(digits) for digits in re.findall(r"\d+", path.stem)], path.name


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False
