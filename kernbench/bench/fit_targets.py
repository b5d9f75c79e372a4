"""Kernels that families are fitted to: two that the task asks for, three that textbooks have."""

from collections.abc import Callable, Mapping

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from kernbench.ulm.detectors.echo_taps import echo_taps, wiener_taps

Floats = NDArray[np.float64]

TAPS = 129
BAND = (0.016, 0.08)  # cycles per sample: 1 to 5 MHz, where echoes lie
NOISE_SEED = 0


def echo() -> Floats:
    """Echo of one simulated bubble: the 129 taps with the most energy, (129,)."""
    return echo_taps(TAPS)


def wiener() -> Floats:
    """Taps that turn the echo back into a pulse: the 129 with the most energy, (129,)."""
    return wiener_taps(TAPS)


def chirp() -> Floats:
    """A cosine whose frequency rises from one end of the echo band to the other, (129,)."""
    time = np.arange(TAPS)
    return _unit(scipy.signal.chirp(time, BAND[0], TAPS - 1, BAND[1]))


def step() -> Floats:
    """0 before lag 0 and 1 from there on, (129,)."""
    return _unit(np.arange(TAPS) >= TAPS // 2)


def noise() -> Floats:
    """White Gaussian noise of a fixed seed, (129,)."""
    return _unit(np.random.default_rng(NOISE_SEED).standard_normal(TAPS))


TARGETS: Mapping[str, Callable[[], Floats]] = {
    "echo": echo,
    "wiener": wiener,
    "chirp": chirp,
    "step": step,
    "noise": noise,
}


def _unit(taps: Floats | NDArray[np.bool_]) -> Floats:
    found = np.asarray(taps, np.float64)
    return np.asarray(found / np.linalg.norm(found), np.float64)
