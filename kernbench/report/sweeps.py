"""Figures of a comparison: F1 along the axis, against tolerance, spread over lines, density and pressure, learning."""

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, NullLocator
from numpy.typing import ArrayLike, NDArray

from kernbench.report.figures import draw_sparse
from kernbench.report.gather import TEST, Comparison, Point, Series
from kernbench.report.stats import bootstrap_mean
from kernbench.report.style import FULL_WIDTH, MARKERS, QUIET, RULE, letter, panels, series_look, shades, styled
from kernbench.ulm.scores import tolerance_um

Floats = NDArray[np.float64]

COLUMNS = 3
FEWEST_PER_BIN = 12
MOST_BINS = 10
MOST_TICKS = 12


@styled
def sweep_figure(comparison: Comparison) -> Figure:
    """Mean test F1 of every family along the axis, with 95 % intervals and the blind floors.

    Points without a score are crosses at the bottom; small dots are single seeds.
    """
    figure, axes = panels(1, 1, height=3.4, width=5.6)
    panel: Axes = axes[0, 0]
    places = _places(comparison)
    looks = series_look([series.name for series in comparison.series])
    for index, series in enumerate(comparison.series):
        shift = index - (len(comparison.series) - 1) / 2
        _draw_series(panel, series, places, shift, looks[series.name])
    _draw_floors(panel, comparison.scored)
    _axis(panel, comparison, places)
    panel.set_ylim(0, 1)
    panel.set_ylabel(f"mean F1, tolerance {comparison.tolerance} samples")
    _mark_failures(panel, comparison)
    figure.legend(loc="outside right upper", title="kernel family", alignment="left")
    return figure


@styled
def tolerance_figure(comparison: Comparison) -> Figure:
    """Mean test F1 against tolerance, one panel a family, one line for each value of the axis, floors dashed."""
    shown = [series for series in comparison.series if series.scored]
    figure, axes = _grid(len(shown), height=2.5)
    for index, (panel, series) in enumerate(zip(axes, shown, strict=False)):
        tolerances = np.asarray(series.scored[0].scored[0].scores[TEST].tolerances)
        colours = shades(len(series.scored))
        for place, (point, colour) in enumerate(zip(series.scored, colours, strict=True)):
            means = [point.f1(int(t)).mean() for t in tolerances]
            marker = MARKERS[place % len(MARKERS)]
            panel.plot(tolerances, means, color=colour, marker=marker, markersize=3, label=_value(point))
        floors = np.array([series.scored[0].floors(int(t)) for t in tolerances])
        panel.plot(tolerances, floors[:, 0], color=RULE, linestyle="--", linewidth=1, label="blind comb")
        panel.plot(tolerances, floors[:, 1], color=RULE, linestyle=":", linewidth=1, label="random")
        panel.axvline(comparison.tolerance, color=QUIET, linewidth=0.6, zorder=0)
        panel.set_ylim(0, 1)
        panel.set_xlabel("tolerance [samples]")
        panel.legend(title=comparison.axis, fontsize=6.5, title_fontsize=6.5, loc="upper left", ncols=2)
        _micrometres(panel)
        letter(panel, index, series.name)
    axes[0].set_ylabel("mean F1")
    return figure


@styled
def violin_figure(comparison: Comparison) -> Figure:
    """Spread of F1 over the test lines, one panel a family, one violin for each value of the axis.

    Bars are medians, circles means; the dashed line is the blind comb.
    """
    shown = [series for series in comparison.series if series.scored]
    looks = series_look([series.name for series in comparison.series])
    figure, axes = _grid(len(shown), height=2.3)
    for index, (panel, series) in enumerate(zip(axes, shown, strict=False)):
        values = [point.f1().ravel() for point in series.scored]
        places = np.arange(len(values))
        parts = panel.violinplot(values, places, widths=0.85, showextrema=False, showmedians=True)
        for body in cast("list[PolyCollection]", parts["bodies"]):
            body.set(facecolor=looks[series.name][0], alpha=0.35, linewidth=0)
        parts["cmedians"].set(color=looks[series.name][0], linewidth=1.4)
        means = [each.mean() for each in values]
        panel.plot(places, means, "o", color="white", markeredgecolor="black", markersize=3.5)
        panel.axhline(series.scored[0].floors()[0], color=RULE, linestyle="--", linewidth=1)
        panel.set_xticks(places, [_value(point) for point in series.scored])
        panel.set_xlabel(_axis_label(comparison.axis))
        panel.set_ylim(0, 1.02)
        letter(panel, index, series.name)
    axes[0].set_ylabel(f"F1 of a line, tolerance {comparison.tolerance}")
    return figure


