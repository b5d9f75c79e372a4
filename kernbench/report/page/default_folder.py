"""Where a report goes that is not sent anywhere: a folder belongs to the databases that it shows."""

import itertools
import os
import re
from collections.abc import Sequence
from pathlib import Path

from kernbench.errors import one_line
from kernbench.report.page.manifest import DEFAULT, names_in, read_manifest
from kernbench.store.database.url import server_name, sqlite_path


def default_folder(urls: Sequence[str]) -> tuple[Path, str]:
    """The folder of a report without --out: `kernbench-report`, or where that shows another database, one with a name.

    Args:
        urls: databases of the report, each once.

    Returns:
        The folder, and why it is not `kernbench-report`; empty if it is.
    """
    if _may_hold(DEFAULT, urls):
        return DEFAULT, ""
    name = "-".join([DEFAULT.name, *map(_stem, urls)])
    numbered = (f"{name}-{number}" for number in itertools.count(2))
    folder = next(Path(each) for each in itertools.chain([name], numbered) if _may_hold(Path(each), urls))
    held = read_manifest(DEFAULT)
    return folder, f"{DEFAULT} shows {', '.join(map(_from_here, held.databases)) if held else 'another database'}"


def _from_here(name: str) -> str:
    """A database that the manifest of `kernbench-report` names."""
    return one_line(name if "://" in name else os.path.normpath(DEFAULT / name), 200)


def _may_hold(folder: Path, urls: Sequence[str]) -> bool:
    """Whether the folder has no report, one of these very databases, or one that does not say of which."""
    found = read_manifest(folder)
    return found is None or not found.databases or found.databases == names_in(folder, urls)


def _stem(url: str) -> str:
    """A database in the name of a folder."""
    path = sqlite_path(url)
    name = path.name.removesuffix(".db") if path is not None else server_name(url).rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9._]+", "-", name).strip(".-")[:60] or "unnamed"
