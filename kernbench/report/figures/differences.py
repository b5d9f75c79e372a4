"""Figure of the differences from the reference family: a row for each family, a panel for each value of the axis."""

from collections.abc import Iterable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kernbench.plotting.style import QUIET, RULE, letter, panels, styled
from kernbench.report.figures.layout import axis_places, grid_columns
from kernbench.report.numbers.comparison import BASELINE, Comparison, Difference
from kernbench.report.numbers.orders import place_name
from kernbench.report.numbers.points import Value

MOST = 6  # panels
SHARE = 0.25  # of the families of the fullest panel; a value at which fewer are compared has no panel
WIDEST = 0.2  # difference; one beyond stands at the edge with its number, so that the others stay apart
ROW = 0.145  # inches
# Okabe and Ito (2008); colour and marker of each verdict
LOOKS = {
    "better": ("#0072B2", "o"),
    "worse": ("#D55E00", "s"),
    "equivalent": ("#009E73", "D"),
    "undecided": (QUIET, "o"),
    "blind": (QUIET, "x"),
}
WORDS = {"undecided": "not decided", "blind": "neither is surely above a blind guess", "equivalent": "equivalent"}


def compared(comparison: Comparison) -> dict[Value, dict[str, Difference]]:
    """Differences of replicated families by value of the axis and name of the series; one seed supports none.

    Returns:
        The values at which many families are compared and something may be said, at most 6, in their order; empty where
        no value has two families beside the reference.
    """
    found: dict[Value, dict[str, Difference]] = {}
    for each in comparison.differences:
        if each.first.x is not None and min(each.found.seeds) > 1:
            name = comparison.series_names[id(each.first)]
            found.setdefault(each.first.x, {})[name] = each
    found = {value: row for value, row in found.items() if not all(each.blind for each in row.values())}
    fullest = max(map(len, found.values()), default=0)
    places = axis_places(comparison)
    kept = [each for each in sorted(found, key=places.__getitem__) if len(found[each]) >= max(2, SHARE * fullest)]
    return {value: found[value] for value in kept[:MOST]}


@styled
def differences_figure(comparison: Comparison) -> Figure:
    """Mean test F1 less that of the reference family, with the 95 % interval of each comparison alone.

    Colours are the verdicts over all comparisons together, by Holm. Rows are sorted by the first panel.

    Args:
        comparison: with `compared`.
    """
    found = compared(comparison)
    names = _sorted_rows(found.values())
    columns = grid_columns(len(found))
    rows = -(-len(found) // columns)
    figure, axes = panels(rows, columns, height=0.4 + (0.7 + ROW * len(names)) * rows, sharey=True, sharex=True)
    flat = list(axes.flat)
    for panel in flat[len(found) :]:
        panel.remove()
    for number, (panel, (value, row)) in enumerate(zip(flat, found.items(), strict=False)):
        letter(panel, number, place_name({comparison.axis: value}, [comparison.axis]))
        panel.axvline(0, color=RULE, linewidth=1, zorder=1)
        for place, name in enumerate(names):
            if name in row:
                _draw(panel, row[name], place)
        panel.grid(visible=False, axis="y")
        panel.tick_params(labelbottom=True)
        panel.set_xlabel(f"mean F1 − mean F1 of {BASELINE}")
    flat[0].set_yticks(range(len(names)), names)
    flat[0].set_ylim(len(names) - 0.4, -0.6)  # the highest on top
    low, high = flat[0].get_xlim()
    flat[0].set_xlim(max(low, -1.1 * WIDEST), min(high, 1.1 * WIDEST))  # of all panels: they share it
    figure.legend(handles=_keys(found.values()), loc="outside lower center", ncols=len(LOOKS))
    return figure


def _sorted_rows(columns: Iterable[dict[str, Difference]]) -> list[str]:
    """Names of all rows, the highest of the first column first; then those that the first one lacks."""
    names: dict[str, None] = {}
    for column in columns:
        names |= dict.fromkeys(sorted(column, key=lambda name: (-column[name].found.difference, name)))
    return list(names)


def _draw(panel: Axes, each: Difference, place: int) -> None:
    colour, marker = LOOKS[each.outcome]
    found = each.found
    if abs(found.difference) > WIDEST:
        edge, arrow = (WIDEST, ">") if found.difference > 0 else (-WIDEST, "<")
        panel.plot(edge, place, arrow, color=colour, markersize=4)
        panel.annotate(
            f"{found.difference:+.2f}",
            (edge, place),
            (-6 if edge > 0 else 6, 0),
            textcoords="offset points",
            ha="right" if edge > 0 else "left",
            va="center",
            fontsize=6.5,
            color=colour,
        )
        return
    ends = [[found.difference - found.low], [found.high - found.difference]]
    style: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 3.5, "elinewidth": 1, "linestyle": ""}
    panel.errorbar(found.difference, place, xerr=ends, **style)


def _keys(columns: Iterable[dict[str, Difference]]) -> list[Line2D]:
    """Legend entries of the verdicts that are drawn."""
    drawn = {each.outcome for column in columns for each in column.values()}
    return [
        Line2D([], [], color=colour, marker=marker, markersize=3.5, label=WORDS.get(name, name))
        for name, (colour, marker) in LOOKS.items()
        if name in drawn
    ]