@styled
def density_figure(comparison: Comparison) -> Figure:
    """F1 of the test lines against bubble number and drive pressure, at the best point of every series.

    Faint dots are lines; markers are means over bins of equally many lines, bars their 95 % intervals.
    """
    figure, axes = panels(1, 2, height=2.9, sharey=True)
    looks = series_look([series.name for series in comparison.series])
    for series in comparison.series:
        point = series.best
        if point is None or point.lines is None:
            continue
        f1 = point.f1().mean(axis=0)
        _draw_binned(axes[0, 0], point.lines.bubbles, f1, looks[series.name], point.name)
        _draw_binned(axes[0, 1], np.asarray(point.lines.pressure_pa) / 1e3, f1, looks[series.name], None)
    axes[0, 0].set_xlabel("bubbles in the whole line")
    axes[0, 1].set_xlabel("drive pressure [kPa]")
    axes[0, 0].set_ylabel(f"F1 of a line, tolerance {comparison.tolerance}")
    axes[0, 0].set_ylim(0, 1.02)
    letter(axes[0, 0], 0, "against bubble number")
    letter(axes[0, 1], 1, "against pressure")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@styled
def learning_figure(comparison: Comparison, curves: Mapping[str, Mapping[str, ArrayLike]]) -> Figure:
    """Learning curves of all cells: loss above, validation F1 below, one column a family.

    Args:
        comparison: its series and axis.
        curves: study and cell, joined by a slash, -> columns of curve.csv. Cells without one are left out.
    """
    shown = [series for series in comparison.series if _curves_of(series, curves)]
    figure, axes = panels(2, len(shown), height=3.8, width=_width(len(shown)), sharex="col", sharey="row")
    for column, series in enumerate(shown):
        drawn = _curves_of(series, curves)
        names = list(dict.fromkeys(_value(point) for point, _ in drawn))
        colours = dict(zip(names, shades(len(names)), strict=True))
        for point, curve in drawn:
            _draw_curve(axes[0, column], axes[1, column], curve, colours[_value(point)])
        handles = [Line2D([], [], color=colours[name], label=name) for name in names]
        axes[1, column].legend(
            handles=handles, title=comparison.axis, fontsize=6.5, title_fontsize=6.5, ncols=2, loc="lower right"
        )
        axes[1, column].set_xlabel("epoch")
        letter(axes[0, column], column, series.name)
    axes[0, 0].set_ylabel("dual loss")
    axes[1, 0].set_ylabel("validation F1")
    axes[1, 0].set_ylim(0, 1)
    styles = [
        Line2D([], [], color=RULE, label="training"),
        Line2D([], [], color=RULE, dashes=(3, 2), label="validation"),
    ]
    axes[0, 0].legend(handles=styles, loc="upper right")
    return figure


def _curves_of(
    series: Series, curves: Mapping[str, Mapping[str, ArrayLike]]
) -> list[tuple[Point, Mapping[str, ArrayLike]]]:
    keys = [(point, f"{run.study}/{run.cell}") for point in series.points for run in point.runs]
    return [(point, curves[key]) for point, key in keys if key in curves]


def _draw_curve(loss: Axes, score: Axes, curve: Mapping[str, ArrayLike], colour: object) -> None:
    columns = {name: np.asarray(values, float) for name, values in curve.items()}
    epoch, nothing = columns["epoch"], np.array([])
    draw_sparse(loss, epoch, columns.get("train_loss", nothing), color=colour, linewidth=1)
    draw_sparse(loss, epoch, columns.get("val_loss", nothing), color=colour, linewidth=1, dashes=(3, 2))
    draw_sparse(score, epoch, columns.get("val_f1", nothing), color=colour, linewidth=1)


def _draw_series(
    panel: Axes, series: Series, places: Mapping[object, float], shift: float, look: tuple[str, str, str]
) -> None:
    colour, marker, dash = look
    on_axis = [point for point in series.scored if point.x is not None]
    where = {x: _shifted(place, list(places.values()), shift) for x, place in places.items()}
    x = np.array([where[point.x] for point in on_axis])
    intervals = [point.interval for point in on_axis if point.interval is not None]
    mean = np.array([each.mean for each in intervals])
    spread = np.abs(np.array([[each.mean - each.low, each.high - each.mean] for each in intervals]).reshape(-1, 2).T)
    panel.errorbar(
        x,
        mean,
        np.nan_to_num(spread),
        color=colour,
        marker=marker,
        linestyle=dash,
        markersize=4.5,
        capsize=2.5,
        elinewidth=1,
        label=series.name,
    )
    for place, point in zip(x, on_axis, strict=True):
        seeds = point.f1().mean(axis=1)
        if len(seeds) > 1:
            panel.plot(np.full(len(seeds), place), seeds, ".", color=colour, markersize=2.5, alpha=0.6)
        if point.failed:
            panel.plot(place, 0.03, "x", color=colour, markersize=6, markeredgewidth=1.6, clip_on=False)
    for point in series.points:
        if point.interval is None and point.x is not None:
            panel.plot(where[point.x], 0.03, "x", color=colour, markersize=6, markeredgewidth=1.6)
        elif point.interval is not None and point.x is None:
            panel.axhline(point.interval.mean, color=colour, linestyle=dash, linewidth=1)


