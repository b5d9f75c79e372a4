"""Differences between trained families: a contrast of cells, its interval made of the spread of seeds and of lines."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy  # not its parts: they are loaded at the first comparison
from numpy.typing import ArrayLike, NDArray

from kernbench.errors import KernbenchError


class Prior(NamedTuple):
    """A variance between seeds that was measured elsewhere.

    Attributes:
        variance: of the line mean of one seed, in the squared unit of the scores.
        df: degrees of freedom that it is worth.
    """

    variance: float
    df: float


MANY = 1e6  # degrees of freedom; Student's t is normal to six digits


@dataclass(frozen=True)
class Estimate:
    """A contrast of cells and what its uncertainty is made of.

    Attributes:
        value: weighted sum of the cells' means.
        seed_variance: part of the variance of `value` that comes from the choice of seeds.
        line_variance: part that comes from the choice of lines.
        df: degrees of freedom of the sum of both; inf where there is no spread.
    """

    value: float
    seed_variance: float
    line_variance: float
    df: float

    @property
    def error(self) -> float:
        """Standard error of `value`."""
        return float(np.sqrt(self.seed_variance + self.line_variance))

    def interval(self, level: float) -> tuple[float, float]:
        """Ends of the interval that covers the true value with probability `level`."""
        half = float(scipy.special.stdtrit(self.df, (1 + level) / 2)) * self.error if self.error else 0.0
        return self.value - half, self.value + half

    def p_value(self, against: float = 0.0) -> float:
        """Two-sided p-value of the hypothesis that the true value is `against`."""
        return 2 * min(self.tail(against), 1 - self.tail(against))

    def tail(self, bound: float) -> float:
        """One-sided p-value of the hypothesis that the true value is at least `bound`."""
        if not self.error:
            return float(np.heaviside(self.value - bound, 0.5))
        return float(scipy.special.stdtr(self.df, (self.value - bound) / self.error))


@dataclass(frozen=True)
class CellSpread:
    """Mean and spread of one cell (a family at one kernel size) over its seeds and lines.

    Attributes:
        mean: over seeds and lines.
        seeds: trainings.
        seed_variance: of the seeds' line means; 0 where one seed shows none.
        residual: variance that is left when seeds and lines are taken out; 0 where one seed shows none.
        by_line: mean over seeds, one per line.
    """

    mean: float
    seeds: int
    seed_variance: float
    residual: float
    by_line: NDArray[np.float64]


def contrast(cells: Sequence[ArrayLike], weights: Sequence[float], prior: Prior | None = None) -> Estimate:
    """Weighted sum of the means of cells that were scored on the same lines.

    Model: `y = mu_f + a_fs + b_l + (fb)_fl + e_fsl` for family f, seed s, line l; what is estimated is the weighted sum
    of `mu`. What lines share, `b`, cancels where the weights sum to 0. The variance between seeds is estimated for each
    cell on its own, because families differ in it, and contains the residual; the variance of the weighted sum over
    lines does so, too, and its share is taken out.

    Args:
        cells: scores, each (S, L); S may differ from cell to cell, the L lines and their order may not.
        weights: one per cell, such as (1, -1) for a difference.
        prior: variance between seeds measured elsewhere; needed where a cell has one seed. Each cell's own variance is
            moderated with it: `(df0 v0 + df v) / (df0 + df)`.

    Returns:
        The estimate, in the unit of the scores. In balanced contrasts the degrees of freedom of the seed part are those
        of the design, as if all families had one variance: with two or three seeds the ratio of variances is too
        uncertain to use it. Otherwise they are Satterthwaite's. The variance of the prior is one number that all cells
        share, so its error does not average out over cells.

    Raises:
        KernbenchError: scores that are not finite or of another shape, lines that differ, fewer than 2 lines, one seed
            and no prior.

    Source: Satterthwaite (1946), Biometrics Bulletin 2:110; `combined_df`; moderation: Smyth (2004), Stat. Appl. Genet.
    Mol. Biol. 3:3, eq. 2.
    """
    tables = [checked_scores(cell) for cell in cells]
    _check(tables, weights, prior)
    df0 = prior.df if prior else 0.0
    over_lines = np.zeros(tables[0].shape[1])
    value = seed_variance = residual = shared = 0.0
    own: list[tuple[float, float, float]] = []  # of each cell: factor, its own variance, degrees of freedom
    for table, weight in zip(tables, weights, strict=True):
        spread = spread_of(table)
        df, factor = spread.seeds - 1, weight**2 / spread.seeds
        share = _share(df0, df)
        if prior:
            seed_variance += factor * share * prior.variance
        seed_variance += factor * (1 - share) * spread.seed_variance
        shared += factor * share
        if df:
            own.append((factor * (1 - share), spread.seed_variance, df))
        over_lines += weight * spread.by_line
        residual += factor * spread.residual
        value += weight * spread.mean
    lines = len(over_lines)
    line_variance = max(float(over_lines.var(ddof=1)) - residual, 0.0) / lines
    balanced = np.allclose([factor for factor, _, _ in own], own[0][0]) if own else True
    parts = [(factor * (1.0 if balanced else variance), df) for factor, variance, df in own]
    if prior:
        parts.append((shared * (1.0 if balanced else prior.variance), df0))
    seed_df = satterthwaite(parts)
    return Estimate(value, seed_variance, line_variance, combined_df(seed_variance, seed_df, line_variance, lines - 1))


def spread_of(scores: ArrayLike) -> CellSpread:
    """Means and variances of one cell's scores (S, L); see `CellSpread`."""
    table = checked_scores(scores)
    seeds, lines = table.shape
    by_seed, by_line, mean = table.mean(axis=1), table.mean(axis=0), float(table.mean())
    if seeds == 1:
        return CellSpread(mean, 1, 0.0, 0.0, by_line)
    left = table - by_seed[:, None] - by_line + mean
    residual = float((left**2).sum()) / ((seeds - 1) * max(lines - 1, 1))
    return CellSpread(mean, seeds, float(by_seed.var(ddof=1)), residual, by_line)


