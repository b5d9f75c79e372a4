"""Hits at every tolerance and threshold: all at once, and pair by pair as the published procedure is worded."""

import torch
from torch import Tensor
from torch.nn.functional import conv1d

from kernbench.bench.table import BenchTable
from kernbench.bench.timing import interleaved, where
from kernbench.errors import KernbenchError
from kernbench.ulm.scoring.protocol import THRESHOLDS, TOLERANCES
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
    rows: list[list[tuple[Tensor, Tensor, Tensor]]] = []
    for tolerance in TOLERANCES:
        window = torch.ones(1, 1, 2 * tolerance + 1)
        row = []
        for threshold in THRESHOLDS:
            fired = (output > torch.tensor(threshold, dtype=torch.float32)).float()[:, None]
            near_fired = conv1d(fired, window, padding=tolerance) >= 1
            near_truth = conv1d(truth, window, padding=tolerance) >= 1
            hit = (truth * near_fired).sum(dim=(1, 2))
            row.append((hit, truth.sum(dim=(1, 2)) - hit, (fired * ~near_truth).sum(dim=(1, 2))))
        rows.append(row)
    tp, fn, fp = (torch.stack([torch.stack([pair[i] for pair in row]) for row in rows]).long() for i in range(3))
    return tp, fn, fp


def table(lines: int = 96, turns: int = 3) -> BenchTable:
    """Time both ways on the same output, after checking that they count the same.

    Raises:
        KernbenchError: they do not.
    """
    output, counts = example_lines(lines)
    peers = {
        "all at once": lambda: tolerance_counts(output, counts, TOLERANCES, THRESHOLDS),
        "pair by pair": lambda: pair_by_pair(output, counts),
    }
    first, second = (peer() for peer in peers.values())
    if not all(torch.equal(a, b) for a, b in zip(first, second, strict=True)):
        raise KernbenchError("the two ways to count disagree: this is a bug of kernbench")
    found = interleaved(peers, turns=turns, warm_up=0)
    ours = found["all at once"].median
    return BenchTable(
        "metrics",
        f"Hits at {len(TOLERANCES)} tolerances and {len(THRESHOLDS)} thresholds, {lines} lines of "
        f"{output.shape[1]:,} samples, output given, {where()}",
        ["way", "s", "times ours"],
        [[name, timing.median, timing.median / ours] for name, timing in found.items()],
    )
