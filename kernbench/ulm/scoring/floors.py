"""Blind floors: what detectors score that never look at the signal, on the very lines that were evaluated."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernbench.errors import DataError
from kernbench.ulm.line import LABEL_SUPPORT, SAMPLES
from kernbench.ulm.scoring.rates import moved_length, moved_samples, moved_tolerances
from kernbench.ulm.scoring.scores import TOLERANCES, f1_scores
from kernbench.ulm.scoring.tolerance_counts import tolerance_counts

Counts = NDArray[Any]  # any number type: labels are stored as bytes
Floats = NDArray[np.float64]
Support = tuple[int, int]

NOISE_SEED = 2022  # of the noise of every floor, a part of its definition
FLOORS_TEXT = "comb and random: blind floors, the best comb and the best rate of one fixed noise on these very lines"
NOISE_THRESHOLDS = np.arange(100) / 100


def label_support(length: int, factor: float = 1.0, support: Support = LABEL_SUPPORT) -> Support:
    """Samples that can hold a label, [start, stop): 312..8176 of a whole line, all of a shorter window.

    Args:
        length: samples of the evaluated lines; windows are taken from inside the support.
        factor: sampling rate of these lines over that of training.
        support: of a whole line at the rate of training; it depends on the pulse.
    """
    if length != moved_length(SAMPLES, factor):
        return 0, length
    first, last = moved_samples((support[0], support[1] - 1), factor).tolist()
    return first, last + 1


@dataclass(frozen=True, eq=False)
class BlindFloor:
    """What one blind detector scores at its best on some lines.

    Attributes:
        f1: of each line at each tolerance, (n_tol, N).
        chosen: at each tolerance, (n_tol,): spacing of the comb [samples], or threshold on the noise.
    """

    f1: Floats
    chosen: Floats

    @property
    def mean(self) -> Floats:
        """Mean F1 over lines at each tolerance, (n_tol,): the floor."""
        return np.asarray(self.f1.mean(axis=1))


def blind_floors(
    counts: Counts,
    tolerances: Sequence[int] = TOLERANCES,
    factor: float = 1.0,
    length: int | None = None,
    support: Support = LABEL_SUPPORT,
) -> dict[str, BlindFloor]:
    """The one definition of the floors: the best comb and the best rate of random detections on these very lines.

    "comb" fires every s samples, from the start of the label support on, s in 1..4 t + 2. "random" is `blind_noise`
    above a threshold in steps of 0.01: model R of the publication. Spacing and threshold are those of the largest mean
    F1 on the lines that are scored, the first of equal ones, so that no skill comes from a weak floor.

    Args:
        counts: bubbles per sample, (N, L).
        tolerances: samples of the training rate, (n_tol,).
        factor: sampling rate of these lines over that of training.
        length: samples of the lines before a delay of the labels took some from their ends; L where left out.
        support: see `label_support`.

    Returns:
        The floors by name, as the task declares them.

    Raises:
        DataError: labels of another shape.
    """
    truth = np.asarray(counts) > 0.5
    if truth.ndim != 2 or not truth.size:
        raise DataError(f"floors need labels of shape (N, L), got {truth.shape}")
    reaches = moved_tolerances(tolerances, factor).tolist()
    combs = [_best_comb(truth, reach, factor, length, support) for reach in reaches]
    spacings, f1 = zip(*combs, strict=True)
    return {"comb": BlindFloor(np.stack(f1), np.asarray(spacings, float)), "random": _random(truth, reaches)}


def blind_noise(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Uniform noise in [0, 1), the same for the same shape (N, L), whatever the seed of a study."""
    return np.random.default_rng(NOISE_SEED).random(shape, dtype=np.float32)


def comb(
    length: int, spacing: int, factor: float = 1.0, whole: int | None = None, support: Support = LABEL_SUPPORT
) -> NDArray[np.float32]:
    """Ones at every `spacing`-th sample of the label support, from its start, (L,); see `label_support`.

    Args:
        length: samples, L.
        spacing: samples.
        factor: sampling rate of the lines over that of training.
        whole: samples of the lines before some were taken from their ends; L where left out.
        support: see `label_support`.
    """
    teeth = np.zeros(length, np.float32)
    start, stop = label_support(length if whole is None else whole, factor, support)
    teeth[start:stop:spacing] = 1
    return teeth


def comb_spacings(tolerance: int) -> range:
    """Spacings to try [samples]: beyond 4 t + 2 a comb has gaps that nothing in it reaches."""
    return range(1, 4 * tolerance + 3)


def _random(truth: NDArray[np.bool_], tolerances: Sequence[int]) -> BlindFloor:
    counted = tolerance_counts(blind_noise(truth.shape), truth, tolerances, NOISE_THRESHOLDS)
    f1 = np.asarray(f1_scores(*counted))
    best = f1.mean(axis=2).argmax(axis=1)
    return BlindFloor(f1[np.arange(len(tolerances)), best], NOISE_THRESHOLDS[best])


def _best_comb(
    truth: NDArray[np.bool_], tolerance: int, factor: float, whole: int | None, support: Support
) -> tuple[int, Floats]:
    """Spacing of the best comb at one tolerance, and its F1 of each line (N,)."""
    spacings = comb_spacings(tolerance)
    combs = np.stack([comb(truth.shape[1], spacing, factor, whole, support) for spacing in spacings])
    f1 = _comb_scores(truth, combs, tolerance)
    best = int(f1.mean(axis=1).argmax())
    return spacings[best], f1[best]


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
