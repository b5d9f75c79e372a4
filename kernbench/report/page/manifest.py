"""What a report's folder says of itself: its files, what they were made from, and of which databases."""

import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernbench.host.files import write_whole
from kernbench.store.database.url import server_name, sqlite_path

MANIFEST = "kernbench-report.json"
PAGE = "report.html"
DEFAULT = Path("kernbench-report")
FIGURES = "figures"
_VERSION = 1
_REPORT_NAMES = re.compile(rf"{PAGE}|matrix\.(tex|md)|[a-z_]+\.csv|{FIGURES}/[A-Za-z0-9_][\w.-]*\.(svg|png)", re.ASCII)


@dataclass(frozen=True)
class Manifest:
    """The files of a folder that are kernbench's.

    Attributes:
        source: digest of the cells that they were made from; empty while files are being replaced, or if unknown.
        databases: of these cells, from `names_in`; empty if unknown.
        files: path relative to the folder, with slashes -> format: "html", "latex", "markdown" or "csv".
    """

    source: str
    databases: tuple[str, ...]
    files: Mapping[str, str]


def read_manifest(folder: Path) -> Manifest | None:
    """What a report has written about its folder; None where there is no manifest, or one that cannot be trusted."""
    path = folder / MANIFEST
    try:
        found = json.loads(path.read_bytes()) if is_file(path) else None
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("version") != _VERSION:
        return None
    source, databases, files = (found.get(name) for name in ("source", "databases", "files"))
    if not isinstance(source, str) or not isinstance(databases, list) or not isinstance(files, dict):
        return None
    if not all(isinstance(each, str) for each in [*databases, *files.values()]) or not all(map(is_report_name, files)):
        return None
    return Manifest(source, tuple(databases), files)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it.

    Raises:
        OSError: the folder cannot be written.
    """
    content: dict[str, Any] = {
        "about": "files of this folder that kernbench report wrote; its next report replaces or removes them",
        "version": _VERSION,
        "source": manifest.source,
        "databases": list(manifest.databases),
        "files": dict(sorted(manifest.files.items())),
    }
    write_whole(folder / MANIFEST, json.dumps(content, indent=1) + "\n")


def is_report_name(name: str) -> bool:
    """Whether a report writes files of such names: no manifest makes kernbench remove one of another kind."""
    return _REPORT_NAMES.fullmatch(name) is not None


def is_file(path: Path) -> bool:
    """Whether there is a regular file, not a link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def names_in(folder: Path, urls: Sequence[str]) -> tuple[str, ...]:
    """What databases are called in a folder's manifest, sorted.

    A file is called by its path from the folder, so that both may be moved together.
    """
    return tuple(sorted(_name_in(folder, url) for url in urls))


def _name_in(folder: Path, url: str) -> str:
    path = sqlite_path(url)
    return server_name(url) if path is None else Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
