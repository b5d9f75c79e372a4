"""The blind detectors: for both metrics, the best that a comb or a rate reaches on the very lines that are scored."""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernbench.ulm.detectors.fitting import matched_columns
from kernbench.ulm.detectors.results import SCORED_LINES, DetectorRow
from kernbench.ulm.line import LABEL_SUPPORT
from kernbench.ulm.pairing.decoders import Decoder
from kernbench.ulm.pairing.points import label_points
from kernbench.ulm.pairing.protocol import (
    MatchedChoice,
    MatchedEvaluation,
    PairTable,
    choose_matched,
    evaluate_matched,
    pair_table,
)
from kernbench.ulm.scoring.floors import NOISE_THRESHOLDS, Support, blind_floors, blind_noise, comb, comb_spacings
from kernbench.ulm.scoring.scores import TOLERANCES

EVERY_SAMPLE = Decoder("raw")

LINES = 64  # whose noise is matched together: every sample is a detection at the lowest of 100 thresholds

Counts = NDArray[Any]  # any number type
Matched = tuple[float, MatchedEvaluation, int]  # spacing or threshold; scores; which of their tolerances is meant


def blind_rows(name: str, counts: Counts, support: Support = LABEL_SUPPORT) -> list[DetectorRow]:
    """Scores of a blind method on lines, one row for each tolerance; nothing is fitted elsewhere.

    Args:
        name: one of `BLIND`.
        counts: bubbles per sample, (N, L), any number type.
        support: samples of a whole line that can carry a label, see `label_support`.
    """
    started = time.monotonic()
    floor = blind_floors(counts, support=support)[name]
    matched = list(_MATCHED[name](counts, support))
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


def _matched_noise(counts: Counts, _: Support) -> Iterator[Matched]:
    """At each tolerance, the threshold of the best one-to-one F1, and all scores."""
    noise = blind_noise(counts.shape)
    parts = [slice(start, start + LINES) for start in range(0, len(counts), LINES)]
    tables = [
        pair_table(noise[part], label_points(counts[part]), EVERY_SAMPLE, TOLERANCES, NOISE_THRESHOLDS.tolist())
        for part in parts
    ]
    pairs = (np.concatenate([getattr(table, name) for table in tables], axis=2) for name in ("tp", "fn", "fp"))
    table = PairTable(EVERY_SAMPLE, tables[0].tolerances, tables[0].thresholds, *pairs)
    best = np.nan_to_num(table.mean_f1).argmax(axis=1)  # NaN: lines without a truth or a detection
    reached = table.mean_f1[np.arange(len(best)), best]
    choice = MatchedChoice(SCORED_LINES, table.tolerances, table.thresholds[best], reached, EVERY_SAMPLE)
    evaluation = evaluate_matched(noise, label_points(counts), choice)
    yield from ((float(level), evaluation, place) for place, level in enumerate(choice.thresholds))


def _matched_combs(counts: Counts, support: Support) -> Iterator[Matched]:
    """At each tolerance, the spacing of the best one-to-one F1, and its scores."""
    truths, shape = label_points(counts), counts.shape
    for tolerance in TOLERANCES:
        spacings = comb_spacings(tolerance)
        combs = [np.broadcast_to(comb(shape[1], spacing, support=support), shape) for spacing in spacings]
        choices = [
            choose_matched(teeth, truths, SCORED_LINES, EVERY_SAMPLE, tolerances=[tolerance], thresholds=[0.5])
            for teeth in combs
        ]
        best = int(np.argmax([np.nan_to_num(choice.mean_f1[0]) for choice in choices]))  # NaN: lines without a truth
        yield float(spacings[best]), evaluate_matched(combs[best], truths, choices[best]), 0


_MATCHED: dict[str, Callable[[Counts, Support], Iterator[Matched]]] = {"random": _matched_noise, "comb": _matched_combs}
_SETTING: dict[str, Callable[[float, float], str]] = {
    "random": lambda level, pairs: f"rate={1 - level:.2f}, one-to-one rate={1 - pairs:.2f}; best on these lines",
    "comb": lambda step, pairs: f"spacing={step:g}, one-to-one spacing={pairs:g}; best on these lines",
}
