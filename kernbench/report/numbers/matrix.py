"""Family against the values of the axis: one score a cell, and the verdict against the reference family."""

from dataclasses import dataclass

from kernbench.report.numbers.comparison import Comparison, Difference
from kernbench.report.numbers.points import Point, Value


@dataclass(frozen=True, eq=False)
class Matrix:
    """Series as rows, values of the axis as columns.

    Attributes:
        columns: values of the axis, in order.
        rows: name of a series -> its point in each column, None where it has none.
        verdicts: id of a point -> its difference to the reference family.
    """

    columns: tuple[Value, ...]
    rows: dict[str, tuple[Point | None, ...]]
    verdicts: dict[int, Difference]

    def difference(self, point: Point | None) -> Difference | None:
        """What is known of a point against the reference family; None for the reference itself."""
        return None if point is None else self.verdicts.get(id(point))


def matrix(comparison: Comparison) -> Matrix:
    """The table of a paper: points without a place on the axis are left out."""
    columns = {point.x: None for point in comparison.points if point.x is not None}
    ordered = sorted(columns, key=lambda value: (isinstance(value, str), value))
    rows = {}
    for series in comparison.series:
        there = {point.x: point for point in series.points}
        if any(value is not None for value in there):
            rows[series.name] = tuple(there.get(value) for value in ordered)
    return Matrix(tuple(ordered), rows, {id(each.first): each for each in comparison.differences})
