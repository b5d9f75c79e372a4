"""Hits at every tolerance and threshold: all in one pass, and pair by pair as the published procedure is worded."""

from itertools import product

import torch
from torch import Tensor
from torch.nn.functional import conv1d

from kernbench.bench.table import BenchTable
from kernbench.bench.timing import interleaved, where
from kernbench.errors import KernbenchError
from kernbench.ulm.scoring.scores import THRESHOLDS, TOLERANCES
from kernbench.ulm.scoring.tolerance_counts import tolerance_counts

DENSITY = 0.06  # bubbles per sample, as in the published test lines


def example_lines(lines: int, samples: int = 8446, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Output and counts (lines, samples) of a network that is neither good nor silent: every sample fires somewhere."""
    generator = torch.Generator().manual_seed(seed)
    counts = (torch.rand(lines, samples, generator=generator) < DENSITY).float()
    output = 0.3 * torch.rand(lines, samples, generator=generator)
    return output + 0.5 * counts * torch.rand(lines, samples, generator=generator), counts


def pair_by_pair(output: Tensor, counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """TP, FN, FP (n_tol, n_thr, N) as the protocol words them (5.1): threshold, widen both sides, count; per pair."""
    truth = (counts > 0.5).float()[:, None]
    pairs = [one_pair(output[:, None], truth, *pair) for pair in product(TOLERANCES, THRESHOLDS)]
    shape = len(TOLERANCES), len(THRESHOLDS), len(output)
    tp, fn, fp = (torch.stack(each).long().reshape(shape) for each in zip(*pairs, strict=True))
    return tp, fn, fp


def one_pair(output: Tensor, truth: Tensor, tolerance: int, threshold: float) -> tuple[Tensor, Tensor, Tensor]:
    """TP, FN, FP (N,) of output and truth, (N, 1, L) each, at one tolerance and threshold."""
    window = torch.ones(1, 1, 2 * tolerance + 1)
    fired = (output > torch.tensor(threshold, dtype=torch.float32)).float()
    near_fired = conv1d(fired, window, padding=tolerance) >= 1
    near_truth = conv1d(truth, window, padding=tolerance) >= 1
    hit = (truth * near_fired).sum(dim=(1, 2))
    return hit, truth.sum(dim=(1, 2)) - hit, (fired * ~near_truth).sum(dim=(1, 2))


def table(lines: int = 96, turns: int = 3) -> BenchTable:
    """Time both ways on the same output, after checking that they count the same.

    Raises:
        KernbenchError: they do not.
    """
    output, counts = example_lines(lines)
    peers = {
        "one pass": lambda: tolerance_counts(output, counts, TOLERANCES, THRESHOLDS),
        "pair by pair": lambda: pair_by_pair(output, counts),
    }
    first, second = (peer() for peer in peers.values())
    if not all(torch.equal(a, b) for a, b in zip(first, second, strict=True)):
        raise KernbenchError("the two ways to count disagree: this is a bug of kernbench")
    found = interleaved(peers, turns=turns, warm_up=0)
    ours = found["one pass"].median
    return BenchTable(
        "metrics",
        f"Hits at {len(TOLERANCES)} tolerances and {len(THRESHOLDS)} thresholds, {lines} lines of "
        f"{output.shape[1]:,} samples, output given, {where()}",
        ["way", "s", "times ours"],
        [[name, timing.median, timing.median / ours] for name, timing in found.items()],
    )
