"""Figure of fits to trained free taps: F1 of each family, fitted, tuned and trained from the start."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kernbench.plotting.style import RULE, panels, styled
from kernbench.report.analyses.analysis import Row
from kernbench.report.analyses.by_layer import grouped, numbers

MOST_PANELS = 3
MARKS = {
    "f1_fitted": ("o", "fitted"),
    "f1_tuned": ("s", "after further training"),
    "f1_trained": ("^", "from the start"),
}
COLOURS = {"f1_fitted": "#3b6ea5", "f1_tuned": "#c2571a", "f1_trained": "#4d8b3c"}


@styled
def expressivity_figure(rows: Sequence[Row]) -> Figure:
    """Medians over cells of F1, families from the smallest error of their fit to the largest.

    Args:
        rows: see `kernbench.report.analyses.expressivity_shown.COLUMNS`; some have a fitted F1.
    """
    sizes = [(size, each) for (size,), each in grouped(rows, "kernel_size") if numbers(each, "f1_fitted")]
    shown = sizes[:MOST_PANELS]
    most = max(len({row["fitted"] for row in each}) for _, each in shown)
    figure, axes = panels(1, len(shown), height=1.3 + 0.16 * most)
    for panel, (size, each) in zip(axes[0], shown, strict=True):
        _draw_size(panel, each)
        panel.set_title(f"K = {size}", fontsize=8)
        panel.set_xlabel("mean F1")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


def _draw_size(panel: Axes, rows: Sequence[Row]) -> None:
    families = [(name, each) for (name,), each in grouped(rows, "fitted") if numbers(each, "error")]
    families.sort(key=lambda pair: np.median(numbers(pair[1], "error")))
    for column, (marker, label) in MARKS.items():
        known = [(place, numbers(each, column)) for place, (_, each) in enumerate(families)]
        points = [(float(np.median(values)), place) for place, values in known if values]
        if points:
            style = {"color": COLOURS[column], "label": label, "s": 14}
            panel.scatter(*zip(*points, strict=True), marker=marker, zorder=3, **style)  # type: ignore[arg-type]
    panel.axvline(float(np.median(numbers(rows, "f1_free"))), color="#222222", linewidth=1, label="free taps")
    if floors := numbers(rows, "floor"):
        panel.axvline(float(np.median(floors)), color=RULE, linewidth=1, linestyle="--", label="blind floor")
    names = [f"{name} ({np.median(numbers(each, 'error')):.2g})" for name, each in families]
    panel.set_yticks(range(len(families)), names, fontsize=6)
    panel.invert_yaxis()
    panel.set_xlim(0, 1)
