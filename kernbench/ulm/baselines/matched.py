"""Matched filter: correlation with one echo."""

from itertools import product

import torch
from torch import Tensor

from kernbench.ulm.baselines.detector import Setting, only_peaks
from kernbench.ulm.baselines.echoes import Bank, correlation
from kernbench.ulm.baselines.envelope import DELAYS
from kernbench.ulm.baselines.recording import GAINS, SCALES, Recording, conditioned, envelope

READOUTS = ("positive", "envelope", "normalized")
FORMS = ("samples", "peaks")


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
            for gain, scale, readout, form in product(GAINS, SCALES, READOUTS, FORMS)
            if readout != "normalized" or (gain, scale) == ("none", "none")
        ]

    def score(self, recording: Recording, setting: Setting) -> Tensor:
        """Correlation as the readout has it, (N, L)."""
        voltage = conditioned(recording, str(setting["gain"]), str(setting["scale"])).voltage
        z = read(self._filtered(voltage, setting), str(setting["readout"]))
        return only_peaks(z) if setting["form"] == "peaks" else z

    def _filtered(self, voltage: Tensor, setting: Setting) -> Tensor:
        echoes = self._template.to(voltage.device).echoes
        if setting["readout"] == "normalized":
            return normalized_correlation(voltage, echoes)
        return matched(voltage, echoes)


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


def read(filtered: Tensor, readout: str) -> Tensor:
    """Score of a filtered line: its envelope, or what of it is positive; same shape."""
    return envelope(filtered) if readout == "envelope" else filtered.clamp(min=0)
