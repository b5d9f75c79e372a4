"""The blind detectors: for both metrics, the best that a comb or a rate reaches on the very lines that are scored."""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernbench.ulm.detectors.fitting import matched_columns
from kernbench.ulm.detectors.results import SCORED_LINES, DetectorRow
from kernbench.ulm.pairing.decoders import Decoder
from kernbench.ulm.pairing.points import Points, label_points
from kernbench.ulm.pairing.protocol import MatchedEvaluation, choose_matched, evaluate_matched
from kernbench.ulm.scoring.floors import NOISE_THRESHOLDS, blind_floors, blind_noise, comb, comb_spacings
from kernbench.ulm.scoring.scores import TOLERANCES

EVERY_SAMPLE = Decoder("raw")

Shape = tuple[int, ...]
Matched = tuple[float, MatchedEvaluation, int]  # spacing or threshold; scores; which of their tolerances is meant


def blind_rows(name: str, counts: NDArray[Any]) -> list[DetectorRow]:
    """Scores of a blind method on lines, one row for each tolerance; nothing is fitted elsewhere.

    Args:
        name: one of `BLIND`.
        counts: bubbles per sample, (N, L), any number type.
    """
    started = time.monotonic()
    floor = blind_floors(counts)[name]
    matched = list(_MATCHED[name](counts.shape, label_points(counts)))
    seconds = time.monotonic() - started
    return [
        DetectorRow(
            method=name,
            tolerance_samples=tolerance,
            f1=mean,
            threshold=chosen if name == "random" else 0.5,
            delay_samples=0,
            width_samples=math.nan,
            setting=_SETTING[name](chosen, matched_chosen),
            parameters=0,
            threshold_split=SCORED_LINES,
            fitted_f1=mean,
            lines=len(counts),
            fit_seconds=seconds,
            line_ms=0.0,
            **matched_columns(evaluation, place),
        )
        for tolerance, mean, chosen, (matched_chosen, evaluation, place) in zip(
            TOLERANCES, floor.mean.tolist(), floor.chosen.tolist(), matched, strict=True
        )
    ]


def _matched_noise(shape: Shape, truths: Points) -> Iterator[Matched]:
    """At each tolerance, the threshold of the best one-to-one F1, and all scores."""
    noise = blind_noise(shape)
    choice = choose_matched(noise, truths, SCORED_LINES, EVERY_SAMPLE, thresholds=NOISE_THRESHOLDS.tolist())
    evaluation = evaluate_matched(noise, truths, choice)
    yield from ((float(level), evaluation, place) for place, level in enumerate(choice.thresholds))


def _matched_combs(shape: Shape, truths: Points) -> Iterator[Matched]:
    """At each tolerance, the spacing of the best one-to-one F1, and its scores."""
    for tolerance in TOLERANCES:
        spacings = comb_spacings(tolerance)
        combs = [np.broadcast_to(comb(shape[1], spacing), shape) for spacing in spacings]
        choices = [
            choose_matched(teeth, truths, SCORED_LINES, EVERY_SAMPLE, tolerances=[tolerance], thresholds=[0.5])
            for teeth in combs
        ]
        best = int(np.argmax([np.nan_to_num(choice.mean_f1[0]) for choice in choices]))  # NaN: lines without a truth
        yield float(spacings[best]), evaluate_matched(combs[best], truths, choices[best]), 0


_MATCHED: dict[str, Callable[[Shape, Points], Iterator[Matched]]] = {"random": _matched_noise, "comb": _matched_combs}
_SETTING: dict[str, Callable[[float, float], str]] = {
    "random": lambda level, pairs: f"rate={1 - level:.2f}, one-to-one rate={1 - pairs:.2f}; best on these lines",
    "comb": lambda step, pairs: f"spacing={step:g}, one-to-one spacing={pairs:g}; best on these lines",
}
