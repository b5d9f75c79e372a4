"""Blind detectors under the rules of the others: rate and spacing are fitted on the threshold split, then frozen."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kernbench.ulm.detectors.detector import Setting
from kernbench.ulm.detectors.recording import Recording
from kernbench.ulm.pairing.decoders import Decoder
from kernbench.ulm.pairing.points import Points
from kernbench.ulm.pairing.protocol import pair_table
from kernbench.ulm.scoring.floors import label_support
from kernbench.ulm.scoring.scores import f1_scores
from kernbench.ulm.scoring.tolerance_counts import tolerance_counts

EVERY_SAMPLE = Decoder("raw")

Floats = NDArray[np.float32]


class UniformNoise:
    """Independent uniform noise: a threshold on it is a rate of detections.

    Args:
        seed: of the noise.
    """

    name = "random"
    parameters = 0
    delays = (0,)

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def settings(self) -> list[Setting]:
        """Nothing but the rate, which is a threshold."""
        return [{}]

    def score(self, recording: Recording, setting: Setting) -> Tensor:
        """Noise in [0, 1), (N, L)."""
        generator = torch.Generator().manual_seed(self._seed)
        noise = torch.rand(recording.voltage.shape, generator=generator)
        return noise.to(recording.voltage.device)


def comb(shape: Sequence[int], spacing: int) -> Floats:
    """Ones at every `spacing`-th sample of the label support, from its start, (N, L)."""
    teeth = np.zeros(tuple(shape), np.float32)
    start, stop = label_support(teeth.shape[1])
    teeth[:, start:stop:spacing] = 1
    return teeth


def best_comb(shape: Sequence[int], tolerance: int, f1: Callable[[Floats], float]) -> tuple[int, float]:
    """Spacing of the comb (N, L) of the largest F1 among 1..4 t + 2, and that F1."""
    found = [f1(comb(shape, spacing)) for spacing in range(1, 4 * tolerance + 3)]
    best = int(np.argmax(found))
    return 1 + best, found[best]


def comb_f1(counts: Floats, teeth: Floats, tolerance: int) -> float:
    """Mean dilation F1 of a comb, (N, L), at one tolerance."""
    return float(f1_scores(*tolerance_counts(teeth, counts, [tolerance], [0.5])).mean())


def matched_comb_f1(truths: Points, teeth: Floats, tolerance: int) -> float:
    """Mean one-to-one F1 of the same, 0 where no line has a truth or a tooth."""
    table = pair_table(teeth, truths, EVERY_SAMPLE, [tolerance], [0.5])
    return float(np.nan_to_num(table.mean_f1[0, 0]))
