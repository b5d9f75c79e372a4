"""F1 of single lines in numbers: quantiles, rank correlations, means in the published bins."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.points import TEST, Floats, Point, line_f1
from kernbench.store.reading.records import LineInfo, Run
from kernbench.study.reference import LINE_AXES, MEAN, STATISTICS
from kernbench.ulm.scoring.by_line import BUBBLE_EDGES, PRESSURE_EDGES_KPA, Binned, binned, rank_correlation

# Blanken et al. (2022), Fig. 8 is drawn for these; the headline tolerance of a study joins them.
LINE_TOLERANCES = (0, 4, 9)
EDGES: Mapping[str, tuple[float, ...]] = dict(zip(LINE_AXES, (BUBBLE_EDGES, PRESSURE_EDGES_KPA), strict=True))

# F1 of the lines of one cell, (N,) -> a number; the standard deviation is that of these lines.
OF_LINES: Mapping[str, Callable[[Floats], float]] = {
    MEAN: lambda f1: float(f1.mean()),
    "median": lambda f1: float(np.median(f1)),
    "sd": lambda f1: float(f1.std()),
    "min": lambda f1: float(f1.min()),
    "q05": lambda f1: float(np.quantile(f1, 0.05)),
    "q25": lambda f1: float(np.quantile(f1, 0.25)),
    "q75": lambda f1: float(np.quantile(f1, 0.75)),
    "max": lambda f1: float(f1.max()),
}


def known_of_lines(lines: LineInfo, axis: str) -> Floats:
    """Bubbles or drive pressure [kPa] of each test line, (N,)."""
    return np.asarray(lines.facts["bubbles"] if axis == "bubbles" else lines.facts["pressure_pa"] / 1e3, np.float64)


def statistic(run: Run, name: str, tolerance: int, split: str = TEST) -> float:
    """A statistic over the lines of a cell, by the names of `kernbench.study.reference`; NaN where unknown."""
    f1 = line_f1(run.scores[split], tolerance)
    if name in OF_LINES:
        return OF_LINES[name](f1)
    if run.lines is None:
        return float("nan")
    return rank_correlation(f1, known_of_lines(run.lines, name.removeprefix("spearman_")))


def point_bins(point: Point, axis: str, tolerance: int, edges: tuple[float, ...] | None = None) -> Binned | None:
    """Mean F1 of the test lines of a point, over seeds, in bins, by default the published ones.

    Returns:
        The bins, or None where nothing is known of the lines.
    """
    if point.lines is None:
        return None
    f1 = point.f1(tolerance).mean(axis=0)
    return binned(f1, known_of_lines(point.lines, axis), EDGES[axis] if edges is None else edges)


def line_statistics(comparison: Comparison) -> Iterator[tuple[Point, int, dict[str, float]]]:
    """How F1 is spread over the test lines, for the best point of every series.

    Yields:
        Point, tolerance [samples] and statistic -> mean over seeds, in the order of `Reference.statistic`; NaN where it
        cannot be computed.
    """
    for point, t in itertools.product(comparison.best, line_tolerances(comparison)):
        yield point, t, {name: float(np.mean([statistic(run, name, t) for run in point.scored])) for name in STATISTICS}


def line_tolerances(comparison: Comparison, usual: Iterable[int] = LINE_TOLERANCES) -> list[int]:
    """Tolerances to show beside the headline one, ascending: of the usual ones those that every point has.

    Exported tables may have the headline one alone.
    """
    known = set(usual).intersection(*(point.tolerances for point in comparison.scored))
    return sorted({*known, comparison.tolerance})
