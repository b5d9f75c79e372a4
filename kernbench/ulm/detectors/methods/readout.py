"""Detectors by one echo: a filter of the line, and what of its output counts, between its peaks, too, or not."""

from abc import ABC, abstractmethod

from torch import Tensor

from kernbench.ulm.detectors.detector import Setting, only_peaks
from kernbench.ulm.detectors.methods.echoes import Bank
from kernbench.ulm.detectors.methods.envelope import DELAYS
from kernbench.ulm.detectors.recording import Recording, conditioned, envelope

READOUTS = ("positive", "envelope")
FORMS = ("samples", "peaks")


class EchoFilter(ABC):
    """A filter of conditioned lines by one echo, whose start is the geometric arrival.

    Settings: gain and scale of the lines; readout "envelope", or another for what is positive; form "peaks" for local
    maxima only, or "samples".

    Args:
        template: with one echo.
    """

    name: str
    parameters = 0
    delays = DELAYS

    def __init__(self, template: Bank) -> None:
        self._template = template

    @abstractmethod
    def filtered(self, voltage: Tensor, echo: Tensor, setting: Setting) -> Tensor:
        """Amplitude of the echo (1, K) at each sample of the lines (N, L), same shape."""

    def score(self, recording: Recording, setting: Setting) -> Tensor:
        """Filtered lines as the readout has them, (N, L)."""
        voltage = conditioned(recording, setting["gain"], setting["scale"])
        output = self.filtered(voltage, self._template.to(voltage.device).echoes, setting)
        score = envelope(output) if setting["readout"] == "envelope" else output.clamp(min=0)
        return only_peaks(score) if setting["form"] == "peaks" else score
