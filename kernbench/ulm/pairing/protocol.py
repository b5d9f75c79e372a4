"""The one-to-one metric as a protocol: fit the decoder and its thresholds on a named split, freeze, score others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kernbench.errors import DataError
from kernbench.ulm.pairing.decoders import Decoder, decode, decode_each
from kernbench.ulm.pairing.matching import Pairs, closest_pairs, kept_before, reach, sweep
from kernbench.ulm.pairing.points import Floats, Ints, Points
from kernbench.ulm.scoring.exact import Summary, exact_scores, summarize
from kernbench.ulm.scoring.protocol import HEADLINE_TOLERANCE, Choice
from kernbench.ulm.scoring.scores import THRESHOLDS, TOLERANCES

WIDTHS = tuple(range(10))
ELEMENTS = 1 << 20  # windows of truths that one sweep looks at, a few numbers each

Lines = NDArray[Any] | torch.Tensor  # Any: every number type


class Paired:
    """Scores of what has counts of pairs `tp`, and of truths `fn` and detections `fp` without a partner."""

    tp: Ints
    fn: Ints
    fp: Ints

    @cached_property
    def f1(self) -> Floats:
        """F1 of each line, the shape of the counts; NaN on empty lines: nothing to be found, nothing detected."""
        return exact_scores(self.tp, self.fn, self.fp).f1

    @cached_property
    def summary(self) -> Summary:
        """Mean, median and pooled scores over lines, the last axis."""
        return summarize(self.tp, self.fn, self.fp)

    @property
    def mean_f1(self) -> Floats:
        """Mean over lines that are not empty."""
        return self.summary.mean


@dataclass(frozen=True, eq=False)
class PairTable(Paired):
    """Pairs of one split at every tolerance and threshold.

    Attributes:
        decoder: how the output became detections.
        tolerances: samples, (n_tol,).
        thresholds: (n_thr,).
        tp: pairs, (n_tol, n_thr, N) int64.
        fn: truths without a partner, same shape.
        fp: detections without a partner, same shape.
    """

    decoder: Decoder
    tolerances: Ints
    thresholds: Floats
    tp: Ints
    fn: Ints
    fp: Ints


@dataclass(frozen=True, eq=False)
class MatchedChoice(Choice):
    """One threshold per tolerance with its decoder; `mean_f1` is one-to-one.

    Attributes:
        decoder: with its width.
    """

    decoder: Decoder


@dataclass(frozen=True, eq=False)
class MatchedEvaluation(Paired):
    """One-to-one scores of one split at frozen thresholds.

    Attributes:
        choice: decoder and thresholds, and where they come from.
        pairs: the closest pairs at each tolerance, (n_tol,); `position_error` takes one of them.
        tp: pairs of each line, (n_tol, N) int64.
        fn: truths without a partner, same shape.
        fp: detections without a partner, same shape.
    """

    choice: MatchedChoice
    pairs: tuple[Pairs, ...]
    tp: Ints
    fn: Ints
    fp: Ints


def pair_table(
    prediction: Lines,
    truths: Points,
    decoder: Decoder,
    tolerances: Sequence[int] = TOLERANCES,
    thresholds: Sequence[float] = THRESHOLDS,
) -> PairTable:
    """Count one-to-one pairs of one split at every tolerance and threshold.

    Args:
        prediction: output, (N, L) or (N, 1, L), numpy or torch.
        truths: labels or arrivals of these lines.
        decoder: how the output becomes detections.
        tolerances: samples.
        thresholds: on the output.

    Raises:
        DataError: NaN in the prediction, sizes that differ, or empty lists.
    """
    if not len(thresholds):
        raise DataError("thresholds must be numbers, at least one: got none")
    levels = np.asarray(thresholds, np.float64)
    if decoder.nested:
        tp, detected = _nested(prediction, truths, decoder, tolerances, levels)
    else:
        each = [found.points for found in decode_each(prediction, levels, decoder)]
        tp = [sweep(reach(points, truths, tolerances), truths) for points in each]
        detected = [points.per_line for points in each]
    pairs = np.stack(tp, axis=1)
    fn, fp = truths.per_line - pairs, np.stack(detected).astype(np.int64) - pairs
    return PairTable(decoder, np.asarray(tolerances, np.int64), levels, pairs, fn, fp)


def choose_matched(
    prediction: Lines,
    truths: Points,
    split: str,
    decoder: Decoder,
    widths: Sequence[int] | None = None,
    *,
    tolerances: Sequence[int] = TOLERANCES,
    thresholds: Sequence[float] = THRESHOLDS,
) -> MatchedChoice:
    """Fit the width of `peak-nms`, then a threshold for each tolerance, for the largest mean one-to-one F1.

    Args:
        prediction: output on the lines to choose on, (N, L) or (N, 1, L). Never the test lines.
        truths: labels of these lines.
        split: their name, kept with the result.
        decoder: which; its width is kept unless `widths` are given.
        widths: samples, candidates of `peak-nms`, of which the first best at tolerance 4 is taken.
        tolerances: samples.
        thresholds: candidates; the first best is taken.

    Raises:
        DataError: NaN in the prediction, sizes that differ, or widths for a decoder without one.
    """
    if widths:
        decoders = [replace(decoder, width=width) for width in widths]
        tables = [pair_table(prediction, truths, each, [HEADLINE_TOLERANCE], thresholds) for each in decoders]
        decoder = tables[int(np.argmax([table.mean_f1.max() for table in tables]))].decoder
    table = pair_table(prediction, truths, decoder, tolerances, thresholds)
    best = np.nan_to_num(table.mean_f1).argmax(axis=1)
    reached = table.mean_f1[np.arange(len(best)), best]
    return MatchedChoice(split, table.tolerances, table.thresholds[best], reached, decoder)


def evaluate_matched(prediction: Lines, truths: Points, choice: MatchedChoice) -> MatchedEvaluation:
    """Match lines at a decoder and thresholds that were chosen elsewhere.

    Args:
        prediction: output, (N, L) or (N, 1, L).
        truths: labels (`label_points`), or the arrivals themselves (`arrival_points`) for errors without rounding.
        choice: the frozen decoder and thresholds.

    Raises:
        DataError: NaN in the prediction, or sizes that differ.
    """
    each = decode_each(prediction, choice.thresholds, choice.decoder)
    pairs = [
        closest_pairs(found.points, truths, float(tolerance))
        for found, tolerance in zip(each, choice.tolerances, strict=True)
    ]
    tp = np.stack([matched.per_line for matched in pairs])
    detected = np.stack([found.points.per_line for found in each])
    return MatchedEvaluation(choice, tuple(pairs), tp, truths.per_line - tp, detected - tp)


def _nested(
    prediction: Lines, truths: Points, decoder: Decoder, tolerances: Sequence[int], levels: Floats
) -> tuple[list[Ints], list[Ints]]:
    """Pairs and detections at each threshold; what is in reach is looked up once, and only thinned afterwards."""
    lowest = decode(prediction, float(levels.min()), decoder)
    within = reach(lowest.points, truths, tolerances)
    bounds = np.append(lowest.points.starts, len(lowest.points))
    before = np.stack([kept_before(lowest.score > np.float32(level)) for level in levels])
    # Thresholds swept together share the steps through the truths.
    together = max(1, ELEMENTS // max(1, within.first.size))
    parts = [before[start : start + together] for start in range(0, len(before), together)]
    tp = [each for part in parts for each in sweep(within.among(part), truths)]
    return tp, list(np.diff(before[:, bounds]))
