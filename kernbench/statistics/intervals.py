"""Means with honest intervals: bootstrap over lines and, where there are several, over seeds."""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernbench.errors import KernbenchError

RESAMPLES = 2000
LEVEL = 0.95
SEED = 20230712  # fixed: the same database gives the same report


@dataclass(frozen=True)
class Interval:
    """A mean and its percentile bootstrap interval, in the unit of the values.

    Attributes:
        mean: over all seeds and lines.
        low: lower end; NaN where one line alone has no spread.
        high: upper end.
        lines: lines that the mean covers.
        seeds: seeds that it covers; with one, the interval says nothing about the spread between trainings.
    """

    mean: float
    low: float
    high: float
    lines: int
    seeds: int


def bootstrap_mean(values: ArrayLike, resamples: int = RESAMPLES, seed: int = SEED) -> Interval:
    """Mean over lines (and seeds) with a 95 % percentile bootstrap interval.

    Lines are drawn with replacement, the same ones for all seeds, because all were tested on the same lines;
    seeds are drawn with replacement as an outer level.

    Args:
        values: one per line (N,), or one per seed and line (S, N).
        resamples: bootstrap draws.
        seed: of the draws.

    Raises:
        KernbenchError: no values, or values that are not finite.

    Source: Efron, Tibshirani (1993), "An Introduction to the Bootstrap", chapter 13.
    """
    table = _table(values)
    seeds, lines = table.shape
    mean = float(table.mean())
    if table.size == 1:
        return Interval(mean, float("nan"), float("nan"), lines, seeds)
    by_line, by_seed = _shares(seeds, lines, resamples, seed)
    means = ((by_line @ table.T) * by_seed).sum(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(mean, float(low), float(high), lines, seeds)


def bootstrap_difference(first: ArrayLike, second: ArrayLike) -> Interval:
    """Mean of first minus second, paired: both are resampled on the same lines and seeds.

    Args:
        first: one value per line (N,), or per seed and line (S, N).
        second: the same lines in the same order, same shape.

    Raises:
        KernbenchError: shapes that differ, no values, or values that are not finite.
    """
    one, other = _table(first), _table(second)
    if one.shape != other.shape:
        raise KernbenchError(f"a paired difference needs the same seeds and lines: got {one.shape} and {other.shape}")
    return bootstrap_mean(one - other)


@functools.lru_cache(maxsize=4)  # the points of a study share seeds and lines, and drawing takes longer than the means
def _shares(seeds: int, lines: int, resamples: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of each line (resamples, lines) and of each seed (resamples, seeds) in the resampled tables."""
    rng = np.random.default_rng(seed)
    # How often each row occurs is all that a mean needs: counts replace an index array of resamples x lines.
    by_line = rng.multinomial(lines, np.full(lines, 1 / lines), size=resamples) / lines
    by_seed = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples) / seeds
    for shares in (by_line, by_seed):
        shares.setflags(write=False)
    return by_line, by_seed


def _table(values: ArrayLike) -> NDArray[np.float64]:
    """Values as (seeds, lines), checked."""
    table = np.atleast_2d(np.asarray(values, np.float64))
    if table.ndim != 2 or not table.size:
        raise KernbenchError(f"an interval needs values of shape (lines,) or (seeds, lines), got {table.shape}")
    if not np.isfinite(table).all():
        raise KernbenchError("an interval needs finite values; leave diverged cells out and count them apart")
    return table
