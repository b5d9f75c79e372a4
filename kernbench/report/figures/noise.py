"""Figure of F1 against the noise level."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kernbench.plotting.looks import MARKERS
from kernbench.plotting.style import RULE, shades, styled
from kernbench.report.figures.layout import legend_below, panel_grid, series_keys
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.lines import line_tolerances
from kernbench.report.numbers.noise import NOISE_AXES
from kernbench.report.numbers.published import published_along
from kernbench.study.reference import F1

DRAWN_TOLERANCES = (0, 2, 4, 9)
PUBLISHED: dict[str, Any] = {"linestyle": "--", "markersize": 4, "markerfacecolor": "white"}  # Any: of matplotlib


@styled
def noise_figure(comparison: Comparison) -> Figure:
    """Mean test F1 against the noise level, one panel a family, one line for each of a few tolerances.

    Levels are evenly spaced, 0 (clean, unfiltered) first. Open markers and dashes are published.
    """
    shown = [series for series in comparison.series if series.scored]
    tolerances = line_tolerances(comparison, DRAWN_TOLERANCES)
    levels = sorted({float(x) for point in comparison.points if (x := point.x) is not None})
    looks = dict(zip(tolerances, zip(shades(len(tolerances)), MARKERS, strict=False), strict=True))
    figure, axes = panel_grid([series.name for series in shown], height=2.6 if len(shown) > 1 else 3.2)
    published = False
    for panel, series in zip(axes, shown, strict=True):
        points = [point for point in series.scored if point.x is not None]
        places = [levels.index(float(point.x or 0)) for point in points]
        for tolerance, (colour, marker) in looks.items():
            means = [point.mean_f1(tolerance) for point in points]
            panel.plot(places, means, color=colour, marker=marker, markersize=4)
            beside = [published_along(comparison, point, F1).get(tolerance, np.nan) for point in points]
            if np.isfinite(beside).any():
                published = True
                panel.plot(places, beside, color=colour, marker=marker, **PUBLISHED)
        panel.set_xticks(range(len(levels)), [f"{level:g}" for level in levels])
        panel.set(ylim=(0, 1), xlabel=NOISE_AXES[comparison.axis])
    axes[0].set_ylabel("mean F1")
    handles = series_keys((f"tolerance {tolerance}", (*look, "-")) for tolerance, look in looks.items())
    if published:
        handles.append(Line2D([], [], color=RULE, marker="o", label="published", **PUBLISHED))
    legend_below(figure, handles, len(shown))
    return figure
