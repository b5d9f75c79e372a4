"""Figures of what a mean hides: spread over lines, dependence on density and pressure, the way there in training."""

import itertools
from collections.abc import Mapping
from typing import cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from kernbench.plotting.looks import Look, series_look
from kernbench.plotting.style import RULE, letter, panels, styled
from kernbench.report.figures.layout import (
    axis_label,
    draw_intervals,
    figure_width,
    grid_columns,
    legend_below,
    panel_grid,
    series_keys,
    value_keys,
    value_looks,
    value_text,
)
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.lines import EDGES, known_of_lines, line_tolerances
from kernbench.report.numbers.points import Point
from kernbench.report.numbers.published import published_bins
from kernbench.statistics.means import mean_interval
from kernbench.study.reference import LINE_AXES
from kernbench.ulm.cells.pictures import draw_sparse
from kernbench.ulm.scoring.by_line import bin_numbers

FEWEST_PER_BIN = 3
MOST_CLOUDS = 3
FEWEST_FOR_VIOLIN = 30  # lines: a density of fewer would be a drawing of the kernel width
LINE_LABELS = dict(zip(LINE_AXES, ("bubbles in the whole line", "drive pressure [kPa]"), strict=True))


@styled
def spread_figure(comparison: Comparison) -> Figure:
    """Spread of F1 over the test lines, one panel a family, one violin for each value of the axis.

    With few lines dots stand instead of violins, one a line. Bars are medians, circles means; the dashed line is the
    blind comb.
    """
    shown = [series for series in comparison.series if series.scored]
    looks = series_look([series.name for series in comparison.series])
    figure, axes = panel_grid([series.name for series in shown], height=2.3)
    for panel, series in zip(axes, shown, strict=True):
        colour = looks[series.name][0]
        for place, point in enumerate(series.scored):
            _draw_lines(panel, place, point, colour)
        means = [point.f1().mean() for point in series.scored]
        places = np.arange(len(means))
        panel.plot(places, means, "o", color="white", markeredgecolor="black", markersize=3.5, zorder=4)
        panel.axhline(series.scored[0].floors()[0], color=RULE, linestyle="--", linewidth=1)
        panel.set_xticks(places, [value_text(point) for point in series.scored])
        panel.set_xlim(-0.6, max(len(means), 2) - 0.4)
        panel.set_xlabel(axis_label(comparison.axis))
        panel.set_ylim(0, 1.02)
    axes[0].set_ylabel(f"F1 of a line, tolerance {comparison.tolerance}")
    return figure


def _draw_lines(panel: Axes, place: float, point: Point, colour: str) -> None:
    values = point.f1()
    if values.shape[1] < FEWEST_FOR_VIOLIN:
        lines = values.mean(axis=0)
        aside = np.linspace(-0.22, 0.22, len(lines)) if len(lines) > 1 else np.zeros(1)
        panel.plot(place + aside, lines, ".", color=colour, markersize=3, alpha=0.6)
        panel.hlines(np.median(values), place - 0.3, place + 0.3, colors=colour, linewidth=1.4)
        return
    parts = panel.violinplot([values.ravel()], [place], widths=0.85, points=50, showextrema=False, showmedians=True)
    for body in cast("list[PolyCollection]", parts["bodies"]):
        body.set(facecolor=colour, alpha=0.35, linewidth=0)
    parts["cmedians"].set(color=colour, linewidth=1.4)


@styled
def density_figure(comparison: Comparison) -> Figure:
    """F1 of the test lines against bubble number and drive pressure, at the best point of every series.

    Rows: tolerance 0 and the headline one. Faint dots are lines; markers are means in the published bins (Blanken et
    al. 2022, Fig. 8), bars their 95 % intervals; black squares are published means.
    """
    tolerances = line_tolerances(comparison, (0,))
    figure, axes = panels(len(tolerances), 2, height=0.5 + 2.4 * len(tolerances), sharex="col", sharey="row")
    looks = series_look([series.name for series in comparison.series])
    dots = len(comparison.series) <= MOST_CLOUDS
    for row, tolerance in enumerate(tolerances):
        for column, (axis, label) in enumerate(LINE_LABELS.items()):
            panel: Axes = axes[row, column]
            for series in comparison.series:
                if series.best and series.best.lines:
                    _draw_binned(panel, series.best, axis, tolerance, looks[series.name], dots)
            published = published_bins(comparison, axis, tolerance)
            if published is not None:
                centres = np.convolve(published.edges, [0.5, 0.5], "valid")
                panel.plot(centres, published.values, "s", color="black", markerfacecolor="none", markersize=5)
            panel.set_ylim(0, 1.02)
            letter(panel, 2 * row + column, f"tolerance {tolerance}, against {label.partition(' [')[0]}")
        axes[row, 0].set_ylabel(f"F1 of a line, tolerance {tolerance}")
    for panel, label in zip(axes[-1], LINE_LABELS.values(), strict=True):
        panel.set_xlabel(label)
    _legend(figure, comparison, looks)
    return figure


