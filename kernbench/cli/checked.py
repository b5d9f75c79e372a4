"""Which families have passed `kernbench check` on this machine, and a line about those that have not."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pathlib import Path

    from kernbench.registry import Found


def remember(found: "Found") -> None:
    """Keep in the cache folder that a family has passed, as it is now; where that fails, a line says so.

    Args:
        found: family and its origin; another version or source of it needs a check of its own.
    """
    from kernbench.errors import KernbenchError
    from kernbench.host.files import canonical, write_whole

    try:
        path = _record(found)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, canonical(_identity(found)) + "\n")
    except (OSError, KernbenchError) as error:  # the family has passed all the same
        said = f"cannot keep that this has passed: {error}; `run` will ask for the check again"
        click.echo(f"kernbench: warning: {said}", err=True)


def warn_unchecked(families: "Iterable[tuple[str, Found]]") -> None:
    """One line on standard error for each family that has not passed; bundled ones are tested where they come from.

    Args:
        families: as typed, and what that is; one that comes twice is named once.
    """
    unchecked: dict[str, tuple[str, str]] = {}
    for typed, found in families:
        if not _has_passed(found):
            unchecked.setdefault(str(_identity(found)), (found.family.name, typed))
    for name, typed in unchecked.values():
        said = f"family {name!r} has not passed its checks on this machine; to see what it breaks: kernbench check"
        click.echo(f"kernbench: warning: {said} {typed}", err=True)


def _has_passed(found: "Found") -> bool:
    from kernbench.errors import DataError
    from kernbench.kernels.bundled import is_bundled

    if is_bundled(found.label):
        return True
    try:
        return os.path.isfile(_record(found))  # noqa: PTH113  # false where the folder may not be looked into
    except DataError:  # no cache folder
        return False


def _record(found: "Found") -> "Path":
    from kernbench.host.cache_folder import cache_folder
    from kernbench.host.files import json_digest

    return cache_folder() / "checked" / f"{json_digest(_identity(found))}.json"


def _identity(found: "Found") -> dict[str, str]:
    """What a check is about: an installed package that was edited keeps its version, so its source counts, too."""
    from kernbench.engine.work.environment import source_digest

    return {"family": found.family.name, "plugin": found.label, "source": source_digest(found.family)}
