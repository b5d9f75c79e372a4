"""Which family comes first, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # not its parts: they are loaded at the first comparison
from numpy.typing import ArrayLike, NDArray

from kernbench.statistics.contrast import Prior, checked_scores, contrast, moderated

DRAWS = 4000
SEED = 20230712  # fixed: the same scores give the same ranks


@dataclass(frozen=True)
class Rank:
    """Rank of one family among those given; 1 is the highest mean.

    Attributes:
        rank: of its mean; ties share the mean of their ranks.
        low: lower end of the interval of its rank over draws of seeds and lines.
        high: upper end.
        first: share of draws in which it comes first.
    """

    rank: float
    low: float
    high: float
    first: float


def ranks(
    cells: Sequence[ArrayLike], *, level: float = 0.95, prior: Prior | None = None, seed: int = SEED
) -> list[Rank]:
    """Ranks of families on the same lines, by `drawn_means`.

    Args:
        cells: scores of each family, (S, L) on the same lines.
        level: coverage of the intervals.
        prior: variance between seeds measured elsewhere; needed where a family has one seed.
        seed: of the draws.

    Returns:
        One rank per family, in the order of `cells`.

    Raises:
        KernbenchError: as `contrast`.
    """
    means = drawn_means(cells, prior=prior, seed=seed)
    return ranks_of([checked_scores(cell).mean() for cell in cells], means, level)


def drawn_means(cells: Sequence[ArrayLike], *, prior: Prior | None = None, seed: int = SEED) -> NDArray[np.float64]:
    """Means of cells over drawn lines and seeds.

    Lines are drawn with replacement, the same for all cells. A mean over few seeds is not drawn from those few, which
    would make it look too sure, but from Student's t distribution with the (moderated) variance between seeds.

    Args:
        cells: as for `ranks`.
        prior: as for `ranks`.
        seed: of the draws.

    Returns:
        Means (cells, DRAWS).

    Raises:
        KernbenchError: as `contrast`.
    """
    contrast(cells, [1.0] * len(cells), prior)  # the checks
    tables = [checked_scores(cell) for cell in cells]
    rng = np.random.default_rng(seed)
    lines = tables[0].shape[1]
    by_line = rng.multinomial(lines, np.full(lines, 1 / lines), size=DRAWS) / lines
    return np.stack([_drawn_means(table, by_line, prior, rng) for table in tables])


def ranks_of(shown_means: ArrayLike, means: NDArray[np.float64], level: float = 0.95) -> list[Rank]:
    """Ranks of families among each other, from their means and the drawn ones (families, draws)."""
    drawn = scipy.stats.rankdata(-means, axis=0)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=1)
    first = (means == means.max(axis=0)) / (means == means.max(axis=0)).sum(axis=0)
    shown = scipy.stats.rankdata(-np.asarray(shown_means))
    return [Rank(*map(float, values)) for values in zip(shown, low, high, first.mean(axis=1), strict=True)]


def _drawn_means(
    table: NDArray[np.float64], by_line: NDArray[np.float64], prior: Prior | None, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Means (draws,) over drawn lines, with the spread of a mean over seeds added."""
    variance, df = moderated(table, prior)
    noise = rng.standard_t(df, len(by_line)) if np.isfinite(df) else rng.standard_normal(len(by_line))
    return np.asarray(by_line @ table.mean(axis=0) + noise * np.sqrt(variance / len(table)))
