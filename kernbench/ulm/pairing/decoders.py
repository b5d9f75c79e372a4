"""From a network's output to detections: `raw`, `run` and `peak-nms`.

One-to-one matching needs one detection per bubble; how the output becomes detections is part of the protocol.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from kernbench.errors import DataError, close_match
from kernbench.ulm.pairing.points import Ints, Points
from kernbench.ulm.scoring.tolerance_counts import output_lines

DECODERS = ("raw", "run", "peak-nms")
PLACES = ("maximum", "centroid")

Output = NDArray[np.float32]


@dataclass(frozen=True)
class Decoder:
    """How an output becomes detections; a sample counts where the output is strictly above the threshold.

    Attributes:
        name: "raw", every such sample; "run", one detection per run of such samples; "peak-nms", local maxima
            above the threshold, each of which silences lower ones within `width`.
        width: samples, of "peak-nms": two detections are more than this apart. Chosen on the threshold split.
        place: where a "run" is detected: at its "maximum" (the first one) or at the "centroid" of its scores.

    Raises:
        DataError: no such name or place, a negative width, or a setting that the decoder does not have.
    """

    name: str = "peak-nms"
    width: int = 0
    place: str = "maximum"

    def __post_init__(self) -> None:
        for value, known in ((self.name, DECODERS), (self.place, PLACES)):
            if value not in known:
                raise DataError(f"decoder: expected {', '.join(known)}, got {value!r}{close_match(value, known)}")
        if self.width != int(self.width) or self.width < 0:
            raise DataError(f"decoder {self.name}: width must be an integer >= 0 in samples, got {self.width}")
        if self.width and self.name != "peak-nms":
            raise DataError(f"decoder {self.name} has no width; it belongs to peak-nms")
        if self.place != "maximum" and self.name != "run":
            raise DataError(f"decoder {self.name} has no centroid; it belongs to run")

    @property
    def nested(self) -> bool:
        """Whether a higher threshold only removes detections, so that one pass serves all thresholds."""
        return self.name != "run"


@dataclass(frozen=True, eq=False)
class Detections:
    """Detections with their scores.

    Attributes:
        points: where they are.
        score: output there, the largest one of a "run", float32 (detections,).
    """

    points: Points
    score: Output


# Any: predictions come in every number type.
def decode(prediction: NDArray[Any] | torch.Tensor, threshold: float, decoder: Decoder) -> Detections:
    """Detections above a threshold.

    Suppression comes from higher scores only. So for `raw` and `peak-nms`, detections above a higher threshold
    are those of `decode(...)` whose score is above it, in float32.

    Args:
        prediction: output, (N, L) or (N, 1, L), numpy or torch.
        threshold: rounded to float32; -inf takes every finite output.
        decoder: which, and with what width.

    Raises:
        DataError: NaN in the prediction or threshold; another shape; a centroid of scores that are not finite, or at
            a threshold below 0, because the scores are its weights.
    """
    output = np.ascontiguousarray(output_lines(prediction).cpu().numpy())
    level = np.float32(threshold)
    if np.isnan(level):
        raise DataError("a threshold must be a number, got NaN")
    if decoder.name == "run":
        return _runs(output, level, decoder.place)
    if decoder.name == "raw":
        line, sample = np.nonzero(output > level)
        return _detections(output, line, sample)
    return _peaks(output, level, decoder.width)


def decode_each(
    prediction: NDArray[Any] | torch.Tensor, thresholds: ArrayLike, decoder: Decoder
) -> Sequence[Detections]:
    """Detections at each of several thresholds, (n_thr,) in their order; one pass where the decoder allows it."""
    levels = np.asarray(thresholds, np.float64).reshape(-1).tolist()
    if not decoder.nested:
        return [decode(prediction, level, decoder) for level in levels]
    lowest = decode(prediction, min(levels), decoder)
    kept = [lowest.score > np.float32(level) for level in levels]
    return [Detections(lowest.points[rows], lowest.score[rows]) for rows in kept]


def _detections(output: Output, line: NDArray[Any], sample: NDArray[Any]) -> Detections:
    """Detections on integer samples."""
    return Detections(Points(line.astype(np.int64), sample.astype(np.float64), len(output)), output[line, sample])


def _runs(output: Output, level: np.float32, place: str) -> Detections:
    """One detection for each run of samples above the level."""
    line, sample = np.nonzero(output > level)
    score = output[line, sample]
    starts = (np.diff(line, prepend=-1) != 0) | (np.diff(sample, prepend=-1) != 1)
    begin, number = np.flatnonzero(starts), np.cumsum(starts) - 1
    best = np.maximum.reduceat(score, begin)
    if place == "maximum":
        largest = np.flatnonzero(score == best[number])
        winner = largest[np.unique(number[largest], return_index=True)[1]]
        return _detections(output, line[winner], sample[winner])
    first = sample[begin]
    if level < 0 or not np.isfinite(score).all():
        raise DataError(f"a centroid needs finite scores and a threshold >= 0, got {level:g}; use place = 'maximum'")
    weight = score.astype(np.float64)
    moment = np.add.reduceat(weight * (sample - first[number]), begin)
    centre = first + moment / np.add.reduceat(weight, begin)
    return Detections(Points(line[begin], centre, len(output)), best)


def _peaks(output: Output, level: np.float32, width: int) -> Detections:
    """Local maxima above the level (of a plateau its centre, rounded down), thinned to more than `width` apart."""
    # Nothing exists outside the record: a line's end is a maximum if its inner neighbour is lower.
    rises = output > level
    rises[:, 1:] &= output[:, 1:] > output[:, :-1]
    line, first = np.nonzero(rises)
    last = _plateau_ends(output, line, first)
    beyond = output[line, np.minimum(last + 1, output.shape[1] - 1)]
    falls = (last == output.shape[1] - 1) | (beyond < output[line, first])
    line, sample = line[falls], (first[falls] + last[falls]) // 2
    kept = suppress(line, sample, output[line, sample], width)
    return _detections(output, line[kept], sample[kept])


def _plateau_ends(output: Output, line: Ints, first: Ints) -> Ints:
    """Last sample of the stretch of equal output that starts at each of these samples."""
    last = first.copy()
    going = np.arange(len(line))
    while len(going):
        following = np.minimum(last[going] + 1, output.shape[1] - 1)
        same = output[line[going], following] == output[line[going], last[going]]
        going = going[same & (following > last[going])]
        last[going] += 1
    return last


def suppress(line: Ints, sample: Ints, score: Output, width: int) -> NDArray[np.bool_]:
    """Which peaks survive when they are visited by falling score and silence others within `width` samples.

    Done for all lines together, in rounds: a peak that is the best of all undecided ones in its reach stays, as it
    would in its turn, and silences the others there. A round decides at least the best one of every line.

    Args:
        line: of each peak, ascending, (peaks,).
        sample: integer position of each peak, ascending within its line, (peaks,).
        score: of each peak, (peaks,); of equal ones the earlier is visited first.
        width: samples.

    Returns:
        Survivors, (peaks,).
    """
    kept = np.zeros(len(line), bool)
    rank = np.empty(len(line), np.int64)
    rank[np.lexsort((-np.arange(len(line)), score))] = np.arange(len(line))
    open_ = np.arange(len(line))
    pitch = int(sample.max(initial=0)) + width + 1
    while len(open_):
        key = line[open_] * pitch + sample[open_]
        best = _best_in_reach(key, rank[open_], width)
        wins = best == rank[open_]
        kept[open_[wins]] = True
        silenced = _best_in_reach(key, wins.astype(np.int64), width) > 0
        open_ = open_[~silenced]
    return kept


def _best_in_reach(key: Ints, value: Ints, width: int) -> Ints:
    """Largest value among entries whose (ascending) keys differ by at most `width`, the entry itself included."""
    best = value.copy()
    for step in range(1, len(key)):
        near = key[step:] - key[:-step] <= width
        if not near.any():
            break
        np.maximum(best[:-step], value[step:], out=best[:-step], where=near)
        np.maximum(best[step:], value[:-step], out=best[step:], where=near)
    return best
