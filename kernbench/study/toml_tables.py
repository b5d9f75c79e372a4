"""Tables of a study file: sub-tables and their keys, with clear refusals."""

from collections.abc import Sequence
from typing import Any

from kernbench.errors import StudyError, close_match

TomlTable = dict[str, Any]  # TOML


def table_of(parent: TomlTable, key: str, source: str) -> TomlTable:
    """A sub-table, empty where it is left out; StudyError where it is something else."""
    value = parent.get(key, {})
    if not isinstance(value, dict):
        raise StudyError(f"{source}: {key}: expected a table, got {value!r}")
    return value


def only(table: TomlTable, known: Sequence[str], source: str, prefix: str) -> None:
    """Refuse an unknown key, with a close match."""
    for key in table:
        if key not in known:
            hint = close_match(key, known) or f"; known: {', '.join(known)}"
            raise StudyError(f"{source}: unknown key {prefix}{key}{hint}")
