"""Fitting a detector on the threshold split and scoring it on the test lines, by the protocol of the networks."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kernbench.ulm.detectors.delay import advanced, fit_delay, score_levels
from kernbench.ulm.detectors.detector import Detector, Setting
from kernbench.ulm.detectors.recording import Recording
from kernbench.ulm.detectors.results import DetectorRow
from kernbench.ulm.pairing.decoders import Decoder
from kernbench.ulm.pairing.localization import position_error
from kernbench.ulm.pairing.points import label_points
from kernbench.ulm.pairing.protocol import (
    WIDTHS,
    MatchedChoice,
    MatchedEvaluation,
    choose_matched,
    evaluate_matched,
)
from kernbench.ulm.scoring.protocol import HEADLINE_TOLERANCE, Choice, choose_thresholds, freeze, score
from kernbench.ulm.scoring.scores import TOLERANCES

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Fit:
    """What was chosen on the threshold split.

    Attributes:
        setting: of the detector.
        delay: of the score [samples].
        choice: thresholds of the dilation metric.
        matched: decoder and thresholds of the one-to-one metric.
        seconds: it took.
    """

    setting: Setting
    delay: int
    choice: Choice
    matched: MatchedChoice
    seconds: float


def fit(detector: Detector, recording: Recording, split: str, progress: Progress | None = None) -> Fit:
    """Choose setting and delay for the largest mean dilation F1 at 4 samples, then thresholds and decoder width.

    Ties go to the first setting and the smallest delay. Thresholds are 0 and 120 quantiles of the detector's own
    positive scores; each metric has its own, for each tolerance.

    Args:
        detector: which.
        recording: lines of the threshold split.
        split: name of these lines.
        progress: called as progress(settings tried, settings in all).
    """
    started = time.monotonic()
    settings = detector.settings()
    found: list[tuple[int, float]] = []
    for setting in settings:
        z = detector.score(recording, setting)
        found.append(fit_delay(z, recording.counts, detector.delays, HEADLINE_TOLERANCE))
        if progress is not None:
            progress(len(found), len(settings))
    best = int(np.argmax([mean_f1 for _, mean_f1 in found]))
    delay = found[best][0]
    z = advanced(detector.score(recording, settings[best]), delay)
    levels = score_levels(z).tolist()
    choice = choose_thresholds(score(z, recording.counts, TOLERANCES, levels), split)
    matched = choose_matched(z, label_points(recording.counts), split, Decoder(), WIDTHS, thresholds=levels)
    return Fit(settings[best], delay, choice, matched, time.monotonic() - started)


def evaluate(detector: Detector, chosen: Fit, recording: Recording) -> list[DetectorRow]:
    """Score lines at everything that was chosen elsewhere, one row for each tolerance."""
    started = time.monotonic()
    z = advanced(detector.score(recording, chosen.setting), chosen.delay)
    line_ms = 1e3 * (time.monotonic() - started) / len(z)
    f1 = freeze(score(z, recording.counts, TOLERANCES, chosen.choice.thresholds.tolist()), chosen.choice).mean_f1
    matched = evaluate_matched(z, label_points(recording.counts), chosen.matched)
    shown = {name: value if isinstance(value, str) else f"{value:.4g}" for name, value in chosen.setting.items()}
    setting = ", ".join(f"{name}={value}" for name, value in shown.items())
    return [
        DetectorRow(
            method=detector.name,
            tolerance_samples=tolerance,
            f1=float(f1[place]),
            threshold=float(chosen.choice.thresholds[place]),
            delay_samples=chosen.delay,
            width_samples=float(chosen.matched.decoder.width),
            setting=setting,
            parameters=detector.parameters,
            threshold_split=chosen.choice.split,
            fitted_f1=float(chosen.choice.mean_f1[place]),
            lines=len(z),
            fit_seconds=chosen.seconds,
            line_ms=line_ms,
            **matched_columns(matched, place),
        )
        for place, tolerance in enumerate(TOLERANCES)
    ]


def matched_columns(matched: MatchedEvaluation, place: int) -> dict[str, float]:
    """One-to-one columns of a row, at one of the tolerances."""
    error = position_error(matched.pairs[place])
    return {
        "matched_f1": float(matched.summary.mean[place]),
        "matched_precision": float(matched.summary.micro_precision[place]),
        "matched_recall": error.recall,
        "rmse_samples": error.samples.rmse,
        "bias_samples": error.samples.bias,
        "matched_threshold": float(matched.choice.thresholds[place]),
    }
