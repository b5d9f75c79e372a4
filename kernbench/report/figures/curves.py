"""Figures of precision against recall: every point at the headline tolerance, the best points at several."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kernbench.plotting.style import RULE, letter, shades, styled
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
from kernbench.report.numbers.curves import (
    CURVE_TOLERANCES,
    best_with_curves,
    frozen_point,
    point_curve,
    with_curves,
)
from kernbench.report.numbers.points import Point
from kernbench.report.numbers.published import published_at


@styled
def precision_recall_figure(comparison: Comparison) -> Figure:
    """Mean precision against mean recall of the test lines at the headline tolerance, one panel a family.

    One curve for each value of the axis, over the threshold; dots are the frozen thresholds, stars published points.
    """
    shown = [series for series in comparison.series if with_curves(series.scored)]
    looks = value_looks(comparison)
    figure, axes = panel_grid(len(shown), height=2.6 if len(shown) > 1 else 3.6)
    for index, (panel, series) in enumerate(zip(axes, shown, strict=True)):
        for point in with_curves(series.scored):
            _draw_curve(panel, point, comparison.tolerance, looks[value_text(point)][0])
            _draw_published(panel, comparison, point, comparison.tolerance, "black")
        _frame(panel)
        letter(panel, index, series.name)
    axes[0].set_ylabel(f"mean precision, tolerance {comparison.tolerance}")
    points = [point for series in shown for point in series.scored]
    _legend(figure, comparison, points, value_keys(comparison.axis, looks), len(shown))
    return figure


@styled
def tolerance_curves_figure(comparison: Comparison) -> Figure:
    """The same for the best point of every family at tolerances 0 to 5, as Blanken et al. (2022), Fig. 7a."""
    shown = best_with_curves(comparison)
    colours = dict(zip(CURVE_TOLERANCES, shades(len(CURVE_TOLERANCES)), strict=True))
    figure, axes = panel_grid(len(shown), height=2.6 if len(shown) > 1 else 3.6)
    for index, (panel, (name, point)) in enumerate(zip(axes, shown.items(), strict=True)):
        for tolerance, colour in colours.items():
            _draw_curve(panel, point, tolerance, colour)
            _draw_published(panel, comparison, point, tolerance, colour)
        _frame(panel)
        at = "" if point.x is None else f", {setting_text(comparison.axis, value_text(point))}"
        letter(panel, index, name + at)
    axes[0].set_ylabel("mean precision")
    handles = [Line2D([], [], color=colour, label=f"tolerance {tolerance}") for tolerance, colour in colours.items()]
    _legend(figure, comparison, list(shown.values()), handles, len(shown))
    return figure


def _draw_curve(panel: Axes, point: Point, tolerance: int, colour: Colour) -> None:
    panel.plot(*point_curve(point, tolerance), color=colour, linewidth=1.1)
    panel.plot(*frozen_point(point, tolerance), "o", color=colour, markersize=3.5)


def _draw_published(panel: Axes, comparison: Comparison, point: Point, tolerance: int, colour: Colour | str) -> None:
    """The published point of largest F1."""
    place = _published_place(comparison, point, tolerance)
    if place is not None:
        panel.plot(*place, "*", color=colour, markeredgecolor="black", markeredgewidth=0.6, markersize=8, zorder=3)


def _published_place(comparison: Comparison, point: Point, tolerance: int) -> tuple[float, float] | None:
    recall = published_at(comparison, point, "max_f1_recall", tolerance)
    precision = published_at(comparison, point, "max_f1_precision", tolerance)
    return None if recall is None or precision is None else (recall, precision)


def _frame(panel: Axes) -> None:
    panel.axline((0, 0), slope=1, color=RULE, linestyle=":", linewidth=0.8, zorder=1)
    panel.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="mean recall")


def _legend(
    figure: Figure, comparison: Comparison, points: Sequence[Point], handles: list[Line2D], panels: int
) -> None:
    handles = [*handles, Line2D([], [], color=RULE, marker="o", markersize=3.5, linestyle="", label="frozen threshold")]
    if any(_published_place(comparison, point, t) for point in points for t in CURVE_TOLERANCES):
        handles.append(
            Line2D([], [], color="black", marker="*", markersize=8, linestyle="", label="published, largest F1")
        )
    handles.append(Line2D([], [], color=RULE, linestyle=":", label="precision = recall"))
    legend_below(figure, handles, panels)
