"""Kernels that families are fitted to: two that the task asks for, three that textbooks have."""

from collections.abc import Callable, Mapping

import numpy as np
import scipy.signal
import torch
from numpy.typing import NDArray

from kernbench.ulm.detectors.methods.echoes import ECHO_SAMPLES, simulated_bank
from kernbench.ulm.detectors.methods.wiener import deconvolve

Floats = NDArray[np.float64]

TAPS = 129
LEVEL = 1e-2  # noise power over the strongest bin of the echo, in the Wiener inverse
BAND = (0.016, 0.08)  # cycles per sample: 1 to 5 MHz, where echoes lie
NOISE_SEED = 0


def echo() -> Floats:
    """Echo of one simulated bubble, as a matched filter has it: the 129 taps with the most energy, (129,)."""
    return _strongest(simulated_bank().echoes[0].double().numpy())


def wiener() -> Floats:
    """Taps that turn the echo back into a pulse under moderate noise: the 129 with the most energy, (129,).

    It is the filter of the detector `wiener`, read from its answer to one impulse; taps of a cross-correlation run the
    other way.
    """
    impulse = torch.zeros(1, 2 * ECHO_SAMPLES, dtype=torch.float64)
    impulse[0, ECHO_SAMPLES] = 1
    answer = deconvolve(impulse, simulated_bank().echoes[0].double(), LEVEL)
    return _strongest(answer[0].numpy()[::-1])


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


def _strongest(taps: Floats) -> Floats:
    """The 129 neighbouring taps with the most energy."""
    energy = np.concatenate([[0.0], np.cumsum(np.square(taps))])
    first = int(np.argmax(energy[TAPS:] - energy[:-TAPS]))
    return _unit(taps[first : first + TAPS])


def _unit(taps: Floats | NDArray[np.bool_]) -> Floats:
    found = np.asarray(taps, np.float64)
    return np.asarray(found / np.linalg.norm(found), np.float64)
