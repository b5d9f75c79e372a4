"""Figure of a study over several axes: a panel for each value of the others, families side by side."""

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kernbench.errors import counted
from kernbench.plotting.looks import series_look
from kernbench.plotting.style import RULE, letter, panels, styled
from kernbench.report.figures.layout import axis_label, axis_places, draw_intervals, legend_columns, series_keys
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.orders import place_name, row_name, shared_axes
from kernbench.report.numbers.points import Point

STEP = 0.15  # between families at one value
WIDEST = 0.8  # of all of them, so that values stay apart
MOST = 6  # panels


def panels_of(comparison: Comparison) -> dict[str, list[Point]]:
    """Points of each panel by its name; empty where one panel, or more than 6, would do."""
    if not comparison.scored:
        return {}
    others = [name for name in shared_axes(comparison)[1] if name != comparison.axis]
    found: dict[str, list[Point]] = {}
    for point in sorted(comparison.scored, key=lambda point: [str(point.params[name]).zfill(9) for name in others]):
        if point.x is not None:
            found.setdefault(place_name(point.params, others), []).append(point)
    return found if 2 <= len(found) <= MOST else {}


@styled
def places_figure(comparison: Comparison) -> Figure:
    """Mean test F1 of every family at every value of the axis, with 95 % intervals and the better blind floor.

    Args:
        comparison: with `panels_of`.
    """
    found, shared = panels_of(comparison), shared_axes(comparison)[0]
    looks = series_look(sorted({row_name(point, shared) for points in found.values() for point in points}))
    places = {value: number for number, value in enumerate(axis_places(comparison))}
    figure, axes = panels(len(found), 1, height=0.6 + 2.1 * len(found), width=5.6, sharex=True, sharey=True)
    for number, (panel, (name, points)) in enumerate(zip(axes[:, 0], found.items(), strict=True)):
        letter(panel, number, name)
        for place, (row, (colour, marker, _)) in enumerate(looks.items()):
            shift = min(STEP, WIDEST / len(looks)) * (place - (len(looks) - 1) / 2)
            own = [point for point in points if row_name(point, shared) == row and point.interval is not None]
            intervals = [point.interval for point in own if point.interval is not None]
            where = [places[point.x] + shift for point in own]
            draw_intervals(panel, where, intervals, (colour, marker, ""), size=4, cap=2)
        if comparison.floors:
            panel.axhline(max(comparison.floors), color=RULE, linestyle="--", linewidth=1, zorder=1)
        panel.set_xticks(range(len(places)), [str(value) for value in places])
        panel.set_xlim(-0.5, len(places) - 0.5)
        panel.grid(visible=False, axis="x")
        panel.set_ylabel(f"mean F1, tolerance {counted(comparison.tolerance, 'sample')}")
    axes[-1, 0].set_xlabel(axis_label(comparison.axis))
    keys = series_keys(((name, (colour, marker, "")) for name, (colour, marker, _) in looks.items()), 4.5)
    if comparison.floors:
        keys.append(Line2D([], [], color=RULE, linestyle="--", linewidth=1, label="blind guess"))
    figure.legend(handles=keys, loc="outside lower center", ncols=legend_columns([*looks, "blind guess"]))
    return figure
