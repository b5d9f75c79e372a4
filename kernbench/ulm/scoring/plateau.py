"""Whether training left a network where it begins: its score and its loss are those of a constant output."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kernbench.ulm.scoring.scores import f1_scores, is_silent
from kernbench.ulm.scoring.tolerance_counts import tolerance_counts

# Outputs on the plateau are nearly flat, not flat: they follow the density of bubbles. Of 11 networks of `k_sweep` and
# `omega_sweep` at `quick` that found no echo, F1 was 0.96 to 1.04 times the level, the loss 0.976 to 0.987.
F1_MARGIN = 1.05
LOSS_MARGIN = 0.97

LINES = 64  # whose loss is computed together

Counts = NDArray[Any]  # any number type
Loss = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, Any]]  # Any: terms of the loss


def everywhere_f1(counts: Counts, tolerance: int) -> float:
    """Mean F1 over lines where every sample is a detection: no truth is missed, all that is far from one is false.

    Args:
        counts: bubbles per sample, (N, L).
        tolerance: samples.
    """
    found = tolerance_counts(np.ones(counts.shape, np.float32), counts, (tolerance,), (0.5,))
    return float(f1_scores(*found).mean())


def on_plateau(f1: float, everywhere: float, loss: Callable[[], float], flat_loss: Callable[[], float]) -> bool:
    """Whether a trained network is where training starts: no better than an output that never changes.

    Such an output has a detection at every sample or at none, which depends on its threshold alone.

    Args:
        f1: mean over the test lines, at the headline tolerance.
        everywhere: `everywhere_f1` of these lines.
        loss: of the network on the validation lines; asked only where F1 is low.
        flat_loss: `constant_loss` of these lines; asked likewise.

    Returns:
        Whether F1 is that of no detection, or at most 1.05 times that of a detection at every sample, and the loss is
        at least 0.97 times the smallest of a constant output. The second condition spares a network that fires
        nearly everywhere although it fits its lines better.
    """
    low = is_silent(f1) or f1 <= F1_MARGIN * everywhere
    return low and loss() >= LOSS_MARGIN * flat_loss()


def mean_loss(output: NDArray[Any], counts: Counts, loss: Loss) -> float:
    """Loss of an output on lines, mean over lines; (N, L) each."""
    total = 0.0
    for start in range(0, len(output), LINES):
        # copies: lines of the cache are mapped read-only, which torch warns of
        values, labels = (
            torch.tensor(np.asarray(each[start : start + LINES], np.float32)) for each in (output, counts)
        )
        total += float(loss(values.unsqueeze(1), labels.unsqueeze(1))[0]) * len(values)
    return total / len(output)


def constant_loss(counts: Counts, loss: Loss) -> float:
    """The smallest loss that an output reaches that is the same at every sample, mean over lines.

    Both terms of the dual loss are convex in a constant output between 0 and 1, so there is one minimum.

    Args:
        counts: bubbles per sample, (N, L).
        loss: that training minimizes.
    """
    from scipy.optimize import minimize_scalar  # noqa: PLC0415  # few cells need it, and it takes a while

    def of_constant(value: float) -> float:
        return mean_loss(np.full(counts.shape, value, np.float32), counts, loss)

    found = minimize_scalar(of_constant, bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-4})
    return min(float(found.fun), of_constant(0.0))
