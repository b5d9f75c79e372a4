"""What the figures of a large comparison draw: some of its values and series; tables and headline know all of them."""

from dataclasses import replace

from kernbench.report.figures.layout import axis_places
from kernbench.report.numbers.comparison import Comparison, Series

# More can be told apart neither by colour nor in a legend, which would leave no room for the panels.
MOST_VALUES = 12
MOST_SERIES = 24


def fewer_series(comparison: Comparison, most: int = MOST_SERIES) -> Comparison:
    """The comparison itself, or with so many series: the best of each family first, then the best of all.

    Best: on the validation lines, as everywhere.
    """
    if len(comparison.series) <= most:
        return comparison
    ranked = sorted(comparison.series, key=lambda series: series.rank, reverse=True)
    first: dict[str, Series] = {}
    for series in ranked:
        first.setdefault(series.family, series)
    chosen = [*first.values(), *(series for series in ranked if series is not first[series.family])][:most]
    names = {series.name for series in chosen}
    return replace(comparison, series=tuple(series for series in comparison.series if series.name in names))


def fewer_values(comparison: Comparison) -> Comparison:
    """The comparison itself, or with values spread evenly over its axis, and the best value of every series."""
    values = list(axis_places(comparison))
    if len(values) <= MOST_VALUES:
        return comparison
    steps = len(values) - 1
    kept = {values[place * steps // (MOST_VALUES - 1)] for place in range(MOST_VALUES)}
    kept |= {point.x for point in comparison.best}
    series = tuple(
        replace(each, points=tuple(point for point in each.points if point.x is None or point.x in kept))
        for each in comparison.series
    )
    return replace(comparison, series=series)


def left_out(comparison: Comparison, drawn: Comparison) -> str:
    """What a figure of `drawn` does not show of the comparison, one sentence; empty if it shows all."""
    parts = []
    if len(drawn.series) < len(comparison.series):
        parts.append(
            f"{len(drawn.series)} of {len(comparison.series)} series, those of the highest F1 on the validation lines"
        )
    if (few := len(axis_places(drawn))) < (many := len(axis_places(comparison))):
        parts.append(f"{few} of {many} values of {comparison.axis}, the chosen ones among them")
    return f"The figure shows {' and '.join(parts)}; the tables have all." if parts else ""
