"""Published numbers beside measured ones: reference, measured, difference and the spread of seeds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kernbench.engine.reference import TOLERANCE_AXIS, Reference
from kernbench.report.gather import Comparison, Point


@dataclass(frozen=True)
class Beside:
    """One published number and what was measured.

    Attributes:
        source: author, year, table or figure.
        point: family and axis values.
        what: statistic, split and tolerance.
        reference: published F1.
        measured: mean over seeds of the same statistic; None while no cell has it.
        low: smallest over seeds.
        high: largest over seeds.
        seeds: how many.
    """

    source: str
    point: str
    what: str
    reference: float
    measured: float | None
    low: float | None
    high: float | None
    seeds: int

    @property
    def difference(self) -> float | None:
        """Measured minus published."""
        return None if self.measured is None else self.measured - self.reference


def beside(comparison: Comparison) -> list[Beside]:
    """All published numbers of a comparison's study, in the order of its file.

    Args:
        comparison: runs of one study file, version and profile.
    """
    references = dict.fromkeys(map(_Hashable, (r for run in comparison.runs for r in run.references)))
    return [row for each in references for row in _rows(each.reference, comparison.points)]


@dataclass(frozen=True, eq=False)
class _Hashable:
    """A reference by its content: every run of a study carries the same ones."""

    reference: Reference

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hashable) and repr(self.reference) == repr(other.reference)

    def __hash__(self) -> int:
        return hash(repr(self.reference))


def _rows(reference: Reference, points: Sequence[Point]) -> Iterable[Beside]:
    for at, value in zip(reference.at, reference.values, strict=True):
        along = {} if reference.axis == TOLERANCE_AXIS else {reference.axis: at}
        wanted = dict(reference.where or {}) | along
        tolerance = int(at) if reference.axis == TOLERANCE_AXIS else reference.tolerance
        fitting = [point for point in points if _fits(point, reference.family, wanted)]
        for point in fitting:
            yield _row(reference, point, tolerance, value)


def _fits(point: Point, family: str, wanted: dict[str, float | int | str]) -> bool:
    same = all(point.params.get(name) == value for name, value in wanted.items())
    return same and point.runs[0].family == family


def _row(reference: Reference, point: Point, tolerance: int, value: float) -> Beside:
    scored = [run for run in point.scored if reference.split in run.scores]
    found = None
    if scored and len(scored) == len(point.scored):
        lines = point.f1(tolerance, reference.split)
        found = [float(np.median(row) if reference.statistic == "median" else np.mean(row)) for row in lines]
    return Beside(
        source=reference.source,
        point=point.name,
        what=f"{reference.statistic} over {reference.split} lines, tolerance {tolerance}",
        reference=value,
        measured=float(np.mean(found)) if found else None,
        low=min(found) if found else None,
        high=max(found) if found else None,
        seeds=len(found or []),
    )
