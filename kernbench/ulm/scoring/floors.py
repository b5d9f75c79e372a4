"""Blind floors: what detectors score that never look at the signal, on the very lines that were evaluated."""

from collections.abc import Sequence
from typing import Any

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


def comb_f1(counts: Counts, tolerances: Sequence[int] = TOLERANCES) -> Floats:
    """Per-line F1 of a comb that fires every s samples, starting at the start of the label support.

    Of s in 1..4 t + 2 it takes the one of the largest mean F1 on these very lines, so that no skill comes from a weak
    floor.

    Args:
        counts: bubbles per sample, (N, L).
        tolerances: samples, (n_tol,).

    Returns:
        F1 (n_tol, N). Its mean over lines is the floor of `skill`.

    Raises:
        DataError: labels of another shape.
    """
    truth = np.asarray(counts) > 0.5
    if truth.ndim != 2 or not truth.size:
        raise DataError(f"floors need labels of shape (N, L), got {truth.shape}")
    return np.stack([_comb_row(truth, tolerance) for tolerance in tolerances])


def random_f1(counts: Counts, tolerances: Sequence[int] = TOLERANCES, *, seed: int) -> Floats:
    """Per-line F1 of independent uniform noise in [0, 1), thresholded: model R of the publication.

    The threshold of each tolerance is the step of 0.01 of the largest mean F1 on these very lines.

    Args:
        counts: bubbles per sample, (N, L).
        tolerances: samples, (n_tol,).
        seed: of the noise.

    Returns:
        F1 (n_tol, N).
    """
    noise = np.random.default_rng(seed).random(np.shape(counts), dtype=np.float32)
    f1 = np.asarray(f1_scores(*tolerance_counts(noise, np.asarray(counts), tolerances, np.arange(100) / 100)))
    return np.asarray(f1[np.arange(len(tolerances)), f1.mean(axis=2).argmax(axis=1)])


def _comb_row(truth: NDArray[np.bool_], tolerance: int) -> Floats:
    """Per-line F1 (N,) of the best comb at one tolerance."""
    start, stop = label_support(truth.shape[1])
    spacings = range(1, 4 * tolerance + 3)
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
