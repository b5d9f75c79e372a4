"""The one fitted delay of a detector: how much later than the label its score fires."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kernbench.ulm.scoring.scores import f1_scores

# Quantiles of a score that serve as thresholds: percent steps, and finer ones at the top, of which there are few.
LEVELS = np.unique(np.concatenate([np.arange(100) / 100, 1 - np.logspace(-2, -4, 21)]))
# Cells of a table of delays, lines and thresholds: few enough for the cache of a core, or many, to hide launches.
ELEMENTS = {"cpu": 1 << 16, "cuda": 1 << 24}


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


def fit_delay(score: Tensor, counts: Tensor, delays: Sequence[int], tolerance: int) -> tuple[int, float]:
    """The delay [samples] of the largest mean F1 (dilation) at the best of the score's own thresholds, and that F1.

    The first one on ties.

    Args:
        score: z >= 0, (N, L).
        counts: bubbles per sample, (N, L).
        delays: samples, ascending.
        tolerance: samples.
    """
    mean_f1 = delay_f1(score, counts, delays, tolerance)
    best = int(mean_f1.argmax())
    return delays[best], float(mean_f1[best])


def delay_f1(score: Tensor, counts: Tensor, delays: Sequence[int], tolerance: int) -> NDArray[np.float64]:
    """Best mean F1 over thresholds for each delay, (n_delays,).

    The same numbers as scoring `advanced(score, delay)` for each delay. But samples are ranked among the thresholds
    once, and false alarms are counted once: from one delay to the next only those change at which a stretch without
    truths begins or ends.
    """
    levels = torch.from_numpy(score_levels(score)).to(score)
    ranks = torch.bucketize(score, levels, out_int32=True)
    ranked = _Ranked(ranks, len(levels), max(delays) + 1, tolerance)
    truth = counts > 0.5
    total = truth.sum(dim=1, keepdim=True)
    far = torch.nn.functional.max_pool1d(truth.float()[:, None], 2 * tolerance + 1, 1, tolerance)[:, 0] == 0
    before = torch.nn.functional.pad(far, (1, 0))[:, :-1]
    truths, begins, ends, alarms = (mask.nonzero() for mask in (truth, far & ~before, before & ~far, far & (ranks > 0)))
    fp = _above(ranked.numbers(alarms, range(1)))[0]
    best = []
    for some in ranked.parts():
        tp = _above(ranked.hits(truths, some))
        change = _above(ranked.numbers(ends, some) - ranked.numbers(begins, some))
        grown = fp + change.cumsum(0)
        f1 = f1_scores(tp, total - tp, grown - change)  # `change` leads to the next delay
        best.append(f1.double().mean(dim=1).amax(dim=1))
        fp = grown[-1]
    return np.asarray(torch.cat(best).cpu().numpy()[list(delays)])


def _above(histogram: Tensor) -> Tensor:
    """Entries above each threshold from those of each rank, highest first: the order of thresholds is reversed."""
    return histogram.cumsum(-1)[..., :-1]


class _Ranked:
    """Ranked lines, read later and later.

    Args:
        ranks: how many thresholds each sample exceeds, (N, L).
        levels: number of thresholds.
        delays: 0, 1, ... below this number.
        tolerance: samples.
    """

    def __init__(self, ranks: Tensor, levels: int, delays: int, tolerance: int) -> None:
        self._lines, self._size = len(ranks), levels + 1
        self._delays, self._tolerance = delays, tolerance
        # Rank 0 never fires: what is behind the end of the line has it, too.
        padded = torch.nn.functional.pad(ranks, (0, delays + tolerance))
        ahead = torch.nn.functional.max_pool1d(padded.float()[:, None], tolerance + 1, 1)[:, 0]
        # The place of line and rank in a histogram, so that nothing but the delay has to be added to it.
        first = torch.arange(self._lines, dtype=torch.int32, device=ranks.device)[:, None] * self._size
        self._here, self._ahead = first + levels - padded, first + levels - ahead.to(torch.int32)

    def parts(self) -> Iterator[range]:
        """The delays, a few at a time."""
        cells = ELEMENTS.get(self._here.device.type, ELEMENTS["cpu"])
        step = max(1, cells // (self._lines * self._size))
        return (range(start, min(start + step, self._delays)) for start in range(0, self._delays, step))

    def hits(self, truths: Tensor, delays: range) -> Tensor:
        """Truths, rows (line, sample), by the highest rank within the tolerance, as `numbers`."""
        # Two halves, [n - t, n] and [n, n + t]; before the start the delayed score has nothing, whatever came earlier.
        line, sample = truths.unbind(dim=1)
        first = torch.stack([line, (sample - self._tolerance).clamp(min=0)], dim=1)
        return self._histogram(_read(self._ahead, first, delays).minimum(_read(self._ahead, truths, delays)))

    def numbers(self, samples: Tensor, delays: range) -> Tensor:
        """Samples, rows (line, sample), by their delayed rank, highest first, (n_delays, N, n_thr + 1) float32."""
        return self._histogram(_read(self._here, samples, delays))

    def _histogram(self, places: Tensor) -> Tensor:
        cells, many = self._lines * self._size, places.shape[1]
        places = places + torch.arange(many, dtype=torch.int32, device=places.device) * cells
        table = torch.bincount(places.flatten(), minlength=many * cells)
        # Exact in float32, which f1_scores computes in anyway.
        return table.reshape(many, self._lines, self._size).float()


def _read(places: Tensor, samples: Tensor, delays: range) -> Tensor:
    """Places in a histogram of samples (n, 2) at each delay, (n, n_delays) int32."""
    line, sample = samples.unbind(dim=1)
    return places[:, delays.start :].unfold(1, len(delays), 1)[line, sample]
