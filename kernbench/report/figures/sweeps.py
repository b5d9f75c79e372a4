"""Figures of mean F1: along the axis of a comparison and against the tolerance, with the blind floors."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kernbench.errors import counted
from kernbench.plotting.looks import Look, series_look
from kernbench.plotting.style import QUIET, RULE, panels, styled
from kernbench.report.figures.layout import (
    Colour,
    axis_label,
    axis_places,
    draw_intervals,
    is_wide,
    legend_below,
    legend_columns,
    panel_grid,
    point_id,
    series_id,
    series_keys,
    value_keys,
    value_looks,
    value_text,
)
from kernbench.report.numbers.comparison import Comparison, Series
from kernbench.report.numbers.published import published_along
from kernbench.study.reference import F1
from kernbench.ulm.scoring.scores import tolerance_um

MOST_TICKS = 12
ON_TOP = 9  # of everything that is drawn
LABEL_GAP = 0.045  # between labels beside the axes, as a share of their height
MOST_AT_EASE = 8  # series; each further one makes the figure a little higher
FLOORS: tuple[tuple[Any, str], ...] = (  # Any: matplotlib spells out its dashes
    ("--", "blind comb"),
    (":", "random noise"),
)
PUBLISHED: dict[str, Any] = {  # Any: arguments of matplotlib
    "linestyle": (0, (4, 2)),
    "linewidth": 0.9,
    "marker": "o",
    "markersize": 4,
    "markerfacecolor": "white",
}


@styled
def sweep_figure(comparison: Comparison, references: Mapping[str, float] = MappingProxyType({})) -> Figure:
    """Mean test F1 of every family along the axis, with 95 % intervals and the blind floors.

    Points without a score are crosses at the bottom; small dots are single seeds. Series and points have ids.

    Args:
        comparison: what to draw.
        references: F1 of further detectors on the same lines, by name; thin lines across.
    """
    crowd = max(0, len(comparison.series) - MOST_AT_EASE)
    figure, axes = panels(1, 1, height=3.7 + 0.12 * crowd, width=5.6)
    panel: Axes = axes[0, 0]
    panel.set_ylim(*_range(comparison, references))
    places = axis_places(comparison)
    looks = series_look([series.name for series in comparison.series])
    if not all(isinstance(value, int | float) for value in places):  # between words there is no way to join
        looks = {name: (colour, marker, "") for name, (colour, marker, _) in looks.items()}
    for index, series in enumerate(comparison.series):
        shift = min(1, MOST_AT_EASE / len(comparison.series)) * (index - (len(comparison.series) - 1) / 2)
        before = set(panel.get_children())
        where = _draw_series(panel, series, places, shift, looks[series.name])
        _name(panel, series, where, before)
    _draw_levels(panel, comparison.floors, references)
    _axis(panel, comparison, places)
    panel.set_ylim(*_range(comparison, references))
    panel.set_ylabel(f"mean F1, tolerance {counted(comparison.tolerance, 'sample')}")
    handles = series_keys(looks.items(), 4.5)
    if any(point.failed for point in comparison.points):
        handles.append(Line2D([], [], color=RULE, marker="x", linestyle="", label="diverged or failed"))
    figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns(looks))
    return figure


@styled
def tolerance_figure(comparison: Comparison) -> Figure:
    """Mean test F1 against tolerance, one panel a family, one line for each value of the axis.

    Floors are grey, published rows have open markers.
    """
    shown = [series for series in comparison.series if series.scored]
    looks = value_looks(comparison)
    figure, axes = panel_grid([series.name for series in shown], height=2.4)
    published = False
    for panel, series in zip(axes, shown, strict=True):
        tolerances = series.scored[0].tolerances
        for point in series.scored:
            means = [point.mean_f1(t) for t in tolerances]
            colour, marker = looks[value_text(point)]
            panel.plot(tolerances, means, color=colour, marker=marker, markersize=3)
        published |= _draw_published(panel, comparison, series, looks)
        floors = np.array([series.scored[0].floors(t) for t in tolerances])
        for floor, (dash, _) in zip(floors.T, FLOORS, strict=True):
            panel.plot(tolerances, floor, color=RULE, linestyle=dash, linewidth=1)
        panel.axvline(comparison.tolerance, color=QUIET, linewidth=0.6, zorder=0)
        panel.set_ylim(0, 1)
        panel.set_xlabel("tolerance [samples]")
        _micrometres(panel)
    axes[0].set_ylabel("mean F1")
    handles = value_keys(comparison.axis, looks, 3)
    handles += [Line2D([], [], color=RULE, linestyle=dash, label=name) for dash, name in FLOORS]
    if published:
        handles.append(Line2D([], [], color=RULE, label="published", **PUBLISHED))
    legend_below(figure, handles, len(shown))
    return figure


def _draw_published(
    panel: Axes, comparison: Comparison, series: Series, looks: Mapping[str, tuple[Colour, str]]
) -> bool:
    """Published F1 by tolerance: in the colour of the point beside it, in grey where several are; whether any."""
    rows = [(point, tuple(published_along(comparison, point, F1).items())) for point in series.scored]
    for row in dict.fromkeys(row for _, row in rows if row):
        members = [point for point, other in rows if other == row]
        colour = looks[value_text(members[0])][0] if len(members) == 1 else RULE
        panel.plot(*zip(*row, strict=True), color=colour, **PUBLISHED)
    return any(row for _, row in rows)


def _draw_series(
    panel: Axes, series: Series, places: Mapping[object, float], shift: float, look: Look
) -> dict[object, float]:
    """Draw a series; where each value of the axis is, moved by its shift."""
    colour, _, dash = look
    on_axis = [point for point in series.scored if point.x is not None]
    where = {x: _shifted(place, list(places.values()), shift) for x, place in places.items()}
    x = [where[point.x] for point in on_axis]
    intervals = [point.interval for point in on_axis if point.interval is not None]
    draw_intervals(panel, x, intervals, look, size=4.5, cap=2.5)
    for place, point in zip(x, on_axis, strict=True):
        seeds = point.f1().mean(axis=1)
        if len(seeds) > 1:
            panel.plot(np.full(len(seeds), place), seeds, ".", color=colour, markersize=2.5, alpha=0.6)
        if point.failed:
            panel.plot(place, _bottom(panel), "x", color=colour, markersize=6, markeredgewidth=1.6, clip_on=False)
    for point in series.points:
        if point.interval is None and point.x is not None:
            panel.plot(where[point.x], _bottom(panel), "x", color=colour, markersize=6, markeredgewidth=1.6)
        elif point.interval is not None and point.x is None:
            panel.axhline(point.interval.mean, color=colour, linestyle=dash, linewidth=1)
    return where


def _range(comparison: Comparison, references: Mapping[str, float]) -> tuple[float, float]:
    """F1 that is drawn: all intervals, levels and floors, on whole tenths."""
    intervals = [point.interval for point in comparison.scored if point.interval is not None]
    values = [value for each in intervals for value in (each.low, each.mean, each.high)]
    values += [*references.values()]
    values += comparison.floors
    known = [value for value in values if np.isfinite(value)] or [0.0, 1.0]
    return max(0.0, np.floor(10 * min(known) - 0.5) / 10), min(1.0, np.ceil(10 * max(known) + 0.2) / 10)


def _bottom(panel: Axes) -> float:
    """Where points without a score are."""
    low, high = panel.get_ylim()
    return float(low + 0.03 * (high - low))


def _name(panel: Axes, series: Series, where: Mapping[object, float], before: Collection[Artist]) -> None:
    """Name what was drawn of a series, and put a mark on each point that the page turns into a link."""
    for number, artist in enumerate(each for each in panel.get_children() if each not in before):
        artist.set_gid(series_id(series.name, number))
    for point in series.points:
        if point.x is not None:
            place = point.interval.mean if point.interval else _bottom(panel)
            panel.plot(where[point.x], place, "o", markersize=11, alpha=0, zorder=ON_TOP, gid=point_id(point.name))


def _draw_levels(panel: Axes, floors: Sequence[float], references: Mapping[str, float]) -> None:
    """Lines across: the blind floors, and what other detectors reach."""
    levels = [(value, name, dash, 1.0) for value, (dash, name) in zip(floors, FLOORS, strict=False)]
    levels += [(value, name, "-", 0.6) for name, value in references.items()]
    levels.sort()
    low, high = panel.get_ylim()
    gap = LABEL_GAP * (high - low)
    # Beside the axes, where no data can hide them.
    for (value, name, dash, width), place in zip(levels, _apart([level[0] for level in levels], gap), strict=True):
        panel.axhline(value, color=RULE, linestyle=dash, linewidth=width, zorder=1.5)
        panel.text(
            1.01,
            place,
            f"{name} {value:.2f}",
            transform=panel.get_yaxis_transform(),
            va="center",
            fontsize=7,
            color=RULE,
        )


def _apart(values: Sequence[float], gap: float) -> list[float]:
    """Ascending places for labels, at least a gap apart: those that would touch spread around their common mean."""
    groups: list[list[float]] = []
    for value in values:
        group = [value]
        while groups and np.mean(group) - np.mean(groups[-1]) < gap * (len(group) + len(groups[-1])) / 2:
            group = groups.pop() + group
        groups.append(group)
    return [float(np.mean(group)) + gap * (k - (len(group) - 1) / 2) for group in groups for k in range(len(group))]


def _shifted(place: float, places: Sequence[float], shift: float) -> float:
    """A place moved sideways by small steps, so that bars of several series do not hide each other."""
    if is_wide(places):
        return float(place * (max(places) / min(places)) ** (0.016 * shift))
    return place + 0.016 * shift * ((max(places) - min(places)) or 1.0)


def _axis(panel: Axes, comparison: Comparison, places: Mapping[object, float]) -> None:
    if is_wide(list(places.values())):
        panel.set_xscale("log")
        panel.minorticks_off()
    if len(places) <= MOST_TICKS:
        panel.set_xticks(list(places.values()), [str(value) for value in places])
    panel.set_xlabel(axis_label(comparison.axis))
    panel.margins(x=0.08)


def _micrometres(panel: Axes) -> None:
    step = float(tolerance_um(1))
    top = panel.secondary_xaxis("top", functions=(lambda t: np.multiply(t, step), lambda um: np.divide(um, step)))
    top.set_xlabel("two-way depth [µm]", fontsize=7)
    top.tick_params(labelsize=7)
