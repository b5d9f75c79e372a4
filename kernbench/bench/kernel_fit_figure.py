"""Error of fitted kernels against their parameters: a panel for each target, a line for each family."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kernbench.bench.kernel_fits import Summary
from kernbench.plotting.looks import series_look
from kernbench.plotting.style import letter, panels, styled

ERRORS = (1.0, 0.1, 0.01, 0.001, 0.0001)
LOWEST = ERRORS[-1]  # errors below are drawn here
MOST = 4  # times the largest budget; more parameters are drawn here
COLUMNS = 3
PANEL_HEIGHT = 2.9  # inches


@styled
def draw(found: Sequence[Summary]) -> Figure:
    """Draw medians as lines and ranges over the seeds as bars; the place after the last panel holds the families.

    Args:
        found: of `kernbench.bench.kernel_fits.summaries`.
    """
    targets = list(dict.fromkeys(each.target for each in found))
    families = list(dict.fromkeys(each.family for each in found))
    rows = -(-(len(targets) + 1) // COLUMNS)
    figure, axes = panels(rows, COLUMNS, height=PANEL_HEIGHT * rows)
    places = axes.ravel()
    for index, target in enumerate(targets):
        _panel(places[index], [each for each in found if each.target == target], families)
        letter(places[index], index, target)
    for place in places[len(targets) :]:
        place.set_axis_off()
        place.set_in_layout(False)
    handles, names = places[0].get_legend_handles_labels()
    columns = -(-len(families) // 16)
    legend = places[len(targets)].legend(
        handles,
        names,
        loc="upper left",
        ncols=columns,
        fontsize=6,
        handlelength=2,
        handletextpad=0.4,
        columnspacing=0.5,
        borderaxespad=0,
    )
    legend.set_in_layout(False)  # it is wider than a panel's axes, which would shrink for it
    return figure


def _panel(axes: Axes, found: Sequence[Summary], families: Sequence[str]) -> None:
    most = MOST * max(each.budget for each in found)
    for name, (colour, marker, dash) in series_look(families).items():
        # a setting that serves several budgets is one point
        points = sorted({each.parameters: each for each in found if each.family == name}.items())
        sizes = [min(size, most) for size, _ in points]
        low, middle, high = (
            [max(value, LOWEST) for value in values]
            for values in zip(*((each.low, each.median, each.high) for _, each in points), strict=True)
        )
        axes.vlines(sizes, low, high, color=colour, linewidth=0.6)
        axes.plot(sizes, middle, color=colour, marker=marker, linestyle=dash, markersize=3, linewidth=0.8, label=name)
    axes.set_xscale("log")
    ticks = _ticks(min(each.parameters for each in found), most)
    axes.set_xticks(ticks, [f"{tick:,}{'+' if tick == most else ''}" for tick in ticks])
    axes.set_yscale("log")
    axes.set_yticks(ERRORS, [f"{error:g}" for error in ERRORS])
    axes.minorticks_off()
    axes.set_ylim(LOWEST / 1.3, 1.5)
    axes.set_xlabel("parameters")
    axes.set_ylabel("relative l2 error")


def _ticks(smallest: int, most: int) -> list[int]:
    """Halves of the largest number down to the smallest, seven at most."""
    count = math.ceil(math.log2(max(2, most / smallest))) + 1
    return [most >> power for power in range(0, count, 1 + count // 8) if most >> power]
