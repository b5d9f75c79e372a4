"""Blind floors: what detectors score that never look at the signal, on the very lines that were evaluated."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kernbench.errors import DataError
from kernbench.ulm.line import LABEL_SUPPORT, SAMPLES
from kernbench.ulm.scoring.scores import TOLERANCES, f1_scores
from kernbench.ulm.scoring.tolerance_counts import tolerance_counts

Counts = NDArray[Any]  # any number type: labels are stored as bytes
Floats = NDArray[np.float64]


def label_support(length: int) -> tuple[int, int]:
    """Samples that can hold a label, [start, stop): 312..8176 of a whole line, all of a shorter window.

    Args:
        length: samples of the evaluated lines; windows are taken from inside the support.
    """
    return LABEL_SUPPORT if length == SAMPLES else (0, length)


def comb_f1(
    counts: Counts,
    tolerances: Sequence[int] = TOLERANCES,
    support: tuple[int, int] | None = None,
    spacing: Literal["best", "widest"] = "best",
) -> Floats:
    """Per-line F1 of a comb that fires every s samples, starting at the start of the label support.

    Args:
        counts: bubbles per sample, (N, L).
        tolerances: samples, (n_tol,).
        support: [start, stop) of the comb; None takes `label_support`.
        spacing: "widest" takes s = 2 t + 1, the widest comb without gaps; "best" takes the s in 1..4 t + 2 of
            the largest mean F1 on these very lines, so that no skill comes from a weak floor.

    Returns:
        F1 (n_tol, N). Its mean over lines is the floor of `skill`.

    Raises:
        DataError: a support outside the line.
    """
    truth = np.asarray(counts) > 0.5
    if truth.ndim != 2 or not truth.size:
        raise DataError(f"floors need labels of shape (N, L), got {truth.shape}")
    length = truth.shape[1]
    start, stop = support or label_support(length)
    if not 0 <= start < stop <= length:
        raise DataError(f"the label support must be inside the line of {length} samples, got {start}..{stop}")
    return np.stack([_comb_row(truth, tolerance, start, stop, spacing) for tolerance in tolerances])


def random_f1(
    counts: Counts,
    tolerances: Sequence[int] = TOLERANCES,
    thresholds: Sequence[float] | None = None,
    *,
    seed: int,
) -> Floats:
    """Per-line F1 of independent uniform noise in [0, 1), thresholded: model R of the publication.

    Args:
        counts: bubbles per sample, (N, L).
        tolerances: samples, (n_tol,).
        thresholds: one per tolerance; None takes for each the step of 0.01 of the largest mean F1 here.
        seed: of the noise.

    Returns:
        F1 (n_tol, N).
    """
    noise = np.random.default_rng(seed).random(np.shape(counts), dtype=np.float32)
    candidates = np.arange(100) / 100 if thresholds is None else np.unique(np.asarray(thresholds, np.float64))
    f1 = np.asarray(f1_scores(*tolerance_counts(noise, np.asarray(counts), tolerances, candidates)))
    if thresholds is None:
        columns = f1.mean(axis=2).argmax(axis=1)
    else:
        columns = np.searchsorted(candidates, np.asarray(thresholds, np.float64))
    return np.asarray(f1[np.arange(len(tolerances)), columns])


def _comb_row(truth: NDArray[np.bool_], tolerance: int, start: int, stop: int, spacing: str) -> Floats:
    """Per-line F1 (N,) of the chosen comb at one tolerance."""
    widest = 2 * tolerance + 1
    spacings = range(1, 2 * widest + 1) if spacing == "best" else [widest]
    combs = np.zeros((len(spacings), truth.shape[1]), np.float32)
    for comb, step in zip(combs, spacings, strict=True):
        comb[start:stop:step] = 1
    f1 = _comb_scores(truth, combs, tolerance)
    return np.asarray(f1[f1.mean(axis=1).argmax()])


def _comb_scores(truth: NDArray[np.bool_], combs: NDArray[np.float32], tolerance: int) -> Floats:
    """Per-line F1 (combs, N): a comb is the same on every line, so counting is a product of matrices."""
    # Counts stay far below 2^24: float32 sums are exact.
    hits, near = _dilated(combs > 0, tolerance), _dilated(truth, tolerance)
    tp = (hits.astype(np.float32) @ truth.T.astype(np.float32)).astype(np.int64)
    fp = (combs @ (~near).T.astype(np.float32)).astype(np.int64)
    return np.asarray(f1_scores(tp, truth.sum(axis=1) - tp, fp))


def _dilated(mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Samples within reach of a true one, along the last axis; numpy does this twice as fast as torch on a CPU."""
    wide = mask.copy()
    for step in range(1, min(reach, mask.shape[-1] - 1) + 1):
        wide[..., step:] |= mask[..., :-step]
        wide[..., :-step] |= mask[..., step:]
    return wide
