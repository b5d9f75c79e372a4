"""Groups of kernels of one shape, by k-means and silhouette, and the plane of their principal components."""

import functools
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from kernbench.analysis.atoms import unit

Floats = NDArray[np.float64]

EXTRA = 'pip install "kernbench[analysis]"'
MOST_GROUPS = 8
LARGE = 0.7  # of the largest tap
FEWEST = 4  # different kernels that can have groups
RESTARTS = 4  # of the number of groups that is chosen
DIRECTIONS = 32  # principal components that distances are taken in: of long kernels the others are noise
SEED = 0


@dataclass(frozen=True, eq=False)
class Clusters:
    """Groups of kernels, the largest first.

    Attributes:
        group: of each kernel, from 0, (N,).
        centroids: mean kernel of each group, unit norm, (k, K).
        silhouette: mean over kernels, -1 to 1; about 0 where there are no groups.
    """

    group: NDArray[np.int64]
    centroids: Floats
    silhouette: float


@dataclass(frozen=True, eq=False)
class Plane:
    """The two directions in which kernels differ most.

    Attributes:
        mean: of the kernels, (K,).
        directions: orthonormal, (2, K); zeros where there are fewer.
        explained: share of the variance along each, (2,).
    """

    mean: Floats
    directions: Floats
    explained: Floats

    def places(self, kernels: Floats) -> Floats:
        """Kernels in the plane, (N, 2)."""
        return np.asarray((kernels - self.mean) @ self.directions.T)


def upright(kernels: Floats) -> Floats:
    """Kernels with the sign that makes the first of their large taps positive, (N, K).

    Large is at least 0.7 of the largest: of a difference, whose two taps are equal but for noise, the largest alone
    would be now the one and now the other.
    """
    size = np.abs(kernels)
    first = (size >= LARGE * size.max(axis=1, keepdims=True)).argmax(axis=1)[:, None]
    return kernels * np.where(np.take_along_axis(kernels, first, axis=1) < 0, -1.0, 1.0)


def plane(kernels: Floats) -> Plane:
    """Principal components of kernels, by the singular values of the centred matrix.

    Args:
        kernels: unit norm and upright, (N, K), N at least 1.
    """
    mean = kernels.mean(axis=0)
    _, size, rows = np.linalg.svd(kernels - mean, full_matrices=False)
    directions, explained = np.zeros((2, kernels.shape[1])), np.zeros(2)
    found = min(2, len(rows))
    directions[:found] = rows[:found]
    total = float(np.square(size).sum())
    explained[:found] = np.square(size[:found]) / total if total > 0 else 0
    return Plane(mean, directions, explained)


def can_cluster() -> bool:
    """Whether scikit-learn, an extra, is installed."""
    return find_spec("sklearn") is not None


def clusters(kernels: Floats) -> Clusters | None:
    """Groups by k-means; their number, 2 to 8, has the largest silhouette.

    The number is chosen from one start of k-means++ each, then the best of four starts counts.

    Args:
        kernels: unit norm and upright, (N, K).

    Returns:
        None of fewer than four different kernels, which have no groups to speak of.
    """
    if len(kernels) < FEWEST:
        return None
    from sklearn import config_context  # noqa: PLC0415  # an extra, and slow to import
    from threadpoolctl import threadpool_limits  # noqa: PLC0415  # comes with it

    # matrices are small: more threads are slower and change the last bits, and checks take longer than the sums
    with threadpool_limits(1), config_context(assume_finite=True, skip_parameter_validation=True):
        return _clusters(kernels)


def _clusters(kernels: Floats) -> Clusters | None:
    from sklearn.cluster import KMeans  # noqa: PLC0415
    from sklearn.metrics import pairwise_distances  # noqa: PLC0415

    points = _reduced(kernels)
    different = len(np.unique(np.round(points, 6), axis=0))
    if different < FEWEST:
        return None
    apart = pairwise_distances(points)
    np.fill_diagonal(apart, 0)

    def grouped(count: int, restarts: int) -> NDArray[np.int64]:
        found = KMeans(count, n_init=restarts, random_state=SEED).fit_predict(points)
        return np.asarray(found, np.int64)

    counts = range(2, min(MOST_GROUPS, different - 1) + 1)
    best = max(counts, key=lambda count: silhouette(apart, grouped(count, 1)))
    group = grouped(best, RESTARTS)
    order = np.argsort(-np.bincount(group, minlength=best), kind="stable")
    group = np.argsort(order)[group]
    centroids = np.stack([kernels[group == each].mean(axis=0) for each in range(best)])
    return Clusters(group, unit(centroids), silhouette(apart, group))


def silhouette(apart: Floats, group: NDArray[np.int64]) -> float:
    """Mean silhouette; scikit-learn's checks take ten times as long as its sums, and here are thousands of groupings.

    Source: Rousseeuw (1987), "Silhouettes", equation for s(i); a kernel alone in its group has 0.

    Args:
        apart: distances of all pairs, (N, N), 0 on the diagonal.
        group: of each, from 0, (N,).

    Returns:
        -1 to 1; -1 where all are in one group.
    """
    member = np.eye(int(group.max()) + 1)[group]
    size = member.sum(axis=0)
    if np.count_nonzero(size) < 2:
        return -1.0
    sums = apart @ member
    own = np.arange(len(group)), group
    inside = sums[own] / np.maximum(size[group] - 1, 1)
    means = np.where(size > 0, sums / np.maximum(size, 1), np.inf)
    means[own] = np.inf
    outside = means.min(axis=1)
    largest = np.maximum(inside, outside)
    score = np.divide(outside - inside, largest, out=np.zeros(len(group)), where=largest > 0)
    return float(np.where(size[group] > 1, score, 0.0).mean())


@functools.cache
def silhouette_of_noise(count: int, size: int) -> float | None:
    """Silhouette of as many random Gaussian kernels, in which there are no groups; None where `clusters` has none."""
    random = unit(np.random.default_rng(SEED).standard_normal((count, size)))
    found = clusters(upright(random))
    return None if found is None else found.silhouette


def _reduced(kernels: Floats) -> Floats:
    centred = kernels - kernels.mean(axis=0)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    return np.asarray(left[:, :DIRECTIONS] * size[:DIRECTIONS])
