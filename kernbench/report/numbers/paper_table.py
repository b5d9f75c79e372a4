"""The table of a paper: one cell for each family and value of the axis, and what is said below it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from kernbench.errors import counted
from kernbench.report.numbers.best import Best, surely_best
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.matrix import Matrix, matrix
from kernbench.report.numbers.points import Point
from kernbench.report.numbers.sentences import selected_text, spread_text
from kernbench.store.reading.records import OK

MISSING = "missing"


@dataclass(frozen=True)
class PaperCell:
    """One cell.

    Attributes:
        mean: F1; empty where there is no score.
        interval: in brackets; empty where there is none.
        status: in place of a score; beside one, in parentheses, where not all seeds ended well.
        bold: whether it is surely the best of its column.
    """

    mean: str
    interval: str
    status: str
    bold: bool = False


@dataclass(frozen=True, eq=False)
class PaperTable:
    """The matrix of a comparison with its verdicts.

    Attributes:
        comparison: of all of it.
        matrix: points.
        best: what is surely best.
    """

    comparison: Comparison
    matrix: Matrix
    best: Best

    @property
    def title(self) -> str:
        """What is shown."""
        axis = self.comparison.axis.replace("_", " ")
        return f"{self.comparison.base}: mean F1 by {axis}"

    @property
    def head(self) -> list[str]:
        """Names of the columns."""
        return [self.comparison.axis.replace("_", " "), *map(str, self.matrix.columns)]

    @property
    def rows(self) -> list[tuple[str, list[PaperCell]]]:
        """Name of a series, and its cells."""
        return [(name, [self.cell(point) for point in points]) for name, points in self.matrix.rows.items()]

    def cell(self, point: Point | None) -> PaperCell:
        """Mean and interval of a point; a word where it has none."""
        interval = None if point is None else point.interval
        status = status_of(point)
        if interval is None:
            return PaperCell("", "", status)
        ends = "" if math.isnan(interval.low) else f"[{interval.low:.3f}, {interval.high:.3f}]"
        beside = "" if status == OK else f"({status})"
        return PaperCell(f"{interval.mean:.3f}", ends, beside, self.best.is_best(point))

    @property
    def notes(self) -> list[str]:
        """What the numbers are, and what bold means, as sentences."""
        scored = self.comparison.scored
        if not scored:
            return ["No cell has a score."]
        lines = _range(point.f1().shape[1] for point in scored)
        seeds = _range(len(point.scored) for point in scored)
        tolerance = counted(self.comparison.tolerance, "sample")
        what = (
            f"Test lines: {lines}; tolerance: {tolerance}; seeds of each score: {seeds}; in brackets: 95 % intervals."
        )
        chosen = ["Each score is of the draw chosen on the validation lines."] if self.comparison.searches else []
        lost = sum(len(point.failed) for point in self.comparison.points)
        gone = (
            [f"{counted(lost, 'cell')} diverged or failed and {'is' if lost == 1 else 'are'} in no mean."]
            if lost
            else []
        )
        selected = selected_text(self.comparison)
        return [*selected, what, *chosen, *gone, self._bold_text(), spread_text(self.comparison)]

    def _bold_text(self) -> str:
        many = len(self.best.differences)
        rule = (
            "better than every other score of its column, by paired differences on the same lines, corrected for all "
            f"{counted(many, 'difference')} of the table by Holm."
        )
        any_bold = any(self.best.is_best(point) for point in self.comparison.scored)
        return f"Bold: {rule}" if any_bold else f"Nothing is bold, which would mean: {rule}"


def paper_table(comparison: Comparison) -> PaperTable:
    """The table of a comparison."""
    table = matrix(comparison)
    return PaperTable(comparison, table, surely_best(comparison, table))


def status_of(point: Point | None) -> str:
    """The status of a point; "missing" where there is none."""
    return MISSING if point is None else point.status


def _range(values: Iterable[int]) -> str:
    found = sorted(set(values))
    return str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"
