"""Whether the intervals of a comparison hold on its own runs, in sentences."""

import math

import numpy as np

from kernbench.errors import counted
from kernbench.report.numbers.comparison import Comparison
from kernbench.statistics.calibration import calibrate

SPLITS = 2000  # of all points together: half a second
FEWEST_SPLITS = 5


def calibration_text(comparison: Comparison) -> list[str]:
    """Standard deviations of seeds and lines, and how often seeds of one point are called different from each other.

    Returns:
        Sentences in plain text; empty without a scored point.
    """
    points = [point for point in comparison.scored if point.f1().shape[1] > 1]
    if not points:
        return []
    lines = float(np.mean([point.f1().mean(axis=0).std(ddof=1) for point in points]))
    sentences = [
        f"Standard deviation of F1 between test lines: {lines:.3f}, mean over {counted(len(points), 'point')}."
    ]
    spread = comparison.spread
    if spread.prior is None:
        return [*sentences, "Standard deviation between seeds: unknown; no point above the blind floor has two."]
    sentences.append(
        f"Standard deviation of mean F1 between seeds: {math.sqrt(spread.prior.variance):.4f}, worth "
        f"{spread.prior.df:.0f} degrees of freedom, from {spread.source}."
    )
    splits = max(FEWEST_SPLITS, SPLITS // len(points))
    found = [calibrate(point.f1(), prior=spread.prior, splits=splits) for point in points]
    rates = [each.rate for each in found if each is not None]
    if not rates:
        return [*sentences, "No point has the four seeds that a test of a family against itself needs."]
    called = f"were called different in {100 * np.mean(rates):.1f} % of splits"
    several = f"{counted(len(rates), 'point')} with four seeds or more"
    text = f"Seeds of one point, split at random into two halves, {called} ({several}); 5 % is right."
    return [*sentences, f"{text} Few seeds make this rate uncertain."]
