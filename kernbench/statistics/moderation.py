"""Borrowing strength: a prior of the variance between seeds from all cells of a study."""

from collections.abc import Hashable, Sequence

import numpy as np
import scipy  # not its parts: they are loaded at the first comparison
from numpy.typing import ArrayLike

from kernbench.errors import KernbenchError
from kernbench.statistics.contrast import CellSpread, Prior, spread_of


def seed_prior(cells: Sequence[ArrayLike], trainings: Sequence[Hashable] | None = None) -> Prior | None:
    """Prior of the variance between seeds, from cells with at least 2 seeds.

    Args:
        cells: scores, each (seeds, lines). Leave out cells whose scores lie near 0 or 1, as those of networks that
            learned nothing: their variances are of another kind.
        trainings: of which trainings each cell has the scores; left out, no two are of the same. The same networks on
            other lines are no further sample: they count once, with the mean of their variances.

    Returns:
        Variance and degrees of freedom; None where no cell has 2 seeds. The degrees of freedom are at most half of
        those of all cells together.
    """
    of: dict[Hashable, list[CellSpread]] = {}
    for name, spread in zip(range(len(cells)) if trainings is None else trainings, map(spread_of, cells), strict=True):
        if spread.seeds > 1:
            of.setdefault(name, []).append(spread)
    if not of:
        return None
    variances = [float(np.mean([spread.seed_variance for spread in group])) for group in of.values()]
    return fit_prior(variances, [min(spread.seeds for spread in group) - 1 for group in of.values()])


def fit_prior(variances: Sequence[float], dfs: Sequence[float]) -> Prior:
    """Scaled inverse chi-square prior of variances, by the moments of their logarithm.

    Args:
        variances: of independent samples (N,).
        dfs: degrees of freedom of each (N,).

    Returns:
        The prior. Its degrees of freedom are large where the variances differ no more than chance makes them differ,
        and at most half the sum of `dfs`: the prior is an estimate, too. (With the whole sum, the bound of limma,
        intervals of 8 cells with 2 seeds of unequal variances cover the truth in 92 % of cases; with half of it in 94
        %.)

    Raises:
        KernbenchError: no variance, a negative one, or degrees of freedom that are not positive.

    Source: Smyth (2004), Stat. Appl. Genet. Mol. Biol. 3:3, section 6.2.
    """
    values, df = np.asarray(variances, np.float64), np.asarray(dfs, np.float64)
    if not values.size or values.shape != df.shape or (values < 0).any() or (df <= 0).any():
        raise KernbenchError(
            f"expected variances of at least 0 with positive degrees of freedom, got {variances} and {dfs}"
        )
    most = float(df.sum()) / 2
    if not (values > 0).any():
        return Prior(0.0, most)
    positive = np.median(values[values > 0])
    values = np.maximum(values, 1e-5 * positive)  # a variance of 0 is rounding, and has no logarithm
    logs = np.log(values) - scipy.special.digamma(df / 2) + np.log(df / 2)
    excess = logs.var(ddof=1) - scipy.special.polygamma(1, df / 2).mean() if len(values) > 1 else 0.0
    if excess <= 0:
        return Prior(float(np.average(values, weights=df)), most)
    df0 = 2 * _inverse_trigamma(float(excess))
    variance = np.exp(logs.mean() + scipy.special.digamma(df0 / 2) - np.log(df0 / 2))
    return Prior(float(variance), min(df0, most))


def _inverse_trigamma(value: float) -> float:
    """X with trigamma(x) = value."""
    # trigamma(x) lies between 1/x and 1/x + 1/x^2, which brackets its inverse.
    low, high = 0.5 / value, 1 / value + 1 / np.sqrt(value) + 1
    found = scipy.optimize.brentq(lambda x: scipy.special.polygamma(1, x) - value, low, high, xtol=1e-12, rtol=1e-12)
    return float(found)
