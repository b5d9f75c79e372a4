"""What the figures of a comparison share: places along its axis, looks of its values, legends, grids of panels."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kernbench.plotting.looks import MARKERS, Look
from kernbench.plotting.style import FULL_WIDTH, letter, panels, shades
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.noise import NOISE_AXES
from kernbench.report.numbers.points import Point
from kernbench.statistics.means import Interval

Colour = tuple[float, float, float, float]

COLUMNS = 3
LABELS = NOISE_AXES | {"kernel_size": "kernel size K [taps]", "test_rate": "sampling rate of the test lines [MHz]"}


def axis_places(comparison: Comparison) -> dict[object, float]:
    """Where each axis value is drawn: numbers at their value, texts side by side."""
    values = list(dict.fromkeys(point.x for point in comparison.points if point.x is not None))
    if all(isinstance(value, int | float) for value in values):
        return {value: float(value) for value in sorted(values)}
    return {value: float(index) for index, value in enumerate(values)}


def is_wide(places: Sequence[float]) -> bool:
    """Whether values span so much that they belong on a logarithmic axis."""
    return len(places) > 1 and min(places) > 0 and max(places) >= 8 * min(places)


def series_id(name: str, number: int) -> str:
    """Id of one of the things that are drawn of a series."""
    return f"series={quote(name, safe='')}={number}"


def point_id(name: str) -> str:
    """Id of the mark of a point."""
    return f"point={quote(name, safe='')}"


def axis_label(axis: str) -> str:
    """Label of the horizontal axis."""
    return LABELS.get(axis, axis)


def setting_text(axis: str, value: str) -> str:
    """A value for a legend: "K = 65", "omega_0 = 30"."""
    return f"{'K' if axis == 'kernel_size' else axis} = {value}"


def value_text(point: Point) -> str:
    """Value of a point on the axis; "all" for a family that the axis does not concern."""
    return "all" if point.x is None else str(point.x)


def value_looks(comparison: Comparison) -> dict[str, tuple[Colour, str]]:
    """Colour and marker of each value on the axis, the same in every panel."""
    names = [str(value) for value in axis_places(comparison)]
    names += ["all"] if any(point.x is None for point in comparison.points) else []
    markers = (MARKERS[place % len(MARKERS)] for place in range(len(names)))
    return dict(zip(names, zip(shades(len(names)), markers, strict=True), strict=True))


def legend_columns(names: Collection[object], panels: int = COLUMNS) -> int:
    """Columns of a legend below a figure: few where names are long or the figure is narrow."""
    longest = max((len(str(name)) for name in names), default=1)
    letters = 90 * figure_width(panels) / FULL_WIDTH
    return max(1, min(6, int(letters / (longest + 8))))


def series_keys(looks: Iterable[tuple[str, tuple[Colour | str, str, Any]]], size: float = 4) -> list[Line2D]:
    """Legend entries of named series; size of the markers [points]."""
    return [
        Line2D([], [], color=colour, marker=marker, linestyle=dash, markersize=size, label=name)
        for name, (colour, marker, dash) in looks
    ]


def value_keys(axis: str, looks: Mapping[str, tuple[Colour, str]], size: float = 0) -> list[Line2D]:
    """Legend entries of the values on the axis, with markers where they have a size [points]."""
    return [
        Line2D([], [], color=colour, marker=marker if size else "", markersize=size, label=setting_text(axis, name))
        for name, (colour, marker) in looks.items()
    ]


def legend_below(figure: Figure, handles: Sequence[Line2D], panels: int) -> None:
    """Put a legend below so many panels."""
    columns = legend_columns([handle.get_label() for handle in handles], panels)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)


def draw_intervals(
    panel: Axes, places: Sequence[float], intervals: Sequence[Interval], look: Look, size: float, cap: float
) -> None:
    """Draw means joined by a line, with a bar where an interval has ends; size of markers and caps [points]."""
    colour, marker, dash = look
    ends = np.array([(each.low, each.mean, each.high) for each in intervals]).reshape(-1, 3)
    spread = np.nan_to_num(np.abs(np.diff(ends).T))
    style: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": dash}  # Any: of matplotlib
    panel.errorbar(places, ends[:, 1], spread, markersize=size, capsize=cap, elinewidth=1, **style)


def figure_width(count: int) -> float:
    """Width [inches] of a figure with that many panels."""
    return FULL_WIDTH if count > 1 else 0.8 * FULL_WIDTH


def grid_columns(count: int) -> int:
    """Panels a row, three or four, so that few places stay empty."""
    if count <= COLUMNS:
        return max(1, count)
    return 2 if count == 4 else min((COLUMNS, COLUMNS + 1), key=lambda columns: -count % columns)


def panel_grid(titles: Collection[str], height: float) -> tuple[Figure, list[Axes]]:
    """A panel for each title, with its letter, unused ones removed."""
    count = len(titles)
    columns = grid_columns(count)
    rows = -(-count // columns)
    figure, axes = panels(rows, columns, height=height * rows + 0.3, width=figure_width(count), sharey=True)
    flat = list(axes.flat)
    for panel in flat[count:]:
        panel.remove()
    for index, (panel, title) in enumerate(zip(flat, titles, strict=False)):
        letter(panel, index, title)
    return figure, flat[:count]
