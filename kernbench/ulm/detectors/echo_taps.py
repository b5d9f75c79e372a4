"""Kernels that the task asks for: the echo of a bubble and what turns it back into a pulse."""

import functools

import numpy as np
import torch
from numpy.typing import NDArray

from kernbench.ulm.detectors.methods.echoes import simulated_bank
from kernbench.ulm.detectors.methods.wiener import deconvolve
from kernbench.ulm.line import DEFAULT_PULSE

Floats = NDArray[np.float64]

LEVEL = 1e-2  # noise power over the strongest bin of the echo, in the Wiener inverse


@functools.cache
def echo_taps(count: int, pulse: str = DEFAULT_PULSE) -> Floats:
    """Echo of one simulated bubble, as a matched filter has it: the neighbouring taps with the most energy.

    Args:
        count: taps.
        pulse: that drives the bubble.

    Returns:
        (count,), unit l2 norm.
    """
    return _strongest(_echo(pulse, count).numpy(), count)


@functools.cache
def wiener_taps(count: int, pulse: str = DEFAULT_PULSE) -> Floats:
    """Taps that turn the echo back into a pulse under moderate noise: those neighbours with the most energy.

    It is the filter of the detector `wiener`, read from its answer to one impulse; taps of a cross-correlation run the
    other way.

    Args:
        count: taps.
        pulse: that drives the bubble.

    Returns:
        (count,), unit l2 norm.
    """
    echo = _echo(pulse, count)
    impulse = torch.zeros(1, 2 * len(echo), dtype=torch.float64)
    impulse[0, len(echo)] = 1
    answer = deconvolve(impulse, echo, LEVEL)
    return _strongest(answer[0].numpy()[::-1], count)


def _echo(pulse: str, count: int) -> torch.Tensor:
    """The echo, at least as long as the taps that are wanted, (K,) float64."""
    echo = simulated_bank(pulse=pulse).echoes[0].double()
    return torch.nn.functional.pad(echo, (0, max(0, count - len(echo))))


def _strongest(taps: Floats, count: int) -> Floats:
    energy = np.concatenate([[0.0], np.cumsum(np.square(taps))])
    first = int(np.argmax(energy[count:] - energy[:-count]))
    found = taps[first : first + count]
    found = found / np.linalg.norm(found)
    found.flags.writeable = False  # it is kept
    return found
