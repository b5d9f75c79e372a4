"""Places within the page: rows that points lead to, and the colours of series."""

from kernbench.errors import counted
from kernbench.plotting.looks import series_look
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.points import Point
from kernbench.report.numbers.sentences import interval_text
from kernbench.report.page.live_svg import Mark


def marks_of(comparison: Comparison, anchor: str) -> dict[str, Mark]:
    """Name of every point -> id of its row in the summary, and what it says when it is pointed at."""
    members = [(series, point) for series in comparison.series for point in series.points]
    return {
        point.name: Mark(f"{anchor}-row-{number}", _text(point), series.name)
        for number, (series, point) in enumerate(members, 1)
    }


def series_colours(comparison: Comparison) -> dict[str, str]:
    """Name of every series -> its colour in the figures."""
    looks = series_look([series.name for series in comparison.series])
    return {name: colour for name, (colour, _, _) in looks.items()}


def _text(point: Point) -> str:
    if point.interval is None:
        return f"{point.name}: {point.status}"
    counts = f"{counted(point.interval.seeds, 'seed')}, {counted(point.interval.lines, 'line')}"
    status = "" if point.status == "ok" else f", {point.status}"
    return f"{point.name}: F1 {interval_text(point.interval)}, {counts}{status}"
