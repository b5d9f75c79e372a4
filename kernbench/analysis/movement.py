"""How far training moved numbers: relative changes, taps that stayed without weight."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernbench.errors import KernbenchError

Floats = NDArray[np.float64]

UNMOVED = 1e-3  # relative change below which a kernel counts as not moved
DEAD = 1e-3  # of the largest tap of a layer; a lag where every kernel is below it counts as dead


def relative_change(before: ArrayLike, after: ArrayLike) -> float:
    """norm(after - before) / norm(before), of all numbers together; NaN where there were only zeros.

    Raises:
        KernbenchError: two shapes, or numbers that are not finite.
    """
    first, last = _pair(before, after)
    size = float(np.linalg.norm(first))
    return float(np.linalg.norm(last - first)) / size if size > 0 else float("nan")


def unmoved_share(before: ArrayLike, after: ArrayLike) -> float:
    """Share of the kernels of a layer that changed by less than a thousandth of their norm; NaN without any.

    Args:
        before: taps along the last axis, (N, K); kernels of zeros do not count.
        after: the same kernels later.

    Raises:
        KernbenchError: two shapes, or numbers that are not finite.
    """
    first, last = _pair(before, after)
    size = np.linalg.norm(first, axis=-1)
    change = np.linalg.norm(last - first, axis=-1)[size > 0] / size[size > 0]
    return float(np.mean(change < UNMOVED)) if len(change) else float("nan")


def dead_lags(kernels: ArrayLike) -> NDArray[np.bool_]:
    """Lags at which every kernel of a layer is below a thousandth of its largest tap, (K,).

    Args:
        kernels: taps along the last axis, (N, K), finite.

    Raises:
        KernbenchError: numbers that are not finite.
    """
    taps = np.abs(_pair(kernels, kernels)[0])
    largest = taps.reshape(-1, taps.shape[-1]).max(axis=0)
    return np.asarray(largest <= DEAD * largest.max())


def _pair(before: ArrayLike, after: ArrayLike) -> tuple[Floats, Floats]:
    first, last = np.asarray(before, np.float64), np.asarray(after, np.float64)
    if first.shape != last.shape or not first.size:
        raise KernbenchError(f"a change needs two arrays of one shape, got {first.shape} and {last.shape}")
    if not (np.isfinite(first).all() and np.isfinite(last).all()):
        raise KernbenchError("a change needs finite numbers; these have NaN or infinity")
    return first, last