@styled
def learning_figure(comparison: Comparison, curves: Mapping[str, Mapping[str, ArrayLike]]) -> Figure:
    """Learning curves of all cells: loss above, validation F1 below, one column a family.

    Args:
        comparison: its series and axis.
        curves: study and cell, joined by a slash, -> columns of curve.csv. Cells without one are left out.
    """
    shown = {}
    for series in comparison.series:
        cells = [(point, f"{run.study}/{run.cell}") for point in series.points for run in point.runs]
        if known := [(point, curves[cell]) for point, cell in cells if cell in curves]:
            shown[series.name] = known
    looks = value_looks(comparison)
    columns = grid_columns(len(shown))
    blocks = -(-len(shown) // columns)
    figure, axes = panels(2 * blocks, columns, height=0.4 + 3.4 * blocks, width=figure_width(len(shown)), sharey="row")
    pairs = [(axes[row, column], axes[row + 1, column]) for row in range(0, 2 * blocks, 2) for column in range(columns)]
    for index, ((loss, score), (name, drawn)) in enumerate(zip(pairs, shown.items(), strict=False)):
        for point, curve in drawn:
            _draw_curve(loss, score, curve, looks[value_text(point)][0])
        score.set(xlabel="epoch", ylim=(0, 1), xlim=loss.get_xlim())
        loss.tick_params(labelbottom=False)
        letter(loss, index, name)
    for loss, score in pairs[::columns]:
        loss.set_ylabel("dual loss")
        score.set_ylabel("validation F1")
    for panel in itertools.chain.from_iterable(pairs[len(shown) :]):
        panel.remove()
    handles = value_keys(comparison.axis, looks)
    handles.append(Line2D([], [], color=RULE, label="training"))
    handles.append(Line2D([], [], color=RULE, dashes=(3, 2), label="validation"))
    legend_below(figure, handles, len(shown))
    return figure


def _draw_curve(loss: Axes, score: Axes, curve: Mapping[str, ArrayLike], colour: object) -> None:
    columns = {name: np.asarray(values, float) for name, values in curve.items()}
    epoch, nothing = columns["epoch"], np.array([])
    draw_sparse(loss, epoch, columns.get("train_loss", nothing), color=colour, linewidth=1)
    draw_sparse(loss, epoch, columns.get("val_loss", nothing), color=colour, linewidth=1, dashes=(3, 2))
    draw_sparse(score, epoch, columns.get("val_f1", nothing), color=colour, linewidth=1)


def _draw_binned(panel: Axes, point: Point, axis: str, tolerance: int, look: Look, dots: bool) -> None:
    assert point.lines is not None
    where, f1 = known_of_lines(point.lines, axis), point.f1(tolerance).mean(axis=0)
    if dots:
        panel.plot(where, f1, ".", color=look[0], markersize=2, alpha=0.35, rasterized=True)
    edges = np.asarray(EDGES[axis], float)
    inside = bin_numbers(where, edges.tolist())
    bins = [number for number in range(len(edges) - 1) if (inside == number).sum() >= FEWEST_PER_BIN]
    intervals = [mean_interval(f1[inside == number], bounds=(0, 1)) for number in bins]
    centres = [edges[number : number + 2].mean() for number in bins]
    draw_intervals(panel, centres, intervals, look, size=4, cap=2)


def _legend(figure: Figure, comparison: Comparison, looks: Mapping[str, Look]) -> None:
    best = ((series.best, looks[series.name]) for series in comparison.series)
    handles = series_keys((point.name, look) for point, look in best if point and point.lines)
    if any(published_bins(comparison, axis, t) for axis in LINE_LABELS for t in (0, comparison.tolerance)):
        handles.append(
            Line2D([], [], color="black", marker="s", markerfacecolor="none", linestyle="", label="published means")
        )
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
