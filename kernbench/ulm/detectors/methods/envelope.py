"""Envelope peaks: the analytic signal's magnitude where it has a prominent maximum."""

import numpy as np
import torch
from scipy.signal import find_peaks
from torch import Tensor

from kernbench.ulm.detectors.detector import Setting, combinations
from kernbench.ulm.detectors.recording import GAINS, SCALES, Recording, conditioned, envelope, robust_scale

DELAYS = range(201)
PROMINENCES = (0.0, 0.01, 0.03, 0.1, 0.3)  # shares of the line's robust scale


class EnvelopePeaks:
    """Height of the envelope at its peaks of at least the fitted prominence, which follows the line's scale."""

    name = "envelope"
    parameters = 0
    delays = DELAYS

    def settings(self) -> list[Setting]:
        """Gain, scale and smallest prominence."""
        return combinations(gain=GAINS, scale=SCALES, prominence=PROMINENCES)

    def score(self, recording: Recording, setting: Setting) -> Tensor:
        """Envelope at its prominent peaks, 0 elsewhere, (N, L)."""
        voltage = conditioned(recording, setting["gain"], setting["scale"])
        return prominent_peaks(envelope(voltage), robust_scale(voltage)[:, 0] * setting["prominence"])


def prominent_peaks(height: Tensor, smallest: Tensor) -> Tensor:
    """Heights at peaks that rise by at least `smallest` (N,) above their surroundings, 0 elsewhere; (N, L)."""
    kept = np.zeros(tuple(height.shape), np.float32)
    lines = height.cpu().numpy()
    for row, line, prominence in zip(kept, lines, smallest.cpu().numpy(), strict=True):
        peaks, _ = find_peaks(line, prominence=prominence)
        row[peaks] = line[peaks]
    return torch.from_numpy(kept).to(height.device)
