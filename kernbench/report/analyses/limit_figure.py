"""Figure of the bound: recall of bubbles by the bound of their arrival."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kernbench.plotting.style import shades, styled
from kernbench.report.analyses.analysis import Row
from kernbench.report.analyses.by_layer import grouped, numbers
from kernbench.report.analyses.layer_figure import MOST_PANELS, evenly
from kernbench.report.figures.layout import Colour, legend_below, panel_grid, series_keys


@styled
def limit_figure(rows: Sequence[Row], columns: Mapping[str, str]) -> Figure:
    """Recall by stratum: a panel for each family, a line for each kernel size.

    Args:
        rows: with family, kernel_size and the columns.
        columns: name of the recall of a stratum -> its words, from low bounds to high ones.
    """
    known = [family for (family,), _ in grouped(rows, "family")]
    shown = known[:MOST_PANELS]
    sizes = evenly([size for (size,), _ in grouped(rows, "kernel_size")])
    colours = dict(zip(sizes, shades(len(sizes)), strict=True))
    figure, axes = panel_grid(shown, height=2.4 if len(shown) > 1 else 3.2)
    for panel, family in zip(axes, shown, strict=True):
        _draw_family(panel, [row for row in rows if row["family"] == family], columns, colours)
    axes[0].set_ylabel("recall")
    keys = series_keys((f"K = {size}", (colour, "o", "-")) for size, colour in colours.items())
    legend_below(figure, keys, len(shown))
    if len(known) > len(shown):
        figure.suptitle(f"the first {len(shown)} of {len(known)} families; the table has all", fontsize=8)
    return figure


def _draw_family(panel: Axes, rows: Sequence[Row], columns: Mapping[str, str], colours: Mapping[str, Colour]) -> None:
    for (size,), each in grouped(rows, "kernel_size"):
        values = [numbers(each, name) for name in columns]
        medians = [float(np.median(found)) if found else np.nan for found in values]
        if size in colours:
            panel.plot(range(len(columns)), medians, "-", color=colours[size], marker="o", markersize=3)
    panel.set_xticks(range(len(columns)), list(columns.values()))
    panel.set_xlabel("bound [samples]")
    panel.set_ylim(0, 1)
