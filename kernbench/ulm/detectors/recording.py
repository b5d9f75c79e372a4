"""What a detector works on: lines with their depth, and the gains that make them alike."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kernbench.ulm.line import SAMPLES

GAINS = ("none", "depth")
SCALES = ("none", "line")
ROBUST_SHARE = 0.95  # of the samples of a line whose envelope is at most its scale


@dataclass(frozen=True, eq=False)
class Recording:
    """Lines of one split, noise included.

    Attributes:
        voltage: (N, L) float32, a.u.
        counts: bubbles per sample, (N, L); detectors do not use them.
        starts: first sample of each window in its line, (N,); 0 for whole lines.
    """

    voltage: Tensor
    counts: Tensor
    starts: Tensor

    @property
    def depth(self) -> Tensor:
        """Sample number n of the whole line as a share of its length, (N, L): 0 at the array, 1 at the end."""
        here = torch.arange(self.voltage.shape[1], device=self.voltage.device)
        return (self.starts[:, None] + here) / SAMPLES


def envelope(signal: Tensor) -> Tensor:
    """Magnitude of the analytic signal along the last axis, by the FFT (Hilbert transform), same shape.

    Source: Marple (1999), "Computing the discrete-time analytic signal via FFT", IEEE Trans. Signal Processing 47(9).
    """
    length = signal.shape[-1]
    weight = torch.zeros(length, device=signal.device)
    weight[0] = 1
    weight[1 : (length + 1) // 2] = 2
    if length % 2 == 0:
        weight[length // 2] = 1
    analytic: Tensor = torch.fft.ifft(torch.fft.fft(signal) * weight)
    return analytic.abs()


def robust_scale(voltage: Tensor) -> Tensor:
    """95th percentile of the envelope of each line, (N, 1); 1 for a silent line."""
    rank = max(1, round(ROBUST_SHARE * voltage.shape[1]))
    scale = envelope(voltage).kthvalue(rank, dim=1, keepdim=True).values
    return scale.where(scale > 0, 1.0)


def conditioned(recording: Recording, gain: str, scale: str = "none") -> Tensor:
    """Voltage with its spread of level taken out, (N, L).

    Args:
        recording: lines as received.
        gain: "depth" multiplies by the sample number of the whole line, because echoes fall as 1/r; or "none".
        scale: "line" then divides each line by its `robust_scale`, because pressures span 50x; or "none".
    """
    voltage = recording.voltage
    if gain == "depth":
        voltage = voltage * recording.depth
    if scale == "line":
        voltage = voltage / robust_scale(voltage)
    return voltage
