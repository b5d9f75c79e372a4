"""Hits and misses at every tolerance and threshold from one pass over the network's output.

The published procedure thresholds the output, widens detections and truths by the tolerance and counts,
once for each pair of tolerance and threshold. Here each sample is ranked among the thresholds once. A truth
is hit at all thresholds below the highest rank within its tolerance, because a maximum commutes with ranking;
whether a detection is false does not depend on the threshold that made it. Both are cumulated histograms.
"""

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray

from kernbench.errors import DataError
from kernbench.ulm.loss import as_lines
from kernbench.ulm.scores import f1_scores

__all__ = ["f1_scores", "tolerance_counts"]

# Any: predictions and labels come in every number type.
Array = NDArray[Any]
FAR_AWAY = 2**40  # beyond any tolerance, also on lines shorter than the tolerance
Numbers = Sequence[float] | Array | torch.Tensor


@overload
def tolerance_counts(
    prediction: torch.Tensor, counts: Array | torch.Tensor, tolerances: Numbers, thresholds: Numbers
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]: ...
@overload
def tolerance_counts(
    prediction: Array, counts: Array | torch.Tensor, tolerances: Numbers, thresholds: Numbers
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]: ...


def tolerance_counts(
    prediction: Array | torch.Tensor, counts: Array | torch.Tensor, tolerances: Numbers, thresholds: Numbers
) -> tuple[Any, Any, Any]:
    """True positives, misses and false positives of each line, the published dilation metric (mode `compat`).

    A sample is a detection where the output is strictly above the threshold, both in float32. True positives
    count truths with a detection within the tolerance, misses truths without, false positives detections
    with no truth within the tolerance; several detections may share a truth and the reverse.

    Args:
        prediction: network output, (N, L) or (N, 1, L), numpy or torch; infinities are fine.
        counts: bubbles per sample in the same layout; more than 0.5 is a truth.
        tolerances: samples, integers >= 0, (n_tol,), any order.
        thresholds: (n_thr,), any order, rounded to float32.

    Returns:
        tp, fn, fp: int64, each (n_tol, n_thr, N), of the kind (and on the device) of the prediction.

    Raises:
        DataError: NaN in the prediction or the thresholds, sizes that differ, a tolerance that is not a whole
            number >= 0, or an empty list.

    Source: Blanken et al. (2022), published evaluation code; protocol 5.1 and 5.2.
    """
    output = _output(prediction)
    truth = _truth(counts).to(output.device)
    _check_pair(output, truth)
    steps, tol_order = _sorted_tolerances(tolerances, output.device)
    levels, thr_order = _sorted_thresholds(thresholds, output.device)
    ranks = torch.bucketize(output, levels, out_int32=True)
    tp = _true_positives(ranks, truth, steps.tolist(), len(levels))
    fp = _false_positives(ranks, truth, steps, len(levels))
    tp, fp = tp[tol_order][:, thr_order], fp[tol_order][:, thr_order]
    fn = truth.sum(dim=1) - tp
    if isinstance(prediction, torch.Tensor):
        return tp, fn, fp
    return tp.numpy(), fn.numpy(), fp.numpy()


def _true_positives(ranks: torch.Tensor, truth: torch.Tensor, tolerances: list[int], n_thresholds: int) -> torch.Tensor:
    """Hits (n_tol, n_thr, N): truths whose highest rank within the tolerance is above the threshold's."""
    reach = tolerances[-1]
    # Rank 0 stands for an output of minus infinity: nothing outside the record ever fires.
    padded = torch.nn.functional.pad(ranks, (reach, reach))
    line, sample = truth.nonzero(as_tuple=True)
    centre = line * padded.shape[1] + sample + reach
    flat = padded.flatten()
    best, hits, done = flat[centre], [], 0
    for tolerance in tolerances:
        for step in range(done + 1, tolerance + 1):
            best = best.maximum(flat[centre - step]).maximum(flat[centre + step])
        done = tolerance
        histogram = _histogram((line, len(ranks)), (best, n_thresholds + 1))
        hits.append(_count_above(histogram, dim=1)[:, :-1].T)
    return torch.stack(hits)


