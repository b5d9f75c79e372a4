"""Blind floors of the one-to-one metric: what a comb and random detections reach without looking at the signal."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernbench.errors import DataError
from kernbench.ulm.exact import exact_scores
from kernbench.ulm.floors import label_support
from kernbench.ulm.matching import Reach, sweep
from kernbench.ulm.points import Floats, Ints, Points, label_points
from kernbench.ulm.scores import TOLERANCES

RATES = tuple(float(rate) for rate in np.geomspace(0.02, 1, 24))

Counts = NDArray[Any]  # any number type: labels are stored as bytes


def matched_comb_f1(
    counts: Counts,
    tolerances: Sequence[int] = TOLERANCES,
    support: tuple[int, int] | None = None,
    spacings: Sequence[int] | None = None,
) -> Floats:
    """Per-line one-to-one F1 of a comb: a detection every s samples from the start of the label support.

    Args:
        counts: bubbles per sample, (N, L).
        tolerances: samples, (n_tol,).
        support: [start, stop) of the comb; None takes `label_support`.
        spacings: s of each tolerance [samples], (n_tol,); None takes the one in 1..4 t + 2 of the largest mean F1 on
            these very lines, so that no skill comes from a weak floor.

    Returns:
        F1 (n_tol, N). Its mean over lines is the floor of `skill`.

    Raises:
        DataError: a support outside the line, a spacing below 1, or counts of another shape.
    """
    truths, length = label_points(counts), np.shape(counts)[1]
    start, stop = support or label_support(length)
    if not 0 <= start < stop <= length:
        raise DataError(f"the label support must lie inside the line of {length} samples, got {start}..{stop}")
    choices = [range(1, 4 * t + 3) for t in tolerances] if spacings is None else [[step] for step in spacings]
    if len(choices) != len(tolerances) or min(min(each) for each in choices) < 1:
        raise DataError(f"a comb needs a spacing >= 1 for each of {len(tolerances)} tolerances, got {spacings}")
    rows = zip(tolerances, choices, strict=True)
    return np.stack([_best(*_combs(truths, tolerance, steps, start, stop)) for tolerance, steps in rows])


def matched_random_f1(
    counts: Counts, tolerances: Sequence[int] = TOLERANCES, rates: Sequence[float] = RATES, *, seed: int
) -> Floats:
    """Per-line one-to-one F1 of independent detections, every sample at the same rate.

    Args:
        counts: bubbles per sample, (N, L).
        tolerances: samples, (n_tol,).
        rates: detections per sample, candidates; for each tolerance the best on these very lines is taken.
        seed: of the noise.

    Returns:
        F1 (n_tol, N); NaN where a line has neither truth nor detection.
    """
    truths = label_points(counts)
    noise = np.random.default_rng(seed).random(np.shape(counts), dtype=np.float32)
    # Detections before each sample, so that a window is two look-ups.
    before = np.zeros((len(noise), noise.shape[1] + 1), np.int32)
    pairs, detected = [], []
    for rate in rates:
        np.cumsum(noise < rate, axis=1, out=before[:, 1:])
        pairs.append(sweep(_windows(before, truths, tolerances), truths))
        detected.append(before[:, -1].astype(np.int64))
    by_tolerance = np.stack(pairs, axis=1)
    return np.stack([_best(each, np.stack(detected), truths.per_line) for each in by_tolerance])


def _combs(truths: Points, tolerance: int, steps: Sequence[int], start: int, stop: int) -> tuple[Ints, Ints, Ints]:
    """Pairs (combs, N), detections (combs, 1) and truths (N,) of all combs at one tolerance."""
    step = np.asarray(steps)[:, None]
    teeth = -((start - stop) // step)
    place = truths.sample.astype(np.int64) - start
    first = np.clip(-((tolerance - place) // step), 0, teeth).astype(np.int32)
    last = np.clip((place + tolerance) // step + 1, 0, teeth).astype(np.int32)
    return sweep(Reach(first, last), truths), teeth, truths.per_line


def _windows(before: NDArray[np.int32], truths: Points, tolerances: Sequence[int]) -> Reach:
    """Windows of each truth (n_tol, truths) into the detections of its line."""
    sample, reach = truths.sample.astype(np.int64), np.asarray(tolerances)[:, None]
    first = before[truths.line, np.maximum(sample - reach, 0)]
    return Reach(first, before[truths.line, np.minimum(sample + reach + 1, before.shape[1] - 1)])


def _best(pairs: Ints, detected: Ints, truths: Ints) -> Floats:
    """F1 (N,) of the detector, the first axis of the pairs, with the largest mean over lines."""
    f1 = exact_scores(pairs, truths - pairs, detected - pairs).f1
    known = ~np.isnan(f1)
    mean = np.where(known, f1, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.asarray(f1[mean.argmax()])
