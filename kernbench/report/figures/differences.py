"""Figure of the differences from the reference family: a row for each family, a panel for each value of the axis."""

from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kernbench.plotting.style import QUIET, RULE, letter, panels, styled
from kernbench.report.figures.layout import axis_places, grid_columns
from kernbench.report.numbers.comparison import BASELINE, Comparison, Difference
from kernbench.report.numbers.orders import place_name

MOST = 6  # panels
SHARE = 0.5  # of the families of the fullest panel; a value at which fewer are compared has no panel
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


def compared(comparison: Comparison) -> dict[str, dict[str, Difference]]:
    """Differences of replicated families by value of the axis and name of the series; one seed supports none.

    Returns:
        The values at which most families are compared, at most 6, in their order; empty where no value has two families
        beside the reference.
    """
    found: dict[str, dict[str, Difference]] = {}
    for each in comparison.differences:
        if each.first.x is not None and min(each.found.seeds) > 1:
            name = comparison.series_names[id(each.first)]
            found.setdefault(str(each.first.x), {})[name] = each
    fullest = max(map(len, found.values()), default=0)
    order = [str(value) for value in axis_places(comparison)]
    kept = [value for value in order if len(found.get(value, ())) >= max(2, SHARE * fullest)]
    return {value: found[value] for value in kept[:MOST]}


@styled
def differences_figure(comparison: Comparison) -> Figure:
    """Mean test F1 less that of the reference family, with the 95 % interval of each comparison alone.

    Colours are the verdicts over all comparisons together, by Holm. Rows are sorted by their mean over the panels.

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
        panel.set_xlabel(f"mean F1 less that of {BASELINE}")
    flat[0].set_yticks(range(len(names)), names)
    flat[0].set_ylim(len(names) - 0.4, -0.6)  # the highest on top
    figure.legend(handles=_keys(found.values()), loc="outside lower center", ncols=len(LOOKS))
    return figure


def _sorted_rows(columns: Iterable[dict[str, Difference]]) -> list[str]:
    """Names of all rows, those of the highest mean difference first."""
    values: dict[str, list[float]] = {}
    for column in columns:
        for name, each in column.items():
            values.setdefault(name, []).append(each.found.difference)
    return sorted(values, key=lambda name: (-sum(values[name]) / len(values[name]), name))


def _draw(panel: Axes, each: Difference, place: int) -> None:
    colour, marker = LOOKS[each.outcome]
    value = each.found.difference
    ends = [[value - each.found.low], [each.found.high - value]]
    panel.errorbar(value, place, xerr=ends, color=colour, marker=marker, markersize=3.5, elinewidth=1, linestyle="")


def _keys(columns: Iterable[dict[str, Difference]]) -> list[Line2D]:
    """Legend entries of the verdicts that are drawn."""
    drawn = {each.outcome for column in columns for each in column.values()}
    return [
        Line2D([], [], color=colour, marker=marker, markersize=3.5, label=WORDS.get(name, name))
        for name, (colour, marker) in LOOKS.items()
        if name in drawn
    ]
