"""Files beside the database: which artifact an entry names, and whether it is a plain file."""

import json
import os
import re
import stat
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from kernbench.errors import KernbenchWarning, StorageError, one_line

DETECTORS, ANALYSES = "baselines", "analyses"  # folders of results among the artifacts, which no entry names
PREFIX = "artifacts:"  # of the system attributes in which Optuna keeps the entries
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


def entries(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Artifact entries among the system attributes of a trial or study: name of the file -> what it was called.

    What is no entry of kernbench is left out.
    """
    found = {}
    for key, value in attributes.items():
        name = key.removeprefix(PREFIX)
        if not key.startswith(PREFIX) or not isinstance(value, str) or not _ID.fullmatch(name):
            continue  # a name with a path in it would lead out of the folder
        with suppress(ValueError):
            content = json.loads(value)
            if isinstance(content, dict) and content.get("artifact_id") == name:
                found[name] = str(content.get("filename", ""))
    return found


def plain_files(attributes: Mapping[str, Any], folder: Path) -> dict[str, Path]:
    """Files that the entries name and that are there: what each was called -> its path.

    A KernbenchWarning says where something else than a plain file lies in the place of one.

    Args:
        attributes: system attributes of a trial.
        folder: of the artifacts.
    """
    paths = {filename: folder / file for file, filename in entries(attributes).items()}
    # The entry precedes the file: a kill may leave an entry without one.
    for name, path in paths.items():
        if os.path.lexists(path) and not is_plain(path):
            text = f"artifact {one_line(name)}, {path}, is no plain file and left out; see kernbench storage check"
            warnings.warn(text, KernbenchWarning, stacklevel=2)
    return {name: path for name, path in paths.items() if is_plain(path)}


def analysis_file(artifacts: Path, study: str, table: str) -> Path:
    """The file of a table that analyses the trained cells of one Optuna study.

    Args:
        artifacts: folder of the artifacts of a database.
        study: its name.
        table: name of the table.
    """
    return artifacts / ANALYSES / f"{study.replace('/', '-')}.{table}.csv"


def is_plain(path: Path) -> bool:
    """Whether there is a regular file at the path itself, not behind a link."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def listed(folder: Path) -> Iterable[os.DirEntry[str]]:
    """Entries of a folder, sorted by name; none where there is no folder.

    Raises:
        StorageError: it may not be read.
    """
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda each: each.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StorageError(f"folder {folder} cannot be read: {error.strerror}; ask its owner for the rights") from error
