"""Whether a network learned nothing: its loss is that of an output that says the same of every sample."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

# Outputs on the plateau are nearly flat, not flat.
LOSS_MARGIN = 0.99

LINES = 64  # whose loss is computed together

Counts = NDArray[Any]  # any number type
Loss = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, Any]]  # Any: terms of the loss


def learned_nothing(f1: float, blind: float, loss: Callable[[], float], flat_loss: Callable[[], float]) -> bool:
    """Whether a trained network is on the plateau where training starts: its loss is that of an output without change.

    The F1 of a flat output depends on its threshold alone: that of no detection, of a detection at every sample, or,
    where the threshold is within its ripple, of random detections. It is never above the blind floor of noise.

    Args:
        f1: mean over the test lines, at the headline tolerance.
        blind: the floor of random noise on these lines.
        loss: of the network on the validation lines; asked only where F1 is low.
        flat_loss: `constant_loss` of these lines; asked likewise.

    Returns:
        Whether F1 is at most the floor, and the loss at least 0.99 times the smallest of a constant output. The second
        condition spares a network that learned something the tolerance does not reward, such as a wrong delay.
    """
    return f1 <= blind and loss() >= LOSS_MARGIN * flat_loss()


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
