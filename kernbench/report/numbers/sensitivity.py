"""Whether verdicts depend on diverged cells, which are in no mean: the same verdicts with these cells at the floor."""

from collections.abc import Sequence
from math import isnan

import numpy as np

from kernbench.report.numbers.comparison import Comparison, Difference
from kernbench.report.numbers.points import Floats, Point
from kernbench.statistics import adjusted, compare
from kernbench.store.reading.records import DIVERGED

MOST_LISTED = 6
SAID = {"undecided": "not decided"}


def divergence_text(comparison: Comparison) -> list[str]:
    """One sentence on the verdicts with each diverged cell as a seed at the blind floor, and without those cells.

    Args:
        comparison: its cells; a point without any score has no verdict to begin with.

    Returns:
        The sentence, changed verdicts first; nothing where no compared family diverged, or no floor is stored.
    """
    differences = comparison.differences
    diverged = [bool(_diverged(each.first) + _diverged(each.second)) for each in differences]
    floor = _mean_floor(comparison)
    if not any(diverged) or isnan(floor):
        return []
    counted = _counted(differences, comparison, floor)
    pairs = list(zip(differences, diverged, counted, strict=True))
    pairs.sort(key=lambda pair: pair[0].verdict == pair[2])  # changed ones first
    told = [_text(each, verdict) for each, here, verdict in pairs if here or verdict != each.verdict]
    more = f"; and {len(told) - MOST_LISTED} more" if len(told) > MOST_LISTED else ""
    return [f"With diverged cells counted at the blind floor, {'; '.join(told[:MOST_LISTED])}{more}."]


def _counted(differences: Sequence[Difference], comparison: Comparison, floor: float) -> list[str]:
    """Verdicts of all differences, corrected together as they are on the page."""
    tables = [(_with_floor(each.first, floor), _with_floor(each.second, floor)) for each in differences]
    found = adjusted([compare(one, other, prior=comparison.spread.prior) for one, other in tables])
    return [
        Difference(each.first, each.second, verdict).verdict for each, verdict in zip(differences, found, strict=True)
    ]


def _with_floor(point: Point, usual: float) -> Floats:
    """F1 of each seed and line, (S, N), with one more row for each diverged cell.

    A row is flat: floors are stored as means over the lines.
    """
    f1, own = point.f1(), max(point.floors())
    rows = np.full((_diverged(point), f1.shape[1]), usual if isnan(own) else own)
    return np.concatenate([f1, rows])


def _diverged(point: Point) -> int:
    return sum(run.status == DIVERGED for run in point.runs)


def _mean_floor(comparison: Comparison) -> float:
    """The better floor, as a mean over the points that stored one; NaN without any."""
    floors = [floor for point in comparison.scored if not isnan(floor := max(point.floors()))]
    return float(np.mean(floors)) if floors else float("nan")


def _text(each: Difference, verdict: str) -> str:
    without = "as" if verdict == each.verdict else SAID.get(each.verdict, each.verdict)
    name, reference, said = each.first.name, each.second.runs[0].family, SAID.get(verdict, verdict)
    return f"the verdict for {name} against {reference} is {said} ({without} without them)"
