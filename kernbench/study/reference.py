"""Published numbers that a study carries, to be shown beside its results; they do not belong to its definition."""

import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from itertools import pairwise
from typing import Any

from kernbench.errors import StudyError, close_match
from kernbench.study.settings import Setting
from kernbench.study.toml_tables import only

TOLERANCE_AXIS = "tolerance"
LINE_AXES = ("bubbles", "pressure_kpa")  # known of each line: published in bins
F1 = "f1"
# Read off the curve of mean precision against mean recall; the F1 there is the largest over thresholds.
OF_CURVE = ("average_precision", "break_even", "max_f1", "max_f1_threshold", "max_f1_precision", "max_f1_recall")
MEAN = "mean"
SPEARMAN = tuple(f"spearman_{axis}" for axis in LINE_AXES)
STATISTICS = (MEAN, "median", "sd", "min", "q05", "q25", "q75", "max", *SPEARMAN)
TEST = "test"
SPLITS = ("train", "validation", TEST)
_PLAIN = {
    "source": Setting(str, "author, year, table or figure"),
    "family": Setting(str, "kernel family"),
    "split": Setting(str, "lines that were scored", options=SPLITS),
    "statistic": Setting(str, "over those lines", options=STATISTICS),
    "tolerance": Setting(int, "samples"),
    "quantity": Setting(str, "what the numbers are", options=(F1, *OF_CURVE)),
}


@dataclass(frozen=True)
class Reference:
    """One published row of numbers.

    Attributes:
        source: author, year, table or figure.
        family: kernel family it was published for.
        split: lines it was scored on.
        statistic: over those lines: "mean", "median", "sd", "min", "q05" (the 5 % quantile), "q25", "q75", "max", or
            Spearman's rank correlation of F1 with what is known of each line.
        axis: what varies along the row: an axis of the study, "tolerance", or, in bins, "bubbles" or "pressure_kpa".
        at: values on that axis; for bins their edges, one more than values, closed below, the last one above, too.
        values: the numbers.
        tolerance: samples; of no meaning where the axis is the tolerance.
        where: values of other axes that the row is for; axes left out are compared at each of their values.
        quantity: what the numbers are: "f1" at the frozen threshold, or something of the precision-recall curve.
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
    quantity: str = F1

    @property
    def edges(self) -> tuple[float, ...]:
        """Edges of the bins, for a row along what is known of each line."""
        return tuple(float(edge) for edge in self.at)

    @property
    def places(self) -> tuple[float | int | str, ...]:
        """The place of each value: the values on the axis, or "0-100" for a bin."""
        if self.axis in LINE_AXES:
            return tuple(f"{low:g}–{high:g}" for low, high in pairwise(self.edges))
        return self.at

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
        StudyError: an unknown key, a missing one, a value of the wrong kind, lists of different length, or a
            combination that no cell can be compared with.
    """
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise StudyError(f"{source}: reference: expected [[reference]] tables, got {rows!r}")
    return tuple(_read(row, axes, f"{source}: reference {number}") for number, row in enumerate(rows, 1))


def _read(row: dict[str, Any], axes: Mapping[str, Any], where: str) -> Reference:
    known = {field.name: field.default is MISSING for field in fields(Reference)}
    only(row, list(known), where, "")
    if missing := [name for name, needed in known.items() if needed and name not in row]:
        raise StudyError(f"{where}: {', '.join(missing)} missing")
    _check_kinds(row, axes, where)
    reference = from_json(row)
    _check_lists(reference, where)
    _check_combination(reference, where)
    for name in row.get("where", {}):
        if name not in axes:
            raise StudyError(f"{where}: where: {name} is no axis of the study{close_match(name, axes)}")
    return reference


def _check_kinds(row: dict[str, Any], axes: Mapping[str, Any], where: str) -> None:
    """Each key by itself."""
    axis = Setting(str, "what varies along the row", options=(*axes, TOLERANCE_AXIS, *LINE_AXES))
    for name, setting in (_PLAIN | {"axis": axis}).items():
        if name in row:
            setting.checked(row[name], f"{where}: {name}")
    for name, kind, wanted in (("at", list, "a list"), ("values", list, "a list"), ("where", dict, "a table")):
        if name in row and not isinstance(row[name], kind):
            raise StudyError(f"{where}: {name}: expected {wanted}, got {row[name]!r}")
    for value in row["values"]:
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise StudyError(f"{where}: values: expected numbers, got {value!r}")


def _check_lists(row: Reference, where: str) -> None:
    if row.axis in LINE_AXES:
        numbers = all(isinstance(edge, int | float) and not isinstance(edge, bool) for edge in row.at)
        if not numbers or not all(low < high for low, high in pairwise(row.edges)):
            raise StudyError(f"{where}: at: expected rising edges of bins of {row.axis}, got {list(row.at)!r}")
        if len(row.at) != len(row.values) + 1:
            raise StudyError(
                f"{where}: at has {len(row.at)} edges, so values must have one less; got {len(row.values)}"
            )
    elif len(row.at) != len(row.values):
        raise StudyError(f"{where}: at has {len(row.at)} values, values has {len(row.values)}")
    elif row.axis == TOLERANCE_AXIS and not all(isinstance(t, int) and not isinstance(t, bool) for t in row.at):
        raise StudyError(f"{where}: at: expected whole tolerances, got {list(row.at)!r}")


def _check_combination(row: Reference, where: str) -> None:
    """What is known of each line, and the curve, are those of the test lines, and means."""
    if row.quantity in OF_CURVE or row.axis in LINE_AXES:
        what = f"quantity {row.quantity}" if row.quantity in OF_CURVE else f"axis {row.axis}"
        if (row.split, row.statistic) != (TEST, MEAN):
            got = f"split {row.split!r} and statistic {row.statistic!r}"
            raise StudyError(f"{where}: {what} needs split {TEST!r} and statistic {MEAN!r}, got {got}")
    if row.quantity in OF_CURVE and row.axis in LINE_AXES:
        raise StudyError(
            f"{where}: quantity {row.quantity} has no bins; expected axis {TOLERANCE_AXIS} or one of the study"
        )
    if row.statistic in SPEARMAN and row.split != TEST:
        raise StudyError(f"{where}: statistic {row.statistic} needs split {TEST!r}, got {row.split!r}")
