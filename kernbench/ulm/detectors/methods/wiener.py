"""Wiener deconvolution by one echo."""

import torch
from torch import Tensor

from kernbench.ulm.detectors.detector import Setting, combinations
from kernbench.ulm.detectors.methods.echoes import fft_length
from kernbench.ulm.detectors.methods.readout import FORMS, READOUTS, EchoFilter
from kernbench.ulm.detectors.recording import GAINS, SCALES

LEVELS = tuple(10 ** (-4 + i / 2) for i in range(9))


class Wiener(EchoFilter):
    """Deconvolution with a constant signal-to-noise ratio as the only assumption."""

    name = "wiener"

    def settings(self) -> list[Setting]:
        """Gain, scale, regularization, readout and form."""
        return combinations(gain=GAINS, scale=SCALES, level=LEVELS, readout=READOUTS, form=FORMS)

    def filtered(self, voltage: Tensor, echo: Tensor, setting: Setting) -> Tensor:
        """Deconvolved lines, (N, L)."""
        return deconvolve(voltage, echo[0], setting["level"])


def deconvolve(voltage: Tensor, echo: Tensor, level: float) -> Tensor:
    """Lines divided by an echo: X = conj(S) V / (abs(S)^2 + level max abs(S)^2), zero-padded.

    Args:
        voltage: (N, L).
        echo: from its arrival on, (K,).
        level: assumed noise power relative to the strongest bin of the echo.

    Returns:
        Amplitude of the echo at each arrival, (N, L).
    """
    points = fft_length(voltage.shape[1], len(echo))
    template = torch.fft.rfft(echo, n=points)
    power = template.abs().square()
    sharp = torch.fft.rfft(voltage, n=points) * template.conj() / (power + level * power.max())
    result: Tensor = torch.fft.irfft(sharp, n=points)[:, : voltage.shape[1]]
    return result
