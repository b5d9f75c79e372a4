"""Figure of receptive fields: size of the gradient by lag."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kernbench.plotting.style import RULE, shades, styled
from kernbench.report.analyses.analysis import Row
from kernbench.report.analyses.by_layer import START, grouped, numbers
from kernbench.report.analyses.layer_figure import MOST_PANELS, evenly
from kernbench.report.figures.layout import Colour, legend_below, panel_grid, series_keys

ECHO = (58, 179)  # lags of the echo of a bubble [samples], see docs/analyses.md
SHOWN = 0.02  # of the largest value: lags beyond the last one above it are not drawn
LEAST = 250  # samples on each side that are always drawn


@styled
def field_figure(rows: Sequence[Row]) -> Figure:
    """Gradient by lag over its largest value: a panel for each family, a line for each kernel size.

    Args:
        rows: with family, kernel_size, stage, lag and density; some have a number.
    """
    known = [family for (family,), each in grouped(rows, "family") if numbers(each, "density")]
    shown = known[:MOST_PANELS]
    sizes = evenly([size for (size,), _ in grouped(rows, "kernel_size")])
    colours = dict(zip(sizes, shades(len(sizes)), strict=True))
    figure, axes = panel_grid(shown, height=2.4 if len(shown) > 1 else 3.2)
    for panel, family in zip(axes, shown, strict=True):
        _draw_family(panel, [row for row in rows if row["family"] == family], colours)
    axes[0].set_ylabel("gradient over its largest")
    names: list[tuple[str, tuple[Colour | str, str, str]]]
    names = [(f"K = {size}" if size else "network", (colour, "", "-")) for size, colour in colours.items()]
    names += [("before training", (RULE, "", "-"))] if any(row["stage"] == START for row in rows) else []
    legend_below(figure, series_keys(names), len(shown))
    if len(known) > len(shown):
        figure.suptitle(f"the first {len(shown)} of {len(known)} families; the table has all", fontsize=8)
    return figure


def _draw_family(panel: Axes, rows: Sequence[Row], colours: dict[str, Colour]) -> None:
    ends = [-LEAST, LEAST]
    for (size, stage), each in grouped(rows, "kernel_size", "stage"):
        by_lag = {float(lag): numbers(found, "density") for (lag,), found in grouped(each, "lag")}
        lags = np.array(list(by_lag))
        density = np.array([np.median(values) if values else np.nan for values in by_lag.values()])
        if size not in colours or not np.nanmax(density, initial=0) > 0:
            continue
        height = density / np.nanmax(density)
        before = stage == START
        colour, width = (RULE, 0.7) if before else (colours[size], 1.0)
        panel.plot(lags, height, color=colour, linewidth=width, zorder=1 if before else 2)
        seen = lags[height > SHOWN]
        ends = [min(ends[0], seen.min()), max(ends[1], seen.max())]
    panel.axvspan(*ECHO, color="#f0e6c8", zorder=0, linewidth=0)
    panel.set_xlim(*ends)
    panel.set_xlabel("lag [samples]")
