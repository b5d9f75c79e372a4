"""Figures of what a mean hides: spread over lines, dependence on density and pressure, the way there in training."""

from collections.abc import Mapping
from typing import cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from kernbench.report.figures import draw_sparse
from kernbench.report.gather import Comparison, Point, Series
from kernbench.report.layout import (
    COLUMNS,
    axis_label,
    figure_width,
    legend_columns,
    panel_grid,
    setting_text,
    value_looks,
    value_text,
)
from kernbench.report.stats import bootstrap_mean
from kernbench.report.style import RULE, Look, letter, panels, series_look, styled

Floats = NDArray[np.float64]

FEWEST_PER_BIN = 12
MOST_BINS = 10
MOST_CLOUDS = 3


@styled
def violin_figure(comparison: Comparison) -> Figure:
    """Spread of F1 over the test lines, one panel a family, one violin for each value of the axis.

    Bars are medians, circles means; the dashed line is the blind comb.
    """
    shown = [series for series in comparison.series if series.scored]
    looks = series_look([series.name for series in comparison.series])
    figure, axes = panel_grid(len(shown), height=2.3)
    for index, (panel, series) in enumerate(zip(axes, shown, strict=True)):
        values = [point.f1().ravel() for point in series.scored]
        places = np.arange(len(values))
        parts = panel.violinplot(values, places, widths=0.85, showextrema=False, showmedians=True)
        for body in cast("list[PolyCollection]", parts["bodies"]):
            body.set(facecolor=looks[series.name][0], alpha=0.35, linewidth=0)
        parts["cmedians"].set(color=looks[series.name][0], linewidth=1.4)
        means = [each.mean() for each in values]
        panel.plot(places, means, "o", color="white", markeredgecolor="black", markersize=3.5)
        panel.axhline(series.scored[0].floors()[0], color=RULE, linestyle="--", linewidth=1)
        panel.set_xticks(places, [value_text(point) for point in series.scored])
        panel.set_xlim(-0.6, max(len(values), 2) - 0.4)
        panel.set_xlabel(axis_label(comparison.axis))
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
    dots = len(comparison.series) <= MOST_CLOUDS
    for series in comparison.series:
        point = series.best
        if point is None or point.lines is None:
            continue
        f1 = point.f1().mean(axis=0)
        _draw_binned(axes[0, 0], point.lines.bubbles, f1, looks[series.name], dots, point.name)
        _draw_binned(axes[0, 1], np.asarray(point.lines.pressure_pa) / 1e3, f1, looks[series.name], dots)
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
    looks = value_looks(comparison)
    blocks, columns = -(-len(shown) // COLUMNS), min(len(shown), COLUMNS)
    figure, axes = panels(2 * blocks, columns, height=0.4 + 3.4 * blocks, width=figure_width(len(shown)), sharey="row")
    for index in range(blocks * columns):
        block, column = divmod(index, columns)
        loss, score = axes[2 * block, column], axes[2 * block + 1, column]
        if index >= len(shown):
            loss.remove()
            score.remove()
            continue
        for point, curve in _curves_of(shown[index], curves):
            _draw_curve(loss, score, curve, looks[value_text(point)][0])
        score.set(xlabel="epoch", ylim=(0, 1), xlim=loss.get_xlim())
        loss.tick_params(labelbottom=False)
        letter(loss, index, shown[index].name)
        if column == 0:
            loss.set_ylabel("dual loss")
            score.set_ylabel("validation F1")
    handles = [
        Line2D([], [], color=colour, label=setting_text(comparison.axis, name)) for name, (colour, _) in looks.items()
    ]
    handles.append(Line2D([], [], color=RULE, label="training"))
    handles.append(Line2D([], [], color=RULE, dashes=(3, 2), label="validation"))
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=legend_columns([handle.get_label() for handle in handles], len(shown)),
    )
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


def _draw_binned(panel: Axes, x: ArrayLike, f1: Floats, look: Look, dots: bool, label: str | None = None) -> None:
    colour, marker, dash = look
    where = np.asarray(x, float)
    if dots:
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
