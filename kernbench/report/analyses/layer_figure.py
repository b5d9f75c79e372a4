"""Figure of a number by layer: a panel for each family, a line for each kernel size."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kernbench.plotting.style import shades, styled
from kernbench.report.analyses.analysis import Row
from kernbench.report.analyses.by_layer import START, TRAINED, grouped, numbers, word
from kernbench.report.figures.layout import Colour, legend_below, panel_grid, series_keys

MOST_PANELS = 12  # families in one figure
MOST_LINES = 8  # kernel sizes in one panel, evenly chosen
DASHES = {START: "--", TRAINED: "-"}


@styled
def layer_figure(rows: Sequence[Row], name: str, label: str) -> Figure:
    """Median of a column by layer, on a logarithmic scale; rows of the start are dashed.

    Args:
        rows: with family, kernel_size and layer; where they have a stage, `start` or `trained`. Some have a number.
        name: of the column.
        label: of the vertical axis.
    """
    known = [family for (family,), each in grouped(rows, "family") if numbers(each, name)]
    shown = known[:MOST_PANELS]
    sizes = evenly([size for (size,), _ in grouped(rows, "kernel_size")])
    colours = dict(zip(sizes, shades(len(sizes)), strict=True))
    figure, axes = panel_grid(shown, height=2.4 if len(shown) > 1 else 3.2)
    for panel, family in zip(axes, shown, strict=True):
        _draw_family(panel, [row for row in rows if row["family"] == family], name, colours)
    axes[0].set_ylabel(label)
    keys = series_keys((f"K = {size}", (colour, "o", "-")) for size, colour in colours.items())
    legend_below(figure, keys, len(shown))
    if len(known) > len(shown):
        figure.suptitle(f"the first {len(shown)} of {len(known)} families; the table has all", fontsize=8)
    return figure


def _draw_family(panel: Axes, rows: Sequence[Row], name: str, colours: dict[str, Colour]) -> None:
    for (size, stage), each in grouped(rows, "kernel_size", "stage"):
        medians = {int(layer): numbers(found, name) for (layer,), found in grouped(each, "layer")}
        known = {layer: float(np.median(values)) for layer, values in medians.items() if values}
        if size in colours and known:
            dash = DASHES.get(stage, "-")
            panel.plot(list(known), list(known.values()), dash, color=colours[size], marker="o", markersize=3)
    panel.set_xticks(sorted({int(word(row["layer"])) for row in rows}))
    panel.set_xlabel("layer")
    panel.set_yscale("log")
    panel.yaxis.set_major_formatter("{x:g}")
    panel.yaxis.set_minor_formatter("")


def evenly(sizes: Sequence[str]) -> list[str]:
    """At most eight of them, evenly chosen."""
    places = np.unique(np.linspace(0, len(sizes) - 1, min(len(sizes), MOST_LINES)).astype(int))
    return [sizes[place] for place in places]
