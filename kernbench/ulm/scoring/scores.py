"""From hits and misses to F1 and skill, and what a tolerance means; without torch, for the report's sake."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernbench.ulm.line import PULSE_FREQUENCY_HZ, SAMPLE_RATE_HZ, SPEED_OF_SOUND_M_PER_S

TOLERANCES = tuple(range(10))

# By formula, as published: eight half decades, then steps of 0.05.
THRESHOLDS: tuple[float, ...] = (
    *(10.0 ** (-5 + i / 2) for i in range(8)),
    *(0.10 + 0.05 * j for j in range(17)),
)

# The published guard: a precision or recall of zero is replaced, so that 0.001 means "no true positive".
ZERO_SCORE = 0.001
# At most one true positive in a thousand lines.
SILENT_F1 = 2 * ZERO_SCORE


# Any: the same arithmetic serves numpy arrays and torch tensors, and this module must not import torch.
def f1_scores(tp: Any, fn: Any, fp: Any) -> Any:
    """F1 of each line with the published guards (mode `compat`).

    A line without detections counts one false positive, a line without truths one miss; a precision or recall
    of zero becomes 0.001. Without a true positive F1 is therefore 0.001, also where nothing was to be found.

    Args:
        tp: truths with a detection within the tolerance, integers, any shape, numpy or torch.
        fn: truths without one, same shape.
        fp: detected samples with no truth within the tolerance, same shape.

    Returns:
        F1 in the same shape and kind: float64 of numpy, float32 (the arithmetic of the publication) of torch.

    Source: Blanken et al. (2022), published evaluation code; protocol 5.1.
    """
    precision = tp / (tp + fp + (tp + fp == 0))
    recall = tp / (tp + fn + (tp + fn == 0))
    precision = precision + ZERO_SCORE * (tp == 0)
    recall = recall + ZERO_SCORE * (tp == 0)
    return 2 * precision * recall / (precision + recall)


def is_silent(mean_f1: float) -> bool:
    """Whether a mean F1 is that of no hit at all."""
    return mean_f1 <= SILENT_F1


def skill(f1: ArrayLike, floor: ArrayLike) -> NDArray[np.float64]:
    """Share of the way from a blind guess to a perfect score: (F1 - floor) / (1 - floor).

    Args:
        f1: scores, any shape.
        floor: score of the best blind guess on the same lines and tolerance, broadcastable, below 1.

    Returns:
        1 for perfect, 0 for as good as blind, negative for worse; NaN where the floor itself is perfect.
    """
    score, blind = np.asarray(f1, np.float64), np.asarray(floor, np.float64)
    room = np.where(blind < 1, 1 - blind, np.nan)
    return np.asarray((score - blind) / room)


def tolerance_ns(samples: ArrayLike) -> NDArray[np.float64]:
    """A tolerance as echo arrival time [ns]: 16 ns a sample at 62.5 MHz."""
    return np.asarray(samples, np.float64) * (1e9 / SAMPLE_RATE_HZ)


def tolerance_um(samples: ArrayLike) -> NDArray[np.float64]:
    """A tolerance as depth, two-way [um]: half the sound path, 11.84 um a sample at 62.5 MHz."""
    return np.asarray(samples, np.float64) * (1e6 * SPEED_OF_SOUND_M_PER_S / 2 / SAMPLE_RATE_HZ)


def tolerance_wavelengths(samples: ArrayLike, pulse_hz: float = PULSE_FREQUENCY_HZ) -> NDArray[np.float64]:
    """A tolerance in two-way wavelengths of the pulse, each 73.5 samples at 62.5 MHz for 1.7 MHz."""
    return np.asarray(samples, np.float64) * (pulse_hz / 2 / SAMPLE_RATE_HZ)
