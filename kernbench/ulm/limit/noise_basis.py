"""The part of a line that the noise filter leaves usable: an orthonormal basis of it.

Noise is white before the filter F, so noisy lines have the covariance sigma^2 F F^T, and the Fisher matrix of a
Jacobian J before the filter is J^T F^T (F F^T)^+ F J / sigma^2 = J^T W W^T J / sigma^2. W are the right singular
vectors of F whose singular values are not negligible: the filter drops out but for the band that it leaves usable.
"""

import functools

import numpy as np
import scipy  # not scipy.linalg, for the same reason as in kernbench.conv.plan

from kernbench.ulm.simulator.noise import low_pass
from kernbench.ulm.simulator.physics import FloatArray

USABLE = 1e-3  # of the largest singular value: about 11 MHz; rounding to float32 is still below the noise there
LONGEST = 4096  # samples whose filter is decomposed; a whole line would take many minutes and 2 GB
BAND = 707 / 2048  # share of all dimensions that is kept; the same at every length


def usable_part(signals: FloatArray) -> FloatArray:
    """Coordinates of signals in the part of a window that the noise filter leaves usable; noise is white there.

    Args:
        signals: before the filter, (n, length). Up to 4,096 samples the filter is decomposed with its mirrored ends;
            of longer ones the cosines of the same band are taken, which differ from it near the ends alone.

    Returns:
        (n, kept).

    Raises:
        DataError: windows shorter than 16 samples, see `low_pass`.
    """
    length = signals.shape[1]
    if length > LONGEST:
        return np.asarray(scipy.fft.dct(signals, norm="ortho")[:, : round(BAND * length)])
    return signals @ noise_basis(length)


@functools.lru_cache(maxsize=2)
def noise_basis(length: int) -> FloatArray:
    """Orthonormal columns W that span the usable part of a window of up to 4,096 samples, (length, kept).

    Raises:
        DataError: shorter than 16 samples, see `low_pass`.
    """
    response = low_pass(np.eye(length)).astype(np.float64).T
    squares = response.T @ response  # 1e-6 of the largest is far above rounding, so nothing is lost by squaring
    last = length - 1
    largest = float(scipy.linalg.eigh(squares, subset_by_index=[last, last], eigvals_only=True)[0])
    return np.asarray(scipy.linalg.eigh(squares, subset_by_value=[USABLE**2 * largest, np.inf])[1])