def moderated(scores: ArrayLike, prior: Prior | None) -> tuple[float, float]:
    """Variance between seeds of one cell's scores (S, L), moderated with the prior, and its degrees of freedom."""
    spread = spread_of(scores)
    df = spread.seeds - 1
    if prior is None:
        return spread.seed_variance, df
    share = _share(prior.df, df)
    return share * prior.variance + (1 - share) * spread.seed_variance, prior.df + df


def checked_scores(scores: ArrayLike) -> NDArray[np.float64]:
    """Scores as a table (seeds, lines); one row where they are (lines,).

    Raises:
        KernbenchError: another shape, no scores, or scores that are not finite.
    """
    table = np.atleast_2d(np.asarray(scores, np.float64))
    if table.ndim != 2 or not table.size:
        raise KernbenchError(f"scores must have the shape (seeds, lines), got {table.shape}")
    if not np.isfinite(table).all():
        raise KernbenchError("scores must be finite; leave diverged cells out and count them apart")
    return table


def _check(tables: Sequence[NDArray[np.float64]], weights: Sequence[float], prior: Prior | None) -> None:
    if len(tables) != len(weights):
        raise KernbenchError(f"a contrast needs one weight per cell, got {len(weights)} for {len(tables)}")
    lines = {table.shape[1] for table in tables}
    if len(lines) > 1:
        raise KernbenchError(
            f"cells must be scored on the same lines, got {' and '.join(map(str, sorted(lines)))} lines"
        )
    if lines == {1}:
        raise KernbenchError("one line shows nothing about the spread over lines: score at least 2 lines")
    if prior is not None and not (prior.variance >= 0 and prior.df > 0 and np.isfinite(prior.variance)):
        raise KernbenchError(
            f"a prior needs a variance of at least 0 and more than 0 degrees of freedom, got {tuple(prior)}"
        )
    if prior is None and any(len(table) == 1 for table in tables):
        raise KernbenchError(
            "one seed shows nothing about the spread between trainings, so no difference can be told from luck: "
            "train at least 2 seeds, or give a prior (variance between seeds, degrees of freedom)"
        )


def _share(df0: float, df: int) -> float:
    """Weight of the prior's variance beside a cell's own with `df` degrees of freedom."""
    return 1.0 if np.isinf(df0) else df0 / (df0 + df)


def satterthwaite(parts: Sequence[tuple[float, float]]) -> float:
    """Degrees of freedom of a sum of independent variances, each (variance, degrees of freedom); inf without any."""
    total = sum(variance for variance, _ in parts)
    spread = sum(variance**2 / df for variance, df in parts if variance)
    return float(total**2 / spread) if spread else math.inf


def combined_df(first: float, first_df: float, second: float, second_df: float) -> float:
    """Degrees of freedom of the sum of two variances, for intervals that cover enough also where one of them has few.

    Satterthwaite's own number is too large where the variance with few degrees of freedom happens to be estimated
    small. So the half-width is that of Howe, the root of the summed squares of both half-widths, and the number of
    degrees of freedom is the one with which Student's t gives the same half-width at 95 %.

    Source: Howe (1974), Journal of the American Statistical Association 69:789.
    """
    total = first + second
    if not total:
        return math.inf
    if not first or not second:
        return first_df if first else second_df
    squares = [(variance, min(df, MANY)) for variance, df in ((first, first_df), (second, second_df))]
    limit = math.sqrt(sum(variance * scipy.special.stdtrit(df, 0.975) ** 2 for variance, df in squares) / total)
    fewest, most = sorted(df for _, df in squares)
    if most - fewest < 1e-9 * most:
        return fewest
    return float(scipy.optimize.brentq(lambda df: scipy.special.stdtrit(df, 0.975) - limit, fewest, most))
