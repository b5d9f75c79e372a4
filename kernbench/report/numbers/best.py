"""What is surely best in each column of a matrix: better than every other score there, not only of the highest mean."""

from dataclasses import dataclass

from kernbench.report.numbers.comparison import Comparison, Difference
from kernbench.report.numbers.matrix import Matrix
from kernbench.report.numbers.points import Point
from kernbench.statistics import adjusted, compare


@dataclass(frozen=True, eq=False)
class Best:
    """The highest mean of each column against the other scores of the column.

    Attributes:
        candidates: id of the point of the highest mean of a column -> number of other points with a score there.
        differences: id of another point -> the candidate of its column minus it; only where the two can be compared.
            p-values are corrected over all of them, by Holm.
    """

    candidates: dict[int, int]
    differences: dict[int, Difference]

    def is_best(self, point: Point | None) -> bool:
        """Whether the point is "better" than every other score of its column, and surely better than a blind guess."""
        others = self.candidates.get(id(point), 0)
        verdicts = [each.verdict for each in self.differences.values() if each.first is point]
        return others > 0 and verdicts == ["better"] * others and point is not None and not point.place


def surely_best(comparison: Comparison, table: Matrix) -> Best:
    """Compare the candidate of every column with the other scores of the column.

    The candidate is chosen on the same scores. That costs nothing here: it is called best only if it is better than
    each of the others, the second best included.
    """
    candidates: dict[int, int] = {}
    pairs: list[tuple[Point, Point]] = []
    for place in range(len(table.columns)):
        scored = [point for row in table.rows.values() if (point := row[place]) is not None and point.scored]
        if scored:
            first = max(scored, key=lambda point: float(point.f1().mean()))
            others = [point for point in scored if point is not first]
            candidates[id(first)] = len(others)
            pairs += [(first, other) for other in others if comparison.comparable(first, other)]
    found = adjusted([compare(one.f1(), other.f1(), prior=comparison.spread.prior) for one, other in pairs])
    differences = (Difference(*pair, verdict) for pair, verdict in zip(pairs, found, strict=True))
    return Best(candidates, {id(each.second): each for each in differences})
