"""What a score costs: points that no other point beats at the same or a lower cost (the Pareto front)."""

from collections.abc import Sequence
from math import isfinite

from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.points import Point
from kernbench.study.columns import PAGE, Column
from kernbench.study.task import columns_shown

SECONDS = Column("seconds", "time of a cell", "wall time of training and evaluation", "s")
MOST_COSTS = 4


def all_costs() -> list[Column]:
    """Every cost of the page: what the task declares, and the time of a cell."""
    return [*columns_shown(PAGE), SECONDS]


def costs(comparison: Comparison) -> list[Column]:
    """Costs that differ between the points of a comparison, in the order of the page, with the time of a cell."""
    found = [column for column in all_costs() if _differs(comparison.scored, column)]
    return found if len(found) <= MOST_COSTS else [*found[: MOST_COSTS - 1], found[-1]]


def cost_of(point: Point, column: Column) -> float:
    """Mean over the runs of a point; NaN where it was not measured."""
    return point.mean(column.name) if column is SECONDS else point.value(column.name)


def front(points: Sequence[Point], column: Column) -> list[Point]:
    """Points of the highest mean F1 among all that cost no more, from cheap to dear.

    Means alone decide here: neighbours on the front may differ by less than the runs can show.
    """
    known = [point for point in points if point.interval is not None and _positive(cost_of(point, column))]
    ordered = sorted(known, key=lambda point: (cost_of(point, column), -point.mean_f1(point.tolerance)))
    best, highest = [], float("-inf")
    for point in ordered:
        if (score := point.mean_f1(point.tolerance)) > highest:
            best.append(point)
            highest = score
    return best


def _differs(points: Sequence[Point], column: Column) -> bool:
    values = {cost_of(point, column) for point in points}
    return len({value for value in values if _positive(value)}) > 1


def _positive(value: float) -> bool:
    return isfinite(value) and value > 0
