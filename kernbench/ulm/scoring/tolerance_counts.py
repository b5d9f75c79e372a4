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

from kernbench.errors import DataError, counted
from kernbench.ulm.scoring.loss import as_lines

# Any: predictions and labels come in every number type.
Array = NDArray[Any]
BLOCK_SAMPLES = 2**18  # on a CPU, at a time: more of them leave the cache
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
        DataError: NaN in the prediction or the thresholds, sizes that differ, a tolerance that is no integer >= 0,
            or an empty list.

    Source: Blanken et al. (2022), published evaluation code; protocol 5.1 and 5.2.
    """
    output = output_lines(prediction)
    truth = truth_lines(counts).to(output.device)
    if output.shape != truth.shape:
        raise DataError(f"prediction and counts must have one size: got {tuple(output.shape)} and {tuple(truth.shape)}")
    given, limits = _list(tolerances), _list(thresholds).float()
    if not len(given) or bool(((given < 0) | (given != given.round()) | given.isinf()).any()):
        raise DataError(f"tolerances must be integers >= 0 in samples, at least one: got {given.tolist()}")
    if not len(limits) or bool(limits.isnan().any()):
        raise DataError(f"thresholds must be numbers, at least one: got {limits.tolist()}")
    (steps, tol_order), (levels, thr_order) = (each.to(output.device).sort() for each in (given.long(), limits))
    entries = (len(steps) + 1) * (len(levels) + 1)
    blocks = zip(_blocks(output, entries), _blocks(truth, entries), strict=True)
    hits, alarms = zip(*(_count(lines, label, steps.tolist(), levels) for lines, label in blocks), strict=True)
    tp, fp = (torch.cat(each, dim=2)[tol_order.argsort()][:, thr_order.argsort()] for each in (hits, alarms))
    fn = truth.sum(dim=1) - tp
    if isinstance(prediction, torch.Tensor):
        return tp, fn, fp
    return tp.numpy(), fn.numpy(), fp.numpy()


def _blocks(lines: torch.Tensor, entries: int) -> Sequence[torch.Tensor]:
    """Lines in groups whose temporaries (samples, and table entries per line) stay in a CPU's cache; else all."""
    if lines.device.type != "cpu":
        return (lines,)
    return torch.split(lines, max(1, BLOCK_SAMPLES // max(lines.shape[1], entries)))


def _count(
    output: torch.Tensor, truth: torch.Tensor, tolerances: list[int], levels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """True and false positives of some lines, (n_tol, n_thr, N) each; tolerances and levels ascending."""
    ranks = torch.bucketize(output, levels, out_int32=True)
    size = len(levels) + 1
    return _true_positives(ranks, truth, tolerances, size), _false_positives(ranks, truth, tolerances, size)


def _true_positives(ranks: torch.Tensor, truth: torch.Tensor, tolerances: list[int], size: int) -> torch.Tensor:
    """Hits (n_tol, n_thr, N): truths whose highest rank within the tolerance is above the threshold's."""
    reach = tolerances[-1]
    # Rank 0 stands for an output of minus infinity: nothing outside the record ever fires.
    padded = torch.nn.functional.pad(ranks, (reach, reach))
    line, sample = truth.nonzero(as_tuple=True)
    centre = line * padded.shape[1] + sample + reach
    flat = padded.flatten()
    best, done = flat[centre], 0
    places, found = line * (len(tolerances) * size), []
    for position, tolerance in enumerate(tolerances):
        for step in range(done + 1, tolerance + 1):
            best = best.maximum(flat[centre - step]).maximum(flat[centre + step])
        done = tolerance
        found.append(places + (position * size + best))
    histogram = torch.bincount(torch.cat(found), minlength=len(ranks) * len(tolerances) * size)
    above = _count_above(histogram.reshape(len(ranks), len(tolerances), size), dim=2)
    return above[:, :, :-1].permute(1, 2, 0)


def _false_positives(ranks: torch.Tensor, truth: torch.Tensor, tolerances: list[int], size: int) -> torch.Tensor:
    """False alarms (n_tol, n_thr, N): samples above the threshold, farther than the tolerance from truths."""
    zones = len(tolerances) + 1
    first = torch.arange(0, len(ranks) * zones * size, zones * size, device=ranks.device, dtype=torch.int32)
    # 32 bits are half the work of 64; a table with more places than that would not fit into memory
    places = first[:, None] + size * _tolerances_missed(truth, tolerances) + ranks
    histogram = torch.bincount(places.flatten(), minlength=len(ranks) * zones * size).reshape(-1, zones, size)
    above = _count_above(_count_above(histogram, dim=1), dim=2)
    return above[:, :-1, :-1].permute(1, 2, 0)


def _tolerances_missed(truth: torch.Tensor, tolerances: list[int]) -> torch.Tensor:
    """How many of the tolerances the distance to the nearest truth exceeds, (N, L) int32; all of them without one."""
    near, done = truth, 0
    missed = torch.zeros(truth.shape, dtype=torch.int32, device=truth.device)
    for tolerance in tolerances:
        near, done = dilated(near, tolerance - done), tolerance
        missed += ~near
    return missed


def dilated(mask: torch.Tensor, reach: int) -> torch.Tensor:
    """Samples at most `reach` from a true one, (N, L) booleans; nothing comes from outside the line."""
    reach = min(reach, mask.shape[1] - 1)
    done = 0
    while done < reach:
        # at the end of a line a truth covers done + 1 samples: moved by more it would leave a gap
        step = min(done + 1, reach - done)
        wide = mask.clone()
        wide[:, step:] |= mask[:, :-step]
        wide[:, :-step] |= mask[:, step:]
        mask, done = wide, done + step
    return mask


def _count_above(histogram: torch.Tensor, dim: int) -> torch.Tensor:
    """Entries strictly above each value along one axis."""
    return histogram.flip(dim).cumsum(dim).flip(dim) - histogram


def output_lines(prediction: Array | torch.Tensor) -> torch.Tensor:
    """Prediction as float32 lines (N, L), checked for NaN: a NaN would be ranked arbitrarily.

    Args:
        prediction: network output, (N, L) or (N, 1, L), numpy or torch; infinities are fine.

    Raises:
        DataError: NaN, another shape, or nothing in it.
    """
    if not isinstance(prediction, torch.Tensor):  # a copy, because torch warns of arrays that are mapped read-only
        prediction = torch.from_numpy(np.array(prediction, dtype=np.float32))
    lines = as_lines(prediction.detach(), "prediction").float()
    bad = int(lines.isnan().any(dim=1).sum())
    if bad:
        raise DataError(f"the prediction has NaN in {bad} of {counted(len(lines), 'line')}; scores need numbers")
    if not lines.numel():
        raise DataError(f"there is nothing to score: the prediction has shape {tuple(lines.shape)}")
    return lines


def truth_lines(counts: Array | torch.Tensor) -> torch.Tensor:
    """Label as booleans (N, L): where there is a bubble."""
    if not isinstance(counts, torch.Tensor):
        counts = torch.from_numpy(np.asarray(counts) > 0.5)
    return as_lines(counts, "counts") > 0.5


def _list(numbers: Numbers) -> torch.Tensor:
    """A list of numbers as float64; a copy, because torch warns of arrays that are mapped read-only."""
    array = numbers.detach().cpu() if isinstance(numbers, torch.Tensor) else torch.from_numpy(np.array(numbers, float))
    return array.double().reshape(-1)
