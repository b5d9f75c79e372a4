"""Wiener deconvolution by one echo."""

from itertools import product

import torch
from torch import Tensor

from kernbench.ulm.detectors.detector import Setting
from kernbench.ulm.detectors.methods.echoes import Bank, fft_length
from kernbench.ulm.detectors.methods.envelope import DELAYS
from kernbench.ulm.detectors.methods.readout import FORMS, READOUTS, read
from kernbench.ulm.detectors.recording import GAINS, SCALES, Recording, conditioned

LEVELS = tuple(10 ** (-4 + i / 2) for i in range(9))


class Wiener:
    """Deconvolution with a constant signal-to-noise ratio as the only assumption."""

    name = "wiener"
    parameters = 0
    delays = DELAYS

    def __init__(self, template: Bank) -> None:
        self._template = template

    def settings(self) -> list[Setting]:
        """Gain, scale, regularization, readout and form."""
        return [
            {"gain": gain, "scale": scale, "level": level, "readout": readout, "form": form}
            for gain, scale, level, readout, form in product(GAINS, SCALES, LEVELS, READOUTS, FORMS)
        ]

    def score(self, recording: Recording, setting: Setting) -> Tensor:
        """Deconvolved line as the readout has it, (N, L)."""
        voltage = conditioned(recording, str(setting["gain"]), str(setting["scale"])).voltage
        sharp = deconvolve(voltage, self._template.to(voltage.device).echoes[0], float(setting["level"]))
        return read(sharp, str(setting["readout"]), str(setting["form"]))


def deconvolve(voltage: Tensor, echo: Tensor, level: float) -> Tensor:
    """Lines divided by an echo: X = conj(S) V / (abs(S)^2 + level max abs(S)^2), zero-padded.

    Args:
        voltage: (N, L).
        echo: from its arrival on, (K,), K <= 256.
        level: assumed noise power relative to the strongest bin of the echo.

    Returns:
        Amplitude of the echo at each arrival, (N, L).
    """
    points = fft_length(voltage.shape[1])
    template = torch.fft.rfft(echo, n=points)
    power = template.abs().square()
    sharp = torch.fft.rfft(voltage, n=points) * template.conj() / (power + level * power.max())
    result: Tensor = torch.fft.irfft(sharp, n=points)[:, : voltage.shape[1]]
    return result
