"""Files beside the database: which artifact an entry names, and which of them are plain files of ours."""

import json
import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PREFIX = "artifacts:"  # of the system attributes in which Optuna keeps the entries
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


@dataclass(frozen=True)
class Entry:
    """An artifact as the database names it.

    Attributes:
        id: name of its file.
        filename: what the file was called.
    """

    id: str
    filename: str


def entries(attributes: Mapping[str, Any]) -> list[Entry]:
    """Artifact entries among the system attributes of a trial or study; what is no entry of ours is left out."""
    found = []
    for key, value in attributes.items():
        if key.startswith(PREFIX) and isinstance(value, str):
            entry = _entry(key.removeprefix(PREFIX), value)
            found += [] if entry is None else [entry]
    return found


def _entry(key: str, value: str) -> Entry | None:
    try:
        content = json.loads(value)
    except ValueError:
        return None
    if not isinstance(content, dict) or content.get("artifact_id") != key or not _ID.fullmatch(key):
        return None  # a name with a path in it would lead out of the folder
    return Entry(key, str(content.get("filename", "")))


def is_plain(path: Path) -> bool:
    """Whether there is a regular file at the path itself, not behind a link."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def listed(folder: Path) -> Iterable[os.DirEntry[str]]:
    """What lies directly in a folder, by name; nothing where there is no folder."""
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda each: each.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
