"""Entry points of installed packages; a broken file of one package does not break the others."""

import functools
import importlib.metadata
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import Distribution, EntryPoint, EntryPoints
from typing import Any

from kernbench.errors import KernbenchWarning, one_line

_usual = importlib.metadata.entry_points


def entries_of(group: str) -> EntryPoints:
    """Entry points of a group; lines that are none are left out with a warning."""
    found: EntryPoints = _entry_points(group=group)
    return found


@contextmanager
def entry_points_go_on() -> Iterator[None]:
    """Let libraries, too, read what can be read: torch and alembic ask for entry points when they are imported."""
    importlib.metadata.entry_points = _entry_points
    try:
        yield
    finally:
        importlib.metadata.entry_points = _usual


def _entry_points(**wanted: Any) -> Any:  # as importlib.metadata, whose types depend on the arguments
    try:
        return _usual(**wanted)
    except Exception:  # of a single line in any package of this Python
        return _readable(tuple(sys.path)).select(**wanted)


@functools.cache
def _readable(_path: tuple[str, ...]) -> EntryPoints:
    """All entry points on a search path; of two distributions of one name, those of the first."""
    found: dict[str, list[EntryPoint]] = {}
    for distribution in importlib.metadata.distributions():
        name = str(distribution.metadata["Name"])
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key not in found:
            found[key] = _of(distribution, name)
    return EntryPoints(entry for entries in found.values() for entry in entries)


def _of(distribution: Distribution, name: str) -> list[EntryPoint]:
    try:
        return list(distribution.entry_points)
    except Exception:
        text = distribution.read_text("entry_points.txt") or ""
    entries, group = [], ""
    for line in filter(None, map(str.strip, text.splitlines())):
        own, is_one, value = map(str.strip, line.partition("="))
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1]
        elif is_one:
            entries.append(EntryPoint(own, value, group))
            vars(entries[-1]).update(dist=distribution)  # as importlib.metadata does
        elif not line.startswith("#"):
            said = f"entry_points.txt of package {name}: expected NAME = VALUE, got {one_line(line, 60)!r}"
            warnings.warn(
                f"{said}; the other lines are used; install the package again", KernbenchWarning, stacklevel=1
            )
    return entries
