"""Each family over all kernel sizes: interquartile mean of its runs, and how F1 changes when the size doubles."""

from dataclasses import dataclass

import numpy as np

from kernbench.report.numbers.comparison import KERNEL_SIZE, Comparison, Series
from kernbench.statistics.multiplicity import holm
from kernbench.statistics.profiles import profile, slope

ENOUGH = 5  # runs of a point from which a bootstrap interval may be shown
SURE = 0.05


@dataclass(frozen=True)
class OverSizes:
    """A series over its kernel sizes.

    Attributes:
        name: of the series.
        sizes: number of sizes.
        runs: number of runs.
        middle: interquartile mean F1 of its runs.
        low: lower end of its 95 % interval; NaN with fewer than 5 runs at a size.
        high: upper end.
        smallest: kernel size.
        largest: kernel size.
        change: of F1 when the size doubles; NaN where a size has one seed, or there is one line.
        change_low: lower end of its 95 % interval.
        change_high: upper end.
        p_value: of no change, corrected over all series by Holm.
    """

    name: str
    sizes: int
    runs: int
    middle: float
    low: float
    high: float
    smallest: int
    largest: int
    change: float
    change_low: float
    change_high: float
    p_value: float

    @property
    def decided(self) -> bool:
        """Whether the change is surely not zero."""
        return self.p_value < SURE

    @property
    def trend(self) -> str:
        """What is decided about the change."""
        if not self.decided:
            return "not decided"
        return "rises on average" if self.change > 0 else "falls on average"


def over_sizes(comparison: Comparison) -> list[OverSizes]:
    """Every series with at least two kernel sizes on the same lines; none along another axis."""
    if comparison.axis != KERNEL_SIZE:
        return []
    found = [row for series in comparison.series if (row := _row(comparison, series)) is not None]
    decided = [row for row in found if np.isfinite(row.p_value)]
    adjusted = dict(zip((row.name for row in decided), holm([row.p_value for row in decided]), strict=True))
    return [_with_p(row, float(adjusted.get(row.name, np.nan))) for row in found]


def _with_p(row: OverSizes, p_value: float) -> OverSizes:
    return OverSizes(**vars(row) | {"p_value": p_value})


def _row(comparison: Comparison, series: Series) -> OverSizes | None:
    points = [point for point in series.scored if isinstance(point.x, int) and point.x > 0]
    cells, sizes = [point.f1() for point in points], [int(point.x or 0) for point in points]
    if len(set(sizes)) < 2 or len({cell.shape[1] for cell in cells}) > 1:
        return None
    means = [cell.mean(axis=1) for cell in cells]
    whole = profile(means, [0.5])
    enough = min(map(len, cells)) >= ENOUGH
    ends = (whole.middle_low, whole.middle_high) if enough else (np.nan, np.nan)
    change = low = high = p_value = np.nan
    if min(map(len, cells)) > 1 and cells[0].shape[1] > 1:
        found = slope(cells, sizes, comparison.spread.prior)
        change, (low, high), p_value = found.value, found.interval(0.95), found.p_value()
    over = (len(sizes), sum(map(len, cells)), whole.middle, *ends, min(sizes), max(sizes))
    return OverSizes(series.name, *over, change, low, high, p_value)
