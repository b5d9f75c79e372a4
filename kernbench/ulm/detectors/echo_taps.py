"""Kernels that the task asks for: the echo of a bubble and what turns it back into a pulse."""

import functools

import numpy as np
import torch
from numpy.typing import NDArray

from kernbench.ulm.detectors.methods.echoes import ECHO_SAMPLES, simulated_bank
from kernbench.ulm.detectors.methods.wiener import deconvolve

Floats = NDArray[np.float64]

LEVEL = 1e-2  # noise power over the strongest bin of the echo, in the Wiener inverse


@functools.cache
def echo_taps(count: int) -> Floats:
    """Echo of one simulated bubble, as a matched filter has it: the neighbouring taps with the most energy.

    Args:
        count: taps.

    Returns:
        (count,), unit l2 norm.
    """
    return _strongest(simulated_bank().echoes[0].double().numpy(), count)


@functools.cache
def wiener_taps(count: int) -> Floats:
    """Taps that turn the echo back into a pulse under moderate noise: those neighbours with the most energy.

    It is the filter of the detector `wiener`, read from its answer to one impulse; taps of a cross-correlation run the
    other way.

    Args:
        count: taps.

    Returns:
        (count,), unit l2 norm.
    """
    impulse = torch.zeros(1, 2 * ECHO_SAMPLES, dtype=torch.float64)
    impulse[0, ECHO_SAMPLES] = 1
    answer = deconvolve(impulse, simulated_bank().echoes[0].double(), LEVEL)
    return _strongest(answer[0].numpy()[::-1], count)


def _strongest(taps: Floats, count: int) -> Floats:
    energy = np.concatenate([[0.0], np.cumsum(np.square(taps))])
    first = int(np.argmax(energy[count:] - energy[:-count]))
    found = taps[first : first + count]
    found = found / np.linalg.norm(found)
    found.flags.writeable = False  # it is kept
    return found
