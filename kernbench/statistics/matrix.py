"""Every family against every other: a multiple-comparison matrix."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kernbench.statistics.comparison import EQUIVALENCE, LEVEL, Comparison, adjusted, compare
from kernbench.statistics.contrast import checked_scores


@dataclass(frozen=True)
class Pair:
    """One entry of the matrix.

    Attributes:
        row: index of the first family.
        column: index of the second.
        wins: lines on which the mean of the row's seeds is higher.
        ties: lines on which both are equal.
        losses: lines on which it is lower.
        comparison: row against column, adjusted over all pairs of the matrix.
    """

    row: int
    column: int
    wins: int
    ties: int
    losses: int
    comparison: Comparison


def comparison_matrix(
    cells: Sequence[ArrayLike],
    *,
    level: float = LEVEL,
    equivalence: float = EQUIVALENCE,
    prior: tuple[float, float] | None = None,
) -> list[Pair]:
    """All pairs of families on the same lines, one entry a pair (row < column).

    An entry depends on its two families alone, but for the correction over all pairs: who else is in the table moves no
    difference.

    Args:
        cells: scores of each family (S, L).
        level: coverage of the intervals.
        equivalence: largest difference that does not matter.
        prior: as for `compare`.

    Raises:
        KernbenchError: as `compare`.

    Source: Ismail-Fawaz et al. (2023), arXiv:2305.11921.
    """
    places = [(row, column) for row in range(len(cells)) for column in range(row + 1, len(cells))]
    found = adjusted(
        [
            compare(cells[row], cells[column], level=level, equivalence=equivalence, prior=prior)
            for row, column in places
        ]
    )
    by_line = [checked_scores(cell).mean(axis=0) for cell in cells]
    pairs = []
    for (row, column), comparison in zip(places, found, strict=True):
        signs = np.sign(by_line[row] - by_line[column])
        wins, ties, losses = (int((signs == sign).sum()) for sign in (1, 0, -1))
        pairs.append(Pair(row, column, wins, ties, losses, comparison))
    return pairs
