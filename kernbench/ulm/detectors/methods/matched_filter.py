"""Matched filter: correlation with one echo."""

from itertools import product

import torch
from torch import Tensor

from kernbench.ulm.detectors.detector import Setting
from kernbench.ulm.detectors.methods.echoes import Bank, correlation
from kernbench.ulm.detectors.methods.envelope import DELAYS
from kernbench.ulm.detectors.methods.readout import FORMS, READOUTS, read
from kernbench.ulm.detectors.recording import GAINS, SCALES, Recording, conditioned

NORMALIZED = "normalized"


class MatchedFilter:
    """Correlation with the template, whose start is the geometric arrival; three readouts, dense or at peaks."""

    name = "matched-filter"
    parameters = 0
    delays = DELAYS

    def __init__(self, template: Bank) -> None:
        self._template = template

    def settings(self) -> list[Setting]:
        """Gain, scale, readout and form; normalized correlation has a level of its own."""
        return [
            {"gain": gain, "scale": scale, "readout": readout, "form": form}
            for gain, scale, readout, form in product(GAINS, SCALES, (*READOUTS, NORMALIZED), FORMS)
            if readout != NORMALIZED or (gain, scale) == ("none", "none")
        ]

    def score(self, recording: Recording, setting: Setting) -> Tensor:
        """Correlation as the readout has it, (N, L)."""
        voltage = conditioned(recording, str(setting["gain"]), str(setting["scale"])).voltage
        correlate = normalized_correlation if setting["readout"] == NORMALIZED else matched
        filtered = correlate(voltage, self._template.to(voltage.device).echoes)
        return read(filtered, str(setting["readout"]), str(setting["form"]))


def matched(voltage: Tensor, echo: Tensor) -> Tensor:
    """Amplitude of the echo at each arrival, sum_k V[n + k] s[k] / sum_k s[k]^2, (N, L); `echo` is (1, K)."""
    return correlation(voltage, echo)[:, 0] / echo.square().sum()


def normalized_correlation(voltage: Tensor, echo: Tensor) -> Tensor:
    """Correlation over the root of both energies within the echo's length, -1 to 1, (N, L); `echo` is (1, K)."""
    local = correlation(voltage.square(), torch.ones_like(echo))[:, 0].clamp(min=0)
    # In silence the quotient of two rounding errors would look like an echo.
    floor = 1e-6 * local.amax(dim=1, keepdim=True)
    energy = torch.maximum(local, floor).sqrt() * echo.square().sum().sqrt()
    return correlation(voltage, echo)[:, 0] / energy.where(energy > 0, 1.0)
