"""Places within the page: rows that points lead to, and the signs of series."""

from kernbench.errors import counted
from kernbench.plotting.looks import MARKERS, series_look
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.points import Point
from kernbench.report.numbers.sentences import interval_text
from kernbench.report.page.live_svg import Mark

SIGNS = dict(
    zip(MARKERS, "\u25cf\u25a0\u25b2\u25c6\u25bc\u271a\u2716", strict=True)
)  # the markers of figures as characters


def marks_of(comparison: Comparison, anchor: str) -> dict[str, Mark]:
    """Name of every point -> id of its row in the summary, and what it says when it is pointed at."""
    members = [(series, point) for series in comparison.series for point in series.points]
    return {
        point.name: Mark(f"{anchor}-row-{number}", _text(point), series.name)
        for number, (series, point) in enumerate(members, 1)
    }


def series_signs(comparison: Comparison) -> dict[str, tuple[str, str]]:
    """Name of every series -> its colour in the figures, and its marker as a character."""
    looks = series_look([series.name for series in comparison.series])
    return {name: (colour, SIGNS[marker]) for name, (colour, marker, _) in looks.items()}


def _text(point: Point) -> str:
    if point.interval is None:
        return f"{point.name}: {point.status}"
    counts = f"{counted(point.interval.seeds, 'seed')}, {counted(point.interval.lines, 'line')}"
    status = "" if point.status == "ok" else f", {point.status}"
    return f"{point.name}: F1 {interval_text(point.interval)}, {counts}{status}"