def _mark_failures(panel: Axes, comparison: Comparison) -> None:
    if comparison.not_ok:
        panel.plot([], [], "x", color=RULE, markersize=6, markeredgewidth=1.6, label="diverged or failed")


def _draw_floors(panel: Axes, points: Sequence[Point]) -> None:
    if not points or points[0].lines is None:
        return
    for value, name, dash in zip(points[0].floors(), ("blind comb", "random noise"), ("--", ":"), strict=True):
        panel.axhline(value, color=RULE, linestyle=dash, linewidth=1, zorder=1.5)
        panel.annotate(
            f"{name} {value:.2f}",
            (0.995, value),
            xycoords=("axes fraction", "data"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="right",
            fontsize=7,
            color=RULE,
        )


def _places(comparison: Comparison) -> dict[object, float]:
    """Where each axis value is drawn: numbers at their value, texts side by side."""
    values = list(dict.fromkeys(point.x for point in comparison.points if point.x is not None))
    if all(isinstance(value, int | float) for value in values):
        return {value: float(value) for value in sorted(values)}
    return {value: float(index) for index, value in enumerate(values)}


def _is_wide(places: Sequence[float]) -> bool:
    """Whether values span so much that they belong on a logarithmic axis."""
    return len(places) > 1 and min(places) > 0 and max(places) >= 8 * min(places)


def _shifted(place: float, places: Sequence[float], shift: float) -> float:
    """A place moved sideways by small steps, so that bars of several series do not hide each other."""
    if _is_wide(places):
        return float(place * (max(places) / min(places)) ** (0.012 * shift))
    return place + 0.012 * shift * ((max(places) - min(places)) or 1.0)


def _axis(panel: Axes, comparison: Comparison, places: Mapping[object, float]) -> None:
    if _is_wide(list(places.values())):
        panel.set_xscale("log")
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_minor_formatter(NullFormatter())
    if len(places) <= MOST_TICKS:
        panel.set_xticks(list(places.values()), [str(value) for value in places])
    panel.set_xlabel(_axis_label(comparison.axis))
    panel.margins(x=0.08)


def _axis_label(axis: str) -> str:
    return "kernel size K [taps]" if axis == "kernel_size" else axis


def _value(point: Point) -> str:
    return "all" if point.x is None else str(point.x)


def _draw_binned(panel: Axes, x: ArrayLike, f1: Floats, look: tuple[str, str, str], label: str | None) -> None:
    colour, marker, dash = look
    where = np.asarray(x, float)
    panel.plot(where, f1, ".", color=colour, markersize=2, alpha=0.35, rasterized=True)
    count = min(MOST_BINS, len(where) // FEWEST_PER_BIN)
    if count < 2:
        panel.plot([], [], marker, color=colour, label=label)
        return
    bins = np.array_split(np.argsort(where, kind="stable"), count)
    intervals = [bootstrap_mean(f1[rows]) for rows in bins]
    mean = np.array([each.mean for each in intervals])
    spread = np.abs(np.array([[each.mean - each.low, each.high - each.mean] for each in intervals]).T)
    centres = [where[rows].mean() for rows in bins]
    panel.errorbar(
        centres,
        mean,
        spread,
        color=colour,
        marker=marker,
        linestyle=dash,
        markersize=4,
        capsize=2,
        elinewidth=1,
        label=label,
    )


def _micrometres(panel: Axes) -> None:
    step = float(tolerance_um(1))
    top = panel.secondary_xaxis("top", functions=(lambda t: np.multiply(t, step), lambda um: np.divide(um, step)))
    top.set_xlabel("two-way depth [µm]", fontsize=7)
    top.tick_params(labelsize=7)


def _width(count: int) -> float:
    return FULL_WIDTH if count > 1 else 0.55 * FULL_WIDTH


def _grid(count: int, height: float) -> tuple[Figure, list[Axes]]:
    """Panels for `count` series, at most three a row, unused ones removed."""
    rows, columns = -(-count // COLUMNS), min(count, COLUMNS)
    figure, axes = panels(rows, columns, height=height * rows + 0.3, width=_width(count), sharey=True)
    flat = list(axes.flat)
    for panel in flat[count:]:
        panel.remove()
    return figure, flat[:count]
