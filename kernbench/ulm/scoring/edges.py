"""Hits and misses near the ends of lines, apart from those inside.

A truth or a detection counts where it lies: a truth near an end is hit by a detection within the tolerance on either
side of the border. So the two counts add up to those of the whole lines, see `tolerance_counts`.
"""

from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray

from kernbench.ulm.scoring.tolerance_counts import dilated, output_lines, truth_lines

Lines = NDArray[Any] | torch.Tensor  # Any: every number type


@dataclass(frozen=True)
class Pooled:
    """Counts over all lines of a part of each.

    Attributes:
        tp: hit truths.
        fn: missed truths.
        fp: false detected samples.
    """

    tp: int
    fn: int
    fp: int

    @property
    def f1(self) -> float | None:
        """2 TP / (2 TP + FN + FP), 0 without a hit; None where there is nothing to hit and no detection."""
        everything = 2 * self.tp + self.fn + self.fp
        return 2 * self.tp / everything if everything else None


def near_ends(length: int, ends: tuple[int, int], skipped: int = 0) -> torch.Tensor:
    """Which scored samples lie near an end: less than so many samples from it.

    Args:
        length: samples of a line.
        ends: samples before and behind the line that outputs see.
        skipped: samples at the start that are not scored, as with a delay.

    Returns:
        Booleans, (length - skipped,); all of them where the two ends meet.
    """
    sample = torch.arange(length)
    near = (sample < ends[0]) | (sample >= length - ends[1])
    return near[skipped:]


def counts_apart(
    prediction: Lines, counts: Lines, threshold: float, tolerance: int, near: torch.Tensor
) -> tuple[Pooled, Pooled]:
    """Counts of the dilation metric near the ends, and inside.

    Args:
        prediction: network output, (N, L) or (N, 1, L).
        counts: bubbles per sample, same layout.
        threshold: detections are strictly above it, in float32.
        tolerance: samples.
        near: samples near an end, (L,), see `near_ends`.

    Raises:
        DataError: NaN in the prediction.
    """
    output = output_lines(prediction).cpu()
    truth = truth_lines(counts).cpu()
    found = output > torch.tensor(threshold, dtype=torch.float32)
    hit = truth & dilated(found, tolerance)
    parts = hit, truth & ~hit, found & ~dilated(truth, tolerance)
    edge, inner = (Pooled(*(int(part[:, where].sum()) for part in parts)) for where in (near, ~near))
    return edge, inner
