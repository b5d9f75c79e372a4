"""Figures of precision against recall: every point at the headline tolerance, the best points at several."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kernbench.plotting.style import RULE, shades, styled
from kernbench.report.figures.layout import (
    Colour,
    legend_below,
    panel_grid,
    setting_text,
    value_keys,
    value_looks,
    value_text,
)
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.curves import CURVE_TOLERANCES, best_with_curves, frozen_point, point_curve, with_curves
from kernbench.report.numbers.points import Point
from kernbench.report.numbers.published import published_along

Drawn = tuple[Point, int, Colour, Colour | str]  # tolerance, colour of the curve, colour of the published point


@styled
def precision_recall_figure(comparison: Comparison) -> Figure:
    """Mean precision against mean recall of the test lines at the headline tolerance, one panel a family.

    One curve for each value of the axis, over the threshold; dots are the frozen thresholds, stars published points.
    """
    looks, t = value_looks(comparison), comparison.tolerance
    shown = {series.name: with_curves(series.scored) for series in comparison.series}
    drawn = {
        name: [(point, t, looks[value_text(point)][0], "black") for point in points]
        for name, points in shown.items()
        if points
    }
    return _figure(comparison, drawn, value_keys(comparison.axis, looks), f"mean precision, tolerance {t}")


@styled
def tolerance_curves_figure(comparison: Comparison) -> Figure:
    """The same for the best point of every family at tolerances 0 to 5, as Blanken et al. (2022), Fig. 7a."""
    colours = dict(zip(CURVE_TOLERANCES, shades(len(CURVE_TOLERANCES)), strict=True))
    drawn = {}
    for name, point in best_with_curves(comparison).items():
        at = "" if point.x is None else f", {setting_text(comparison.axis, value_text(point))}"
        drawn[name + at] = [(point, t, colour, colour) for t, colour in colours.items()]
    handles = [Line2D([], [], color=colour, label=f"tolerance {tolerance}") for tolerance, colour in colours.items()]
    return _figure(comparison, drawn, handles, "mean precision")


def _figure(
    comparison: Comparison, drawn: Mapping[str, Sequence[Drawn]], handles: Sequence[Line2D], label: str
) -> Figure:
    """One panel for each title, with its curves."""
    figure, axes = panel_grid(drawn, height=2.6 if len(drawn) > 1 else 3.6)
    for panel, curves in zip(axes, drawn.values(), strict=True):
        for point, tolerance, colour, star in curves:
            panel.plot(*point_curve(point, tolerance), color=colour, linewidth=1.1)
            panel.plot(*frozen_point(point, tolerance), "o", color=colour, markersize=3.5)
            if place := _published_place(comparison, point, tolerance):
                panel.plot(
                    *place, "*", color=star, markeredgecolor="black", markeredgewidth=0.6, markersize=8, zorder=3
                )
        panel.axline((0, 0), slope=1, color=RULE, linestyle=":", linewidth=0.8, zorder=1)
        panel.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="mean recall")
    axes[0].set_ylabel(label)
    handles = [*handles, Line2D([], [], color=RULE, marker="o", markersize=3.5, linestyle="", label="frozen threshold")]
    points = {id(curve[0]): curve[0] for curves in drawn.values() for curve in curves}.values()
    if any(_published_place(comparison, point, t) for point in points for t in CURVE_TOLERANCES):
        handles.append(
            Line2D([], [], color="black", marker="*", markersize=8, linestyle="", label="published, largest F1")
        )
    handles.append(Line2D([], [], color=RULE, linestyle=":", label="precision = recall"))
    legend_below(figure, handles, len(drawn))
    return figure


def _published_place(comparison: Comparison, point: Point, tolerance: int) -> tuple[float, float] | None:
    """The published point of largest F1."""
    recall = published_along(comparison, point, "max_f1_recall").get(tolerance)
    precision = published_along(comparison, point, "max_f1_precision").get(tolerance)
    return None if recall is None or precision is None else (recall, precision)
