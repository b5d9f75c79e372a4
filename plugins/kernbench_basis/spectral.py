"""Spectral filters: leading eigenvectors of a Hankel matrix."""

import functools
from collections.abc import Sequence

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

import kernbench
from kernbench.kernels.building_blocks import Bank, interpolated

SMALLEST = 1e-12  # eigenvalue over the largest: below it eigenvectors are rounding noise


@functools.lru_cache(maxsize=16)
def hankel_filters(taps: int, count: int) -> tuple[Sequence[float], np.ndarray]:
    """Leading eigenpairs of Z_ij = 2 / ((i + j)^3 - (i + j)), i, j = 1 .. taps.

    Returns:
        Eigenvalues, largest first, and eigenvectors in rows, their largest element positive; as many of `count` as
        are above rounding.
    """
    total = np.add.outer(np.arange(1.0, taps + 1), np.arange(1.0, taps + 1))
    first = max(taps - count, 0)
    values, vectors = scipy.linalg.eigh(2 / (total**3 - total), subset_by_index=[first, taps - 1])
    values, rows = values[::-1], vectors.T[::-1]
    kept = values > SMALLEST * values[0]
    rows = rows[kept]
    signs = np.sign(rows[np.arange(len(rows)), np.abs(rows).argmax(1)])
    return values[kept], rows * signs[:, None]


class SpectralFilters(Bank):
    """k[n] = sum over r of c_r phi_r[n], phi_r the r-th eigenvector, of each side of lag 0 its own.

    Atoms have unit energy here; the published weight sigma_r^(1/4) is in the mixing. Between taps, straight lines.

    Args:
        spec: channels, kernel size, extent.
        filters: of each side; lowered to those above rounding.
    """

    fixed: Tensor

    def __init__(self, spec: kernbench.KernelSpec, filters: int = 12) -> None:
        super().__init__(spec)
        taps = _fixed(spec, filters)
        self.register_buffer("fixed", torch.from_numpy(taps).to(torch.get_default_dtype()))
        self.draw_mix(len(taps))

    def bank(self, grid: kernbench.LagGrid) -> Tensor:
        """The eigenvectors, interpolated where the grid is finer."""
        return interpolated(self.spec, self.fixed.to(grid.lags.dtype), grid)

    @staticmethod
    def param_count(spec: kernbench.KernelSpec, filters: int = 12) -> int:
        """R P, R filters of all sides."""
        return len(_fixed(spec, filters)) * spec.pairs

    @staticmethod
    def kernel_flops(spec: kernbench.KernelSpec, filters: int = 12) -> int:
        """2 K R P: the mixing."""
        return 2 * spec.kernel_size * len(_fixed(spec, filters)) * spec.pairs


def _fixed(spec: kernbench.KernelSpec, filters: int) -> np.ndarray:
    """The filters in their places, (R, K): of a centered kernel those of lags >= 0, then those before, mirrored."""
    taps = spec.kernel_size
    if spec.side != "centered":
        rows = hankel_filters(taps, filters)[1]
        return (rows if spec.side == "anticausal" else rows[:, ::-1]).copy()
    before = taps // 2
    later = hankel_filters(taps - before, filters)[1]
    found = [np.pad(later, ((0, 0), (before, 0)))]
    if before:
        found.append(np.pad(hankel_filters(before, filters)[1][:, ::-1], ((0, 0), (0, taps - before))))
    return np.concatenate(found)
