"""The one fitted delay of a detector: how much later than the label its score fires."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kernbench.ulm.scores import f1_scores

# Quantiles of a score that serve as thresholds: percent steps, and finer ones at the top, where few samples lie.
LEVELS = np.unique(np.concatenate([np.arange(100) / 100, 1 - np.logspace(-2, -4, 21)]))


@dataclass(frozen=True)
class Delay:
    """A delay and what it reaches.

    Attributes:
        samples: by which the score is moved to the front.
        mean_f1: at its best threshold on the lines it was fitted on.
    """

    samples: int
    mean_f1: float


def score_levels(score: Tensor) -> NDArray[np.float64]:
    """Thresholds for a score: 0 and 120 quantiles of its positive values, ascending and distinct, (n_thr,)."""
    positive = score[score > 0].sort().values
    if not len(positive):
        return np.zeros(1)
    places = torch.from_numpy(np.floor(LEVELS * len(positive)).astype(np.int64)).to(score.device)
    return np.unique(np.concatenate([[0.0], positive[places].double().cpu().numpy()]))


def advanced(score: Tensor, delay: int) -> Tensor:
    """The score moved to the front by a delay [samples]: n -> n - delay; zeros come in from the end, (N, L)."""
    return torch.nn.functional.pad(score, (0, delay))[:, delay:].contiguous()


def fit_delay(score: Tensor, counts: Tensor, delays: Sequence[int], tolerance: int) -> Delay:
    """The delay of the largest mean F1 (dilation) at the best of the score's own thresholds; the first one on ties.

    Args:
        score: z >= 0, (N, L).
        counts: bubbles per sample, (N, L).
        delays: samples, ascending.
        tolerance: samples.
    """
    mean_f1 = delay_f1(score, counts, delays, tolerance)
    best = int(mean_f1.argmax())
    return Delay(delays[best], float(mean_f1[best]))


def delay_f1(score: Tensor, counts: Tensor, delays: Sequence[int], tolerance: int) -> NDArray[np.float64]:
    """Best mean F1 over thresholds for each delay, (n_delays,).

    The same numbers as scoring `advanced(score, delay)` for each delay, but samples are ranked among the thresholds
    once and truths and false alarms are looked up at the shifted places.
    """
    levels = torch.from_numpy(score_levels(score)).to(score)
    truth = counts > 0.5
    hits = _Hits(torch.bucketize(score, levels, out_int32=True), truth, len(levels), max(delays), tolerance)
    total = truth.sum(dim=1)
    best = []
    for delay in delays:
        tp, fp = hits.at(delay)
        best.append(f1_scores(tp, total - tp, fp).double().mean(dim=1).max())
    return np.asarray(torch.stack(best).cpu().numpy())


class _Hits:
    """Hits and false alarms of a ranked score at any delay.

    Args:
        ranks: how many thresholds each sample exceeds, (N, L).
        truth: (N, L) booleans.
        levels: number of thresholds.
        reach: largest delay.
        tolerance: samples.
    """

    def __init__(self, ranks: Tensor, truth: Tensor, levels: int, reach: int, tolerance: int) -> None:
        self._lines, self._levels = len(ranks), levels
        # Rank 0 never fires: it stands for what lies outside the line, on either side.
        self._ranks = torch.nn.functional.pad(ranks, (0, reach + tolerance + 1))
        pitch = self._ranks.shape[1]
        self._truth_line, sample = truth.nonzero(as_tuple=True)
        near = sample[:, None] + torch.arange(-tolerance, tolerance + 1, device=ranks.device)
        # Before the line's start the delayed score has nothing, whatever the score has there.
        self._outside = near < 0
        self._near = self._truth_line[:, None] * pitch + near
        wide = torch.nn.functional.max_pool1d(truth.float()[:, None], 2 * tolerance + 1, 1, tolerance)[:, 0]
        self._far = torch.nn.functional.pad(wide == 0, (reach, 0))
        self._reach = reach
        self._line, self._sample = (ranks > 0).nonzero(as_tuple=True)
        self._rank = ranks[self._line, self._sample]

    def at(self, delay: int) -> tuple[Tensor, Tensor]:
        """Hits and false alarms at a delay, (n_thr, N) each."""
        near = self._ranks.flatten()[self._near.add(delay).clamp_(min=0)].masked_fill(self._outside, 0)
        alarm = self._far[self._line, self._sample + (self._reach - delay)]
        return (
            self._count(self._truth_line, near.amax(dim=1)),
            self._count(self._line[alarm], self._rank[alarm]),
        )

    def _count(self, line: Tensor, rank: Tensor) -> Tensor:
        """Entries above each threshold on each line, (n_thr, N)."""
        size = self._levels + 1
        table = torch.bincount(line * size + rank, minlength=self._lines * size).reshape(self._lines, size)
        return (table.flip(1).cumsum(1).flip(1) - table)[:, :-1].T
