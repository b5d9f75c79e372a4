"""Detections of a trained network on lines without labels, and the files of them."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from kernbench.errors import DataError
from kernbench.networks.network import needed_length
from kernbench.ulm.data.recipe import Split
from kernbench.ulm.evaluation.predict import Output, Progress, predict
from kernbench.ulm.evaluation.trained import Trained
from kernbench.ulm.line import SAMPLE_RATE_HZ, SPEED_OF_SOUND_M_PER_S
from kernbench.ulm.pairing.decoders import Decoder, decode
from kernbench.ulm.scoring.delay import check_delay
from kernbench.ulm.simulator.compression import compressed
from kernbench.ulm.srml1d.recordings import Recording

COLUMNS = ("line", "channel", "sample", "time_us", "depth_mm", "score")
COUNTS = ("line", "channel", "samples", "rms", "detections")
USUAL_RMS = (1.0, 60.0)  # a.u., of simulated lines of 10 to 250 kPa
_FAR = 5.0  # times beyond which lines are likely to be in another unit


@dataclass(frozen=True, eq=False)
class Detected:
    """One line and what was detected on it.

    Attributes:
        recording: the line.
        output: of the network, (samples - delay,) float32; its delay is taken out, so sample n speaks of sample n.
        sample: of each detection, rising, (detections,) int64.
    """

    recording: Recording
    output: Output
    sample: npt.NDArray[np.int64]

    @property
    def score(self) -> Output:
        """Output of the network at the detections, (detections,)."""
        return self.output[self.sample]

    @property
    def time_us(self) -> npt.NDArray[np.float64]:
        """Time of the detections after the pulse, (detections,)."""
        return np.asarray((self.recording.start + self.sample) / SAMPLE_RATE_HZ * 1e6)

    @property
    def depth_mm(self) -> npt.NDArray[np.float64]:
        """Half the sound path to the detections and back at 1480 m/s, (detections,)."""
        return self.time_us * (SPEED_OF_SOUND_M_PER_S / 2 * 1e-3)

    @property
    def rms(self) -> float:
        """Of the voltage [a.u.]."""
        return float(np.sqrt(np.mean(np.square(self.recording.voltage, dtype=np.float64))))


def recordings_of(split: Split) -> list[Recording]:
    """Lines of a data set without their labels; `line` is their number in the split, from 0."""
    lines = zip(split.voltage, split.starts.tolist(), strict=True)
    return [Recording(str(place), 1, voltage, float(start)) for place, (voltage, start) in enumerate(lines)]


def detect(
    trained: Trained,
    recordings: Sequence[Recording],
    threshold: float,
    decoder: Decoder,
    device: str = "cpu",
    progress: Progress | None = None,
) -> list[Detected]:
    """Detections of a network on lines, which may differ in length.

    Args:
        trained: the network.
        recordings: the lines; nothing is added to them.
        threshold: detections are strictly above it, in float32.
        decoder: how the output becomes detections.
        device: where to run.
        progress: called as progress(lines done, lines in all).

    Raises:
        DataError: a line that is shorter than the network pads or than its delay, or an output that is NaN.
    """
    least, why = needed_length(trained.network)
    for each in recordings:
        if len(each.voltage) < least:
            raise DataError(
                f"{each.line}: this network {why}, so lines need at least "
                f"{least} samples at {SAMPLE_RATE_HZ / 1e6:g} MHz, got {len(each.voltage)}"
            )
    found: dict[int, Detected] = {}
    lengths = dict.fromkeys(len(each.voltage) for each in recordings)
    for length in lengths:  # lines of one length go through the network together, in their order
        places = [place for place, each in enumerate(recordings) if len(each.voltage) == length]
        received = np.stack([recordings[place].voltage for place in places])
        voltage = torch.from_numpy(received if trained.template is None else compressed(received, trained.template))
        check_delay(trained.delay, length)
        whole = predict(trained.network, voltage, device, trained.batch, progress)
        output = np.ascontiguousarray(whole[:, trained.delay :])
        points = decode(output, threshold, decoder).points
        ends = np.cumsum(points.per_line)[:-1]
        samples = np.split(points.sample.astype(np.int64), ends)
        for place, values, sample in zip(places, output, samples, strict=True):
            found[place] = Detected(recordings[place], values, sample)
    return [found[place] for place in range(len(recordings))]


def detections_csv(found: Sequence[Detected]) -> str:
    """All detections as CSV with the columns `COLUMNS`, line after line."""
    rows = [
        (each.recording.line, each.recording.channel, sample, f"{time:.4f}", f"{depth:.5f}", f"{score:.9g}")
        for each in found
        for sample, time, depth, score in zip(
            each.sample.tolist(), each.time_us.tolist(), each.depth_mm.tolist(), each.score.tolist(), strict=True
        )
    ]
    return _csv(COLUMNS, rows)


def counts_csv(found: Sequence[Detected]) -> str:
    """Number of detections of each line as CSV with the columns `COUNTS`; lines without any are in it."""
    return _csv(
        COUNTS,
        [
            (
                each.recording.line,
                each.recording.channel,
                len(each.recording.voltage),
                f"{each.rms:.6g}",
                len(each.sample),
            )
            for each in found
        ],
    )


def unusual_rms(found: Sequence[Detected]) -> str:
    """A sentence where the lines are far from the scale of simulated ones, else empty."""
    rms, (low, high) = float(np.median([each.rms for each in found])), USUAL_RMS
    if low / _FAR <= rms <= high * _FAR:
        return ""
    return (
        f"the lines have an RMS of {rms:.3g} (median), simulated ones {low:g} to {high:g} a.u.; a network does not "
        "adapt to another scale: --scale FACTOR multiplies the lines"
    )


def clean_training(trained: Trained) -> str:
    """A sentence on a network that was trained without noise, else empty, also where that is not known."""
    if trained.noise is None or trained.noise.level("train") > 0:
        return ""
    return (
        "trained on lines without noise, it may take noise for bubbles; for measured lines train with noise "
        "(data.noise_percent), and look at what it detects where no bubble is"
    )


def _csv(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()
