"""The Cramer-Rao bound of the arrivals of all bubbles of a window together."""

import dataclasses

import numpy as np
import scipy  # not scipy.linalg, for the same reason as in kernbench.conv.plan

from kernbench.ulm.limit.noise_basis import usable_part
from kernbench.ulm.line import SAMPLE_RATE_HZ
from kernbench.ulm.simulator.echoes import Setup, echoes_alone
from kernbench.ulm.simulator.noise import V_REF
from kernbench.ulm.simulator.physics import WATER, FloatArray
from kernbench.ulm.simulator.scene import Bubbles, IntArray

SHIFT = 1 / 8  # samples by which a bubble is moved to both sides; 1/16 changes the derivative by 1.1e-4
FLOOR = 1e-9  # of the largest singular value: what is below cannot be told from 0


def sigma_volts(percent: float) -> float:
    """Standard deviation of the noise before its filter [a.u.] at a nominal level [percent]."""
    return percent / 100 * V_REF


def echo_slopes(bubbles: Bubbles, starts: IntArray, length: int, setup: Setup) -> FloatArray:
    """Derivative of the window of each bubble's line by the arrival of that bubble, its lateral position held.

    Args:
        bubbles: of one line or many.
        starts: first sample of the window of each line, (lines,).
        length: samples of a window.
        setup: how the lines are simulated.

    Returns:
        a.u. per sample, (bubbles, length).

    Raises:
        DataError: see `simulate_lines`.
    """
    late, early = (echoes_alone(moved(bubbles, by), starts, length, setup) for by in (SHIFT, -SHIFT))
    return (late.astype(np.float64) - early) / (2 * SHIFT)


def moved(bubbles: Bubbles, samples: float) -> Bubbles:
    """The bubbles farther away in depth, so that each arrives later by a number of samples."""
    path_m = samples * WATER.sound_speed / SAMPLE_RATE_HZ
    z = bubbles.z_m + path_m / (1 + bubbles.z_m / bubbles.range_m)
    lateral = bubbles.range_m**2 - bubbles.z_m**2
    return dataclasses.replace(bubbles, z_m=z, range_m=np.sqrt(z**2 + lateral))


def bounds(slopes: FloatArray) -> FloatArray:
    """Least standard deviation of the arrival of each bubble, at noise of 1 a.u. before its filter.

    The estimator is unbiased, and knows how many bubbles there are, their radii, the pressure and every constant. The
    bound is proportional to the noise. Two bubbles at one place have none; they get some 1e9 times that of each alone.

    Args:
        slopes: of `echo_slopes`, of all bubbles that reach one window, (bubbles, length).

    Returns:
        Samples per a.u., (bubbles,); infinite where the window has nothing of an echo.
    """
    if not len(slopes):
        return np.zeros(0)
    whitened = usable_part(slopes)
    size = np.linalg.norm(whitened, axis=1)
    seen = size > 0
    found = np.full(len(slopes), np.inf)
    found[seen] = _spread(whitened[seen] / size[seen, None]) / size[seen]
    return found


def _spread(units: FloatArray) -> FloatArray:
    """Root of the diagonal of the inverse of units @ units.T, rows of length 1, (bubbles, dimensions)."""
    # By singular values of the rows, not of their products: those have condition numbers of up to 4e19.
    triangle = np.zeros((len(units), len(units)))
    upper = scipy.linalg.qr(units.T, mode="r", check_finite=False)[0][: len(units)]
    triangle[: len(upper)] = upper
    _, values, right = scipy.linalg.svd(triangle, check_finite=False)
    return np.asarray(np.linalg.norm(right / np.maximum(values, FLOOR * values[0])[:, None], axis=0))
