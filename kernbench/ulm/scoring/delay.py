"""Labels that come a fixed time after their bubbles, and the samples that such labels are scored on.

At a delay of d the label of a bubble at sample n is at n + d. Scored are the outputs from sample d on, against the
bubbles of all samples but the last d: a line of L samples counts as one of L - d, whose sample n is the bubble's. What
the first d outputs say is not asked, because a bubble before the line could be meant; the last d bubbles have no label.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kernbench.errors import DataError, counted
from kernbench.training.settings import Loss

Lines = NDArray[Any]  # any number type


def shifted(counts: Lines, delay: int) -> Lines:
    """Labels as a network of this delay is trained: bubbles of the last samples have none, the first samples are empty.

    Args:
        counts: bubbles per sample, (N, L).
        delay: samples, 0 or more.

    Returns:
        (N, L) of the same type; the very labels at delay 0.

    Raises:
        DataError: see `check_delay`.
    """
    check_delay(delay, counts.shape[1])
    if not delay:
        return counts
    late = np.zeros_like(counts)
    late[:, delay:] = counts[:, :-delay]
    return late


def check_delay(delay: int, length: int) -> None:
    """Refuse lines that hold no label at a delay.

    Args:
        delay: samples.
        length: of the lines.

    Raises:
        DataError: the lines are not longer than the delay.
    """
    if delay >= length:
        raise DataError(
            f"labels come {counted(delay, 'sample')} after their bubbles: expected lines of more samples, got lines of "
            f"{length}; take longer lines or a network of a smaller delay"
        )


@dataclass(frozen=True)
class DelayedLoss:
    """A loss on the scored samples alone.

    Attributes:
        loss: of outputs and labels of one size.
        delay: samples, more than 0.
    """

    loss: Loss
    delay: int

    def __call__(self, prediction: Tensor, counts: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Loss of an output (B, 1, L) and the labels of its scored samples, (B, 1, L - delay)."""
        return self.loss(prediction[..., self.delay :], counts)