def _false_positives(
    ranks: torch.Tensor, truth: torch.Tensor, tolerances: torch.Tensor, n_thresholds: int
) -> torch.Tensor:
    """False alarms (n_tol, n_thr, N): samples above the threshold, farther than the tolerance from truths."""
    # How many of the tolerances the nearest truth exceeds; a sample far from all has them all.
    misses = torch.bucketize(_distance_to_truth(truth), tolerances, out_int32=True)
    line, sample = ((ranks > 0) & (misses > 0)).nonzero(as_tuple=True)
    histogram = _histogram(
        (line, len(ranks)),
        (misses[line, sample], len(tolerances) + 1),
        (ranks[line, sample], n_thresholds + 1),
    )
    above = _count_above(_count_above(histogram, dim=1), dim=2)
    return above[:, :-1, :-1].permute(1, 2, 0)


def _distance_to_truth(truth: torch.Tensor) -> torch.Tensor:
    """Samples to the nearest truth of the line, (N, L) integers; FAR_AWAY where the line has none."""
    here = torch.arange(truth.shape[1], device=truth.device)
    before = here.where(truth, -FAR_AWAY).cummax(dim=1).values
    after = here.where(truth, FAR_AWAY).flip(1).cummin(dim=1).values.flip(1)
    return torch.minimum(here - before, after - here)


def _histogram(*axes: tuple[torch.Tensor, int]) -> torch.Tensor:
    """How often each combination of values occurs: pairs (values, size) in, counts (size, ...) out."""
    index, total = axes[0][0].long(), axes[0][1]
    for values, size in axes[1:]:
        index, total = index * size + values, total * size
    return torch.bincount(index, minlength=total).reshape([size for _, size in axes])


def _count_above(histogram: torch.Tensor, dim: int) -> torch.Tensor:
    """Entries strictly above each value along one axis."""
    return histogram.flip(dim).cumsum(dim).flip(dim) - histogram


def _output(prediction: Array | torch.Tensor) -> torch.Tensor:
    """Prediction as float32 lines (N, L), checked for NaN: a NaN would be ranked arbitrarily."""
    if not isinstance(prediction, torch.Tensor):
        prediction = torch.from_numpy(np.array(prediction, dtype=np.float32))
    lines = as_lines(prediction.detach(), "prediction").float()
    bad = int(lines.isnan().any(dim=1).sum())
    if bad:
        raise DataError(f"the prediction has NaN in {bad} of {len(lines)} lines; a score needs numbers")
    return lines


def _truth(counts: Array | torch.Tensor) -> torch.Tensor:
    """Label as booleans (N, L)."""
    if not isinstance(counts, torch.Tensor):
        counts = torch.from_numpy(np.asarray(counts) > 0.5)
    return as_lines(counts, "counts") > 0.5


def _check_pair(output: torch.Tensor, truth: torch.Tensor) -> None:
    if output.shape != truth.shape:
        raise DataError(f"prediction and counts must have one size: got {tuple(output.shape)} and {tuple(truth.shape)}")
    if not output.numel():
        raise DataError(f"there is nothing to score: the prediction has shape {tuple(output.shape)}")


def _list(numbers: Numbers) -> torch.Tensor:
    """A list of numbers as float64; a copy, because torch warns of arrays that are mapped read-only."""
    array = numbers.detach().cpu() if isinstance(numbers, torch.Tensor) else torch.from_numpy(np.array(numbers, float))
    return array.double().reshape(-1)


def _sorted_tolerances(tolerances: Numbers, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Tolerances ascending (int64), and the places of the given ones in that order."""
    given = _list(tolerances)
    if not len(given) or bool(((given < 0) | (given != given.round()) | given.isinf()).any()):
        raise DataError(f"tolerances must be whole samples >= 0, at least one: got {given.tolist()}")
    ascending, order = given.long().to(device).sort()
    return ascending, order.argsort()


def _sorted_thresholds(thresholds: Numbers, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Thresholds ascending (float32), and the places of the given ones in that order."""
    given = _list(thresholds).float()
    if not len(given) or bool(given.isnan().any()):
        raise DataError(f"thresholds must be numbers, at least one: got {given.tolist()}")
    ascending, order = given.to(device).sort()
    return ascending, order.argsort()
