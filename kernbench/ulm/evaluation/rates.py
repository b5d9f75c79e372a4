"""Scores at another sampling rate: lines resampled, tolerances in physical units, thresholds those of training.

Tolerances are named by samples of the training rate (16 ns) everywhere; only counting is done in samples of the lines.
"""

from dataclasses import replace

from kernbench.errors import DataError
from kernbench.ulm.data.recipe import Split
from kernbench.ulm.evaluation.predict import Output
from kernbench.ulm.line import SAMPLE_RATE_HZ
from kernbench.ulm.pairing.decoders import Decoder
from kernbench.ulm.pairing.points import Points
from kernbench.ulm.pairing.protocol import MatchedChoice
from kernbench.ulm.scoring.protocol import Choice, Evaluation, evaluate
from kernbench.ulm.scoring.rates import Counts, moved_counts, moved_samples, moved_tolerances
from kernbench.ulm.srml1d.rates import resampled

TRAINING_MHZ = SAMPLE_RATE_HZ / 1e6
RATES_MHZ = (TRAINING_MHZ / 2, TRAINING_MHZ, 2 * TRAINING_MHZ)


def rate_factor(mhz: float, where: str) -> float:
    """A sampling rate [MHz] over that of training: 1/2, 1 or 2.

    Args:
        mhz: 31.25, 62.5 or 125.
        where: what gave it, for the message.

    Raises:
        DataError: another rate.
    """
    if mhz not in RATES_MHZ:
        *first, last = (f"{each:g}" for each in RATES_MHZ)
        raise DataError(
            f"{where}: expected {', '.join(first)} or {last} MHz, got {mhz:g}; kernels of other rates would need taps "
            "between the samples"
        )
    return mhz / TRAINING_MHZ


def moved_split(split: Split, factor: float) -> Split:
    """Lines at another rate: voltage resampled, labels on the nearest samples; nothing is changed at factor 1.

    Args:
        split: at the training rate, with the noise that it shall have.
        factor: new rate over that of training.
    """
    if factor == 1:
        return split
    return replace(
        split,
        voltage=resampled(split.voltage, factor),
        counts=moved_counts(split.counts, factor),
        starts=moved_samples(split.starts, factor),
    )


def evaluate_at(output: Output, counts: Counts, choice: Choice, factor: float) -> Evaluation:
    """Scores at frozen thresholds, see `kernbench.ulm.scoring.protocol.evaluate`.

    Args:
        output: of the network, (N, L).
        counts: bubbles per sample of the same lines.
        choice: thresholds of the training rate.
        factor: rate of the lines over that of training.

    Returns:
        Counts; tolerances are those of the choice.
    """
    found = evaluate(output, counts, replace(choice, tolerances=moved_tolerances(choice.tolerances, factor)))
    return replace(found, tolerances=choice.tolerances)


def moved_decoder(decoder: Decoder, factor: float) -> Decoder:
    """The same decoder in samples of another rate; its width is rounded down, as tolerances are."""
    return replace(decoder, width=int(decoder.width * factor))


def moved_pairs(choice: MatchedChoice, factor: float) -> MatchedChoice:
    """The same decoder, tolerances and thresholds in samples of another rate."""
    tolerances = moved_tolerances(choice.tolerances, factor)
    return replace(choice, tolerances=tolerances, decoder=moved_decoder(choice.decoder, factor))


def moved_points(points: Points, factor: float) -> Points:
    """Positions in samples of another rate."""
    return replace(points, sample=points.sample * factor)
