"""Figure of mean F1 against what it costs: parameters, operations, time, memory."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullLocator

from kernbench.errors import counted
from kernbench.plotting.looks import Look, series_look
from kernbench.plotting.style import FULL_WIDTH, RULE, letter, panels, styled
from kernbench.report.figures.layout import legend_below, series_keys
from kernbench.report.numbers.comparison import Comparison, Series
from kernbench.report.numbers.fronts import cost_of, costs, front
from kernbench.study.columns import Column

MOST_TICKS = 9
_LARGE = EngFormatter()


@styled
def cost_figure(comparison: Comparison) -> Figure:
    """Mean test F1 of every point against each cost that differs, with the Pareto front of the means."""
    columns = costs(comparison)
    across = min(2, len(columns))
    down = -(-len(columns) // across)
    figure, axes = panels(down, across, height=0.4 + 2.5 * down, width=FULL_WIDTH, sharey=True)
    flat = list(axes.flat)
    for panel in flat[len(columns) :]:
        panel.remove()
    looks = series_look([series.name for series in comparison.series])
    for place, (panel, column) in enumerate(zip(flat, columns, strict=False)):
        for series in comparison.series:
            _draw(panel, series, column, looks[series.name])
        best = front(comparison.scored, column)
        x, y = [cost_of(point, column) for point in best], [point.mean_f1(point.tolerance) for point in best]
        panel.step([*x, panel.get_xlim()[1]], [*y, y[-1]], where="post", color=RULE, linewidth=0.8, zorder=1)
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=MOST_TICKS))
        panel.xaxis.set_major_formatter(FuncFormatter(_number))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.set_xlabel(column.heading)
        letter(panel, place, column.label)
    for panel in axes[:, 0]:
        panel.set_ylabel(f"mean F1, tolerance {counted(comparison.tolerance, 'sample')}")
    shown = [(series.name, looks[series.name]) for series in comparison.series if series.scored]
    legend_below(figure, series_keys((name, (c, m, "")) for name, (c, m, _) in shown), across)
    return figure


def _number(value: float, _place: int) -> str:
    """A tick: 200 k from a thousand on, plain digits below: "550 m" of milliseconds reads badly."""
    return _LARGE(value) if value >= 1000 else f"{value:g}"


def _draw(panel: Axes, series: Series, column: Column, look: Look) -> None:
    found = [(cost_of(point, column), point.interval) for point in series.scored]
    known = [(cost, each) for cost, each in found if each is not None and cost > 0]
    if not known:
        return
    ends = np.array([(each.mean - each.low, each.high - each.mean) for _, each in known])
    places, means = [cost for cost, _ in known], [each.mean for _, each in known]
    style: dict[str, Any] = {
        "color": look[0],
        "marker": look[1],
        "markersize": 4,
        "linestyle": "",
        "elinewidth": 0.8,
    }  # Any: of matplotlib
    panel.errorbar(places, means, np.nan_to_num(np.abs(ends.T)), **style)
