"""Results of one family in a study: where it stands, how sure that is, and what it costs."""

import functools
from collections.abc import Sequence

from result_points import difference_text, f1_text, table

from kernbench.errors import KernbenchError
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.orders import NOUNS, place_name, shared_axes
from kernbench.report.numbers.points import Point
from kernbench.statistics.ranks import Rank, ranks


def ranked(comparison: Comparison, points: Sequence[Point]) -> dict[Point, Rank]:
    """Ranks of those of the points, all of one place, that have two seeds or more.

    Returns:
        Empty where fewer than two have them.

    Raises:
        KernbenchError: the points were not scored on the same lines.
    """
    several = [point for point in points if len(point.scored) > 1]
    if len(several) < 2:
        return {}
    if not all(comparison.comparable(several[0], each) for each in several):
        raise KernbenchError(f"{comparison.base}: scores are not on the same lines: {several[0].name}, ...")
    found = ranks([point.f1() for point in several], prior=comparison.spread.prior)
    return dict(zip(several, found, strict=True))


def _axes(comparison: Comparison) -> list[str]:
    """Axes whose values make a place."""
    return shared_axes(comparison)[1] or [comparison.axis]


@functools.cache  # the cards of all families ask for the same ranks
def _ranked_at(comparison: Comparison, place: str) -> dict[Point, Rank]:
    axes = _axes(comparison)
    return ranked(comparison, [each for each in comparison.scored if place_name(each.params, axes) == place])


def card(comparison: Comparison, family: str) -> str:
    """FAMILY: its F1, seeds, difference from the reference family, rank, parameters and time at every value."""
    axes = _axes(comparison)
    points = [each for each in comparison.scored if each.runs[0].family == family]
    if not points:
        raise KernbenchError(f"{comparison.base}: no score of {family}")
    names = [place_name(each.params, axes) for each in points]
    rows = [[name, *_row(comparison, each, name)] for each, name in zip(points, names, strict=True)]
    of_axes = ", ".join(NOUNS.get(name, name) for name in axes)
    return table([of_axes, "F1", "seeds", "F1 − F1 of discrete", "rank", "parameters", "time"], rows)


def _row(comparison: Comparison, point: Point, place: str) -> list[str]:
    difference = next((each for each in comparison.differences if each.first is point), None)
    found = _ranked_at(comparison, place)
    rank = None if point.place else found.get(point)  # a blind network is no better for its rank
    lost = [(point.on_plateau, "on the plateau"), (point.failed, "failed")]
    return [
        f1_text(point),
        ", ".join([str(len(point.scored)), *(f"{len(runs)} {what}" for runs, what in lost if runs)]),
        "–" if difference is None else difference_text(difference),
        "–" if rank is None else f"{rank.rank:g} [{rank.low:g}, {rank.high:g}] of {len(found)}",
        f"{point.value('n_params'):,.0f}",
        f"{min(run.seconds for run in point.scored if run.seconds is not None):.0f} s",  # others had company
    ]
