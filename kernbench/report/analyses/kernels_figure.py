"""Figure of named kernels: the plane of two layers of one cell, and the share named of every layer."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kernbench.analysis.identification import USELESS
from kernbench.analysis.stencils import short_name
from kernbench.plotting.style import QUIET, RULE, letter, panels, styled
from kernbench.report.analyses.analysis import Row
from kernbench.report.analyses.by_layer import START, TRAINED, grouped, numbers, word
from kernbench.report.analyses.kernels_tables import ANY

MOST_LINES = 24  # families and kernel sizes in the map, evenly chosen
APART = (0.3, 0.035)  # of a panel, between two names
GROUPS = [mpl.colormaps["tab20"](place) for place in (*range(0, 20, 2), *range(1, 20, 2))]  # pale ones last
SHARES = mpl.colormaps["viridis"].with_extremes(bad="#d0d0d0")


@styled
def kernels_figure(names: Sequence[Row], plane: Sequence[Row]) -> Figure:
    """Two panels of kernels in their plane above two maps of shares.

    Args:
        names: rows of the table `kernels`; of the atom "any" there are some.
        plane: of `kernel_plane`; the cell that comes first is drawn. May be empty.
    """
    best = [row for row in names if row["atom"] == ANY]
    lines = _evenly([key for key, _ in grouped(best, "family", "kernel_size")])
    heights = [2.6, 0.5 + 0.17 * len(lines)]
    figure, axes = panels(2, 2, height=sum(heights) + 1.0, height_ratios=heights)
    layers = _first_cell(plane)
    for at, panel in enumerate(axes[0]):
        _draw_plane(panel, at, layers[at] if at < len(layers) else [])
    for at, (panel, stage) in enumerate(zip(axes[1], (START, TRAINED), strict=True)):
        _draw_map(panel, [row for row in best if row["stage"] == stage], lines, _layers(best))
        letter(panel, 2 + at, f"named, {'at the start' if stage == START else stage}")
        if at:
            panel.set_yticklabels([])
    figure.colorbar(axes[1][0].images[0], ax=list(axes[1]), label="share named", shrink=0.9)
    return figure


def _first_cell(plane: Sequence[Row]) -> list[list[Row]]:
    """Rows of each layer of the cell that comes first."""
    if not plane:
        return []
    key = (plane[0]["study"], plane[0]["cell"])
    return [rows for _, rows in grouped([row for row in plane if (row["study"], row["cell"]) == key], "layer")]


def _draw_plane(panel: Axes, at: int, rows: Sequence[Row]) -> None:
    if not rows:
        letter(panel, at, "no second layer" if at else "no plane")
        panel.set_axis_off()
        return
    first = rows[0]
    name = f"{first['family']}, K = {first['kernel_size']}, layer {first['layer']}"
    letter(panel, at, name)
    for (group,), each in grouped([row for row in rows if not row["curve"]], "group"):
        places = [numbers(each, axis) for axis in ("pc1", "pc2")]
        colour = GROUPS[int(group) - 1] if group else QUIET
        panel.plot(*places, "o", color=colour, markersize=3, markeredgewidth=0)
    _draw_stencils(panel, [row for row in rows if row["curve"]])
    for axis, share in (("x", first["explained_1"]), ("y", first["explained_2"])):
        text = f"component {1 if axis == 'x' else 2} ({100 * float(word(share)):.0f} % of the variance)"
        panel.set(**{f"{axis}label": text})


def _draw_stencils(panel: Axes, rows: Sequence[Row]) -> None:
    """Crosses, with a name where no other name is near."""
    taken: list[tuple[float, float]] = []
    (left, right), (low, high) = panel.get_xlim(), panel.get_ylim()
    for row in rows:
        place = (float(word(row["pc1"])), float(word(row["pc2"])))
        panel.plot(*place, "x", color=RULE, markersize=4)
        share = ((place[0] - left) / (right - left), (place[1] - low) / (high - low))
        if all(abs(share[0] - x) > APART[0] or abs(share[1] - y) > APART[1] for x, y in taken):
            taken.append(share)
            name = short_name(word(row["curve"]))
            panel.annotate(name, place, xytext=(2, 2), textcoords="offset points", fontsize=5)


def _draw_map(panel: Axes, rows: Sequence[Row], lines: Sequence[tuple[str, ...]], layers: Sequence[int]) -> None:
    """Shares by family and kernel size, and by layer; grey where nothing can be concluded or known."""
    shares: NDArray[np.float64] = np.full((len(lines), len(layers)), np.nan)
    for key, each in grouped(rows, "family", "kernel_size", "layer"):
        usable = max(numbers(each, "needed"), default=1.0) <= USELESS
        if key[:2] in lines and usable and (known := numbers(each, "named")):
            shares[lines.index(key[:2]), layers.index(int(key[2]))] = np.mean(known)
    panel.imshow(np.ma.masked_invalid(shares), cmap=SHARES, vmin=0, vmax=1, aspect="auto")
    panel.set_xticks(range(len(layers)), list(map(str, layers)))
    panel.set_yticks(range(len(lines)), [f"{family}, K = {size}" for family, size in lines])
    panel.set_xlabel("layer")
    panel.grid(visible=False)


def _layers(rows: Sequence[Row]) -> list[int]:
    return sorted({int(word(row["layer"])) for row in rows})


def _evenly(lines: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    places = np.unique(np.linspace(0, len(lines) - 1, min(len(lines), MOST_LINES)).astype(int))
    return [lines[place] for place in places]
