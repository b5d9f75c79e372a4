"""One family over all kernel sizes: interquartile mean, performance profile and trend."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # not its parts: they are loaded at the first comparison
from numpy.typing import ArrayLike, NDArray

from kernbench.errors import KernbenchError
from kernbench.statistics.comparison import EQUIVALENCE, LEVEL, Comparison, adjusted, compare
from kernbench.statistics.contrast import Estimate, Prior, contrast

DRAWS = 2000
SEED = 20230712


@dataclass(frozen=True)
class Profile:
    """Runs of one family at several kernel sizes.

    Attributes:
        thresholds: scores (T,).
        above: share of runs with a higher score than each threshold (T,), each size with the same weight.
        low: lower end of its pointwise interval (T,).
        high: upper end (T,).
        middle: interquartile mean of all runs, each size with the same weight; few odd runs do not move it.
        middle_low: lower end of its interval.
        middle_high: upper end.
    """

    thresholds: NDArray[np.float64]
    above: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    middle: float
    middle_low: float
    middle_high: float


def profile(runs: Sequence[ArrayLike], thresholds: ArrayLike, *, level: float = LEVEL, seed: int = SEED) -> Profile:
    """Performance profile and interquartile mean with bootstrap intervals, stratified by kernel size.

    Args:
        runs: for each kernel size the mean scores of its seeds, each (S,).
        thresholds: scores at which the profile is read (T,).
        level: coverage of the intervals. With fewer than 5 seeds a size they are too narrow, as bootstrap intervals of
            so few are.
        seed: of the draws.

    Raises:
        KernbenchError: no runs, or scores that are not finite.

    Source: Agarwal et al. (2021), "Deep Reinforcement Learning at the Edge of the Statistical Precipice", sections 4.1
    to 4.3.
    """
    sizes = [np.asarray(scores, np.float64).ravel() for scores in runs]
    if not sizes or any(not scores.size or not np.isfinite(scores).all() for scores in sizes):
        raise KernbenchError("a profile needs at least one finite score for each kernel size")
    marks = np.asarray(thresholds, np.float64)
    rng = np.random.default_rng(seed)
    drawn = [scores[rng.integers(len(scores), size=(DRAWS, len(scores)))] for scores in sizes]  # each (DRAWS, S)
    above = np.mean([(scores[..., None] > marks).mean(axis=1) for scores in drawn], axis=0)  # (DRAWS, T)
    middles = _middle(np.concatenate(_balanced(drawn), axis=1))
    ends = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(above, ends, axis=0)
    middle_low, middle_high = map(float, np.quantile(middles, ends))
    found = np.mean([(scores[:, None] > marks).mean(axis=0) for scores in sizes], axis=0)
    middle = float(_middle(np.concatenate(_balanced([scores[None] for scores in sizes]), axis=1))[0])
    return Profile(marks, found, low, high, middle, middle_low, middle_high)


def slope(cells: Sequence[ArrayLike], sizes: Sequence[int], prior: Prior | None = None) -> Estimate:
    """Change of the score when the kernel size doubles: least squares over log2 of the size.

    Args:
        cells: scores of one family at each size, (S, L) on the same lines.
        sizes: kernel sizes in samples, at least two different ones.
        prior: as for `contrast`.

    Raises:
        KernbenchError: sizes that are all the same; as `contrast`.
    """
    steps = np.log2(np.asarray(sizes, np.float64))
    steps -= steps.mean()
    if not steps.any():
        raise KernbenchError(f"a trend needs at least two kernel sizes, got {list(sizes)}")
    return contrast(cells, list(steps / (steps**2).sum()), prior)


def largest_against_others(
    cells: Sequence[ArrayLike],
    sizes: Sequence[int],
    *,
    level: float = LEVEL,
    equivalence: float = EQUIVALENCE,
    prior: tuple[float, float] | None = None,
) -> dict[int, Comparison]:
    """The largest kernel against every smaller one, adjusted over all, so that the best is not picked for free.

    Args:
        cells: scores of one family at each size (S, L).
        sizes: kernel sizes in samples, all different.
        level: coverage of the intervals.
        equivalence: largest difference that does not matter.
        prior: as for `compare`.

    Raises:
        KernbenchError: as `compare`.
    """
    largest = int(np.argmax(sizes))
    others = [index for index in range(len(sizes)) if index != largest]
    found = [compare(cells[largest], cells[i], level=level, equivalence=equivalence, prior=prior) for i in others]
    return dict(zip((sizes[index] for index in others), adjusted(found), strict=True))


def _balanced(sizes: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Runs (..., S) repeated so that each kernel size has as many, and so the same weight."""
    most = math.lcm(*(scores.shape[1] for scores in sizes))
    return [np.repeat(scores, most // scores.shape[1], axis=1) for scores in sizes]


def _middle(runs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of each row without its lowest and highest quarter."""
    return np.asarray(scipy.stats.trim_mean(runs, 0.25, axis=1))
