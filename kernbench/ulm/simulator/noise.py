"""Receiver noise as in the published noise experiments: white, then low-passed together with the signal.

Source: Blanken et al. (2022), IEEE Trans. Med. Imaging 41(9), and its code SRML-1D.
"""

import numpy as np
import numpy.typing as npt
import scipy  # not scipy.signal: it takes half a second, and most cells have no noise

from kernbench.errors import DataError
from kernbench.ulm.simulator.population import stream
from kernbench.ulm.simulator.transducer import RATE_HZ

V_REF = 9.65  # reference voltage of the published noise levels; its origin is not documented
CUTOFF_HZ = 5.1e6  # three times the pulse frequency
SHORTEST = 16  # the filter extends a line by 15 samples, mirrored


def add_noise(voltage: npt.ArrayLike, level_percent: float, seed: int | np.random.Generator) -> npt.NDArray[np.float32]:
    """Lines with white noise added and signal and noise low-passed.

    Args:
        voltage: clean lines, shape (..., samples).
        level_percent: nominal standard deviation in percent of V_REF, before the filter, which leaves 0.384 of it.
            0 returns the lines unfiltered, as published; see `low_pass` for a filtered clean line.
        seed: an integer gives line i its own stream, so that its noise does not depend on the other lines; a generator
            is drawn from in the order of the lines.

    Returns:
        float32, shape as `voltage`.

    Raises:
        DataError: the level is negative or not finite, or lines are shorter than 16 samples.
    """
    clean = np.asarray(voltage)
    if not (np.isfinite(level_percent) and level_percent >= 0):
        raise DataError(f"noise level: expected a percentage of 0 or more, got {level_percent}")
    if level_percent == 0:
        return clean.astype(np.float32)
    if isinstance(seed, np.random.Generator):
        noise = seed.standard_normal(clean.shape)
    else:
        lines = range(int(np.prod(clean.shape[:-1])))
        noise = np.concatenate([stream(seed, line).standard_normal(clean.shape[-1]) for line in lines])
        noise = noise.reshape(clean.shape)
    noise *= level_percent / 100 * V_REF
    return low_pass(noise + clean)


def low_pass(voltage: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Lines (..., samples) through the Butterworth filter of the noise model, order 4, forward and backward.

    Raises:
        DataError: lines are shorter than 16 samples.
    """
    lines = np.asarray(voltage, dtype=np.float64)
    if lines.shape[-1] < SHORTEST:
        raise DataError(f"noise filter: needs lines of at least {SHORTEST} samples, got {lines.shape[-1]}")
    numerator, denominator = scipy.signal.butter(4, 2 * CUTOFF_HZ / RATE_HZ)
    return np.asarray(scipy.signal.filtfilt(numerator, denominator, lines), dtype=np.float32)
