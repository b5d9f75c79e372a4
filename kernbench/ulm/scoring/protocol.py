"""The published evaluation: choose a threshold per tolerance on a named split, freeze it, score others."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kernbench.errors import DataError
from kernbench.ulm.scoring.scores import THRESHOLDS, TOLERANCES, f1_scores
from kernbench.ulm.scoring.tolerance_counts import tolerance_counts

# Raised when a cell of the same settings gets other scores; `docs/protocol.md` lists the versions.
PROTOCOL_VERSION = 2
HEADLINE_TOLERANCE = 4

Lines = NDArray[Any] | torch.Tensor  # Any: every number type


class Counted:
    """F1 of what has counts `tp`, `fn` and `fp`, with the lines on their last axis."""

    tp: NDArray[np.int64]
    fn: NDArray[np.int64]
    fp: NDArray[np.int64]

    @cached_property
    def f1(self) -> NDArray[np.float64]:
        """Guarded F1 of each line, the shape of the counts."""
        return np.asarray(f1_scores(self.tp, self.fn, self.fp))

    @cached_property
    def mean_f1(self) -> NDArray[np.float64]:
        """Mean over lines (macro): the reported value, the shape of the counts less the lines."""
        return np.asarray(self.f1.mean(axis=-1))


@dataclass(frozen=True, eq=False)
class ScoreTable(Counted):
    """Counts of one split at every tolerance and threshold.

    Attributes:
        tolerances: samples, (n_tol,) int64.
        thresholds: (n_thr,) float64.
        tp: hit truths, (n_tol, n_thr, N) int64.
        fn: missed truths, same shape.
        fp: false detected samples, same shape.
    """

    tolerances: NDArray[np.int64]
    thresholds: NDArray[np.float64]
    tp: NDArray[np.int64]
    fn: NDArray[np.int64]
    fp: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Choice:
    """One threshold per tolerance, and where it was chosen.

    Attributes:
        split: name of the split that it was chosen on, "validation" or "train".
        tolerances: samples, (n_tol,).
        thresholds: the chosen values, (n_tol,).
        mean_f1: mean F1 that they reach on that split, (n_tol,).
    """

    split: str
    tolerances: NDArray[np.int64]
    thresholds: NDArray[np.float64]
    mean_f1: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Evaluation(Counted):
    """Scores of one split at the frozen thresholds.

    Attributes:
        tolerances: samples, (n_tol,).
        thresholds: (n_tol,).
        threshold_split: where the thresholds were chosen.
        tp: hit truths of each line, (n_tol, N).
        fn: missed truths, (n_tol, N).
        fp: false detected samples, (n_tol, N).
        oracle_gap: what choosing the thresholds on this very split would have added to the mean F1, (n_tol,).
    """

    tolerances: NDArray[np.int64]
    thresholds: NDArray[np.float64]
    threshold_split: str
    tp: NDArray[np.int64]
    fn: NDArray[np.int64]
    fp: NDArray[np.int64]
    oracle_gap: NDArray[np.float64]

    def at(self, tolerance: int) -> float:
        """Mean F1 at one tolerance [samples].

        Raises:
            DataError: the tolerance was not evaluated.
        """
        return float(self.mean_f1[tolerance_index(self.tolerances, tolerance)])


def tolerance_index(tolerances: NDArray[np.int64], tolerance: int) -> int:
    """Place of a tolerance in the list of evaluated ones.

    Raises:
        DataError: it is not there.
    """
    found = np.flatnonzero(tolerances == tolerance)
    if not len(found):
        raise DataError(f"tolerance {tolerance} was not evaluated; there are {tolerances.tolist()}")
    return int(found[0])


def score(
    prediction: Lines,
    counts: Lines,
    tolerances: Sequence[int] = TOLERANCES,
    thresholds: Sequence[float] = THRESHOLDS,
) -> ScoreTable:
    """Count hits and misses of one split at every tolerance and threshold.

    Args:
        prediction: network output, (N, L) or (N, 1, L), numpy or torch.
        counts: bubbles per sample, same layout.
        tolerances: samples.
        thresholds: on the output.

    Returns:
        The table, in numpy.

    Raises:
        DataError: NaN in the prediction, or sizes that differ.
    """
    found = tolerance_counts(prediction, counts, tolerances, thresholds)
    tp, fn, fp = (torch.as_tensor(each).cpu().numpy() for each in found)
    return ScoreTable(np.asarray(tolerances, np.int64), np.asarray(thresholds, np.float64), tp, fn, fp)


def join(tables: Sequence[ScoreTable]) -> ScoreTable:
    """Join tables of parts of one split, made with the same tolerances and thresholds, along the lines."""
    first = tables[0]
    tp, fn, fp = (np.concatenate([getattr(table, name) for table in tables], axis=2) for name in ("tp", "fn", "fp"))
    return ScoreTable(first.tolerances, first.thresholds, tp, fn, fp)


def choose_thresholds(table: ScoreTable, split: str) -> Choice:
    """Threshold of the largest mean F1 for each tolerance; the first one in the list wins a tie.

    Args:
        table: scores of the lines to choose on.
        split: name of those lines, kept with the result. Never the test lines.
    """
    best = table.mean_f1.argmax(axis=1)
    rows = np.arange(len(best))
    return Choice(split, table.tolerances, table.thresholds[best], table.mean_f1[rows, best])


def evaluate(prediction: Lines, counts: Lines, choice: Choice) -> Evaluation:
    """Score lines at thresholds that were chosen elsewhere.

    Args:
        prediction: network output, (N, L) or (N, 1, L).
        counts: bubbles per sample, same layout.
        choice: the frozen thresholds, one per tolerance.

    Returns:
        Counts per line at each tolerance. The oracle gap compares with the published list of thresholds.

    Raises:
        DataError: NaN in the prediction, or sizes that differ.
    """
    candidates = np.unique(np.concatenate([np.asarray(THRESHOLDS), choice.thresholds]))
    return freeze(score(prediction, counts, choice.tolerances.tolist(), candidates.tolist()), choice)


def freeze(table: ScoreTable, choice: Choice) -> Evaluation:
    """Read the frozen thresholds out of a table that holds them.

    Args:
        table: scores of the lines to evaluate, at the tolerances of the choice.
        choice: the frozen thresholds.

    Raises:
        DataError: another list of tolerances, or a frozen threshold that the table lacks.
    """
    if not np.array_equal(table.tolerances, choice.tolerances):
        raise DataError(f"tolerances differ: {table.tolerances.tolist()}, chosen {choice.tolerances.tolist()}")
    distance = np.abs(table.thresholds[None, :] - choice.thresholds[:, None])
    columns = distance.argmin(axis=1)
    if not np.allclose(table.thresholds[columns], choice.thresholds, rtol=1e-12, atol=0):
        raise DataError(f"the score table lacks a chosen threshold of {choice.thresholds.tolist()}")
    rows = np.arange(len(columns))
    tp, fn, fp = (each[rows, columns] for each in (table.tp, table.fn, table.fp))
    gap = table.mean_f1.max(axis=1) - table.mean_f1[rows, columns]
    return Evaluation(choice.tolerances, choice.thresholds, choice.split, tp, fn, fp, gap)
