"""Matched filter: correlation with one echo."""

import torch
from torch import Tensor

from kernbench.ulm.detectors.detector import Setting, combinations
from kernbench.ulm.detectors.methods.echoes import correlation
from kernbench.ulm.detectors.methods.readout import FORMS, READOUTS, EchoFilter
from kernbench.ulm.detectors.recording import GAINS, SCALES

NORMALIZED = "normalized"


class MatchedFilter(EchoFilter):
    """Correlation with the template; three readouts, dense or at peaks."""

    name = "matched-filter"

    def settings(self) -> list[Setting]:
        """Gain, scale, readout and form; normalized correlation has a level of its own."""
        every = combinations(gain=GAINS, scale=SCALES, readout=(*READOUTS, NORMALIZED), form=FORMS)
        return [each for each in every if each["readout"] != NORMALIZED or each["gain"] == each["scale"] == "none"]

    def filtered(self, voltage: Tensor, echo: Tensor, setting: Setting) -> Tensor:
        """Correlation, normalized or not, (N, L)."""
        return (normalized_correlation if setting["readout"] == NORMALIZED else matched)(voltage, echo)


def matched(voltage: Tensor, echo: Tensor) -> Tensor:
    """Amplitude of the echo at each arrival, sum_k V[n + k] s[k] / sum_k s[k]^2, (N, L); `echo` is (1, K)."""
    return correlation(voltage, echo)[:, 0] / echo.square().sum()


def normalized_correlation(voltage: Tensor, echo: Tensor) -> Tensor:
    """Correlation over the root of both energies within the echo's length, -1 to 1, (N, L); `echo` is (1, K)."""
    local = correlation(voltage.square(), torch.ones_like(echo))[:, 0].clamp(min=0)
    # In silence the quotient of two rounding errors would resemble an echo.
    floor = 1e-6 * local.amax(dim=1, keepdim=True)
    energy = torch.maximum(local, floor).sqrt() * echo.square().sum().sqrt()
    return correlation(voltage, echo)[:, 0] / energy.where(energy > 0, 1.0)
