"""Published numbers that a study carries, so that its report can stand beside them; no part of its definition."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from kernbench.errors import StudyError, close_match

TOLERANCE_AXIS = "tolerance"
STATISTICS = ("mean", "median")
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Reference:
    """One published row of F1 values.

    Attributes:
        source: author, year, table or figure.
        family: kernel family it was published for.
        split: lines it was scored on.
        statistic: "mean" or "median" over lines.
        axis: what varies along the row: an axis of the study, or "tolerance".
        at: values on that axis.
        values: F1 at each of them.
        tolerance: samples; of no meaning where the axis is the tolerance.
        where: values of other axes that the row is for; axes left out are compared at each of their values.
    """

    source: str
    family: str
    split: str
    statistic: str
    axis: str
    at: tuple[float | int | str, ...]
    values: tuple[float, ...]
    tolerance: int = 4
    where: Mapping[str, float | int | str] | None = None

    def as_json(self) -> dict[str, Any]:
        """The row as JSON types."""
        return asdict(self) | {"at": list(self.at), "values": list(self.values), "where": dict(self.where or {})}


def from_json(row: Mapping[str, Any]) -> Reference:
    """The row that `as_json` wrote."""
    return Reference(**dict(row) | {"at": tuple(row["at"]), "values": tuple(row["values"])})


def read_references(rows: object, axes: Mapping[str, Any], source: str) -> tuple[Reference, ...]:
    """References of a study file.

    Args:
        rows: the array of tables `reference`, as read from TOML.
        axes: axes of the study.
        source: file, for messages.

    Raises:
        StudyError: an unknown key, a missing one, or lists of different length.
    """
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise StudyError(f"{source}: reference: expected [[reference]] tables, got {rows!r}")
    return tuple(_read(row, axes, f"{source}: reference {number}") for number, row in enumerate(rows, 1))


def _read(row: dict[str, Any], axes: Mapping[str, Any], where: str) -> Reference:
    known = [field.name for field in fields(Reference)]
    for key in row:
        if key not in known:
            raise StudyError(f"{where}: unknown key {key}{close_match(key, known)}")
    missing = [name for name in known if name not in (*row, "tolerance", "where")]
    if missing:
        raise StudyError(f"{where}: {', '.join(missing)} missing")
    for name, options in (("statistic", STATISTICS), ("split", SPLITS), ("axis", (*axes, TOLERANCE_AXIS))):
        if row[name] not in options:
            hint = close_match(str(row[name]), options)
            raise StudyError(f"{where}: {name}: expected one of {', '.join(options)}, got {row[name]!r}{hint}")
    if len(row["at"]) != len(row["values"]):
        raise StudyError(f"{where}: at has {len(row['at'])} values, values has {len(row['values'])}")
    for name in row.get("where", {}):
        if name not in axes:
            raise StudyError(f"{where}: where: {name} is no axis of the study{close_match(name, axes)}")
    return from_json(row)
