"""Figure of the order of families: mean F1 and rank of every family in every network, pulse or kernel size."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kernbench.errors import counted
from kernbench.plotting.looks import Look, series_look
from kernbench.plotting.style import letter, panels, styled
from kernbench.report.figures.layout import draw_intervals, legend_columns, series_keys
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.orders import RankRow, family_orders, rank_rows

STEP = 0.13  # between families in one place
WIDEST = 0.8  # of all of them, so that places stay apart
CROWDED = 70  # letters of all places, from which on their names are turned


@styled
def orders_figure(comparison: Comparison) -> Figure:
    """Mean F1 of each family in each place, and below it its rank, both with 95 % intervals.

    Args:
        comparison: with orders.
    """
    found = family_orders(comparison)
    assert found is not None
    figure, axes = panels(2, 1, height=5.2, width=5.6)
    scores, ranked = axes[:, 0]
    looks = series_look(found.families)
    rows, step = rank_rows(found), min(STEP, WIDEST / len(found.families))
    for number, family in enumerate(found.families):
        shift = step * (number - (len(found.families) - 1) / 2)
        places = [place + shift for place in range(len(found.places))]
        colour, marker, _ = looks[family]
        intervals = [each for point in found.points[number] if (each := point.interval) is not None]
        draw_intervals(scores, places, intervals, (colour, marker, ""), size=4.5, cap=2.5)
        _ranks(ranked, [row for row in rows if row.family == family], places, (colour, marker, ""))
    ranked.set_ylim(len(found.families) + 0.5, 0.5)  # the first on top
    ranked.set_yticks(range(1, len(found.families) + 1))
    turned = max(map(len, found.places)) * len(found.places) > CROWDED
    titles = ("score", "rank among the families")
    for place, (panel, title) in enumerate(zip((scores, ranked), titles, strict=True)):
        letter(panel, place, title)
        panel.set_xticks(range(len(found.places)), found.places)
        if turned:
            for label in panel.get_xticklabels():
                label.set(rotation=35, ha="right", rotation_mode="anchor")
        panel.set_xlim(-0.5, len(found.places) - 0.5)
        panel.grid(visible=False, axis="x")
    scores.set_ylabel(f"mean F1, tolerance {counted(comparison.tolerance, 'sample')}")
    ranked.set_ylabel("rank, 1 is best")
    keys = series_keys(((name, (colour, marker, "")) for name, (colour, marker, _) in looks.items()), 4.5)
    figure.legend(handles=keys, loc="outside lower center", ncols=legend_columns(looks))
    return figure


def _ranks(panel: Axes, rows: list[RankRow], places: list[float], look: Look) -> None:
    colour, marker, dash = look
    ends = np.array([(row.rank - min(row.low, row.rank), max(row.high, row.rank) - row.rank) for row in rows]).T
    ranks = [row.rank for row in rows]
    panel.errorbar(places, ranks, ends, color=colour, marker=marker, linestyle=dash, markersize=4.5, elinewidth=1)
