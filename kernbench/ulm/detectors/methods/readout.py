"""From a filtered line to a score: what of it counts, and whether between its peaks, too."""

from torch import Tensor

from kernbench.ulm.detectors.detector import only_peaks
from kernbench.ulm.detectors.recording import envelope

READOUTS = ("positive", "envelope")
FORMS = ("samples", "peaks")


def read(filtered: Tensor, readout: str, form: str) -> Tensor:
    """Score of filtered lines, same shape (N, L).

    Args:
        filtered: amplitude of the echo at each sample.
        readout: "envelope", or anything else for what is positive.
        form: "peaks" for local maxima only, or "samples".
    """
    score = envelope(filtered) if readout == "envelope" else filtered.clamp(min=0)
    return only_peaks(score) if form == "peaks" else score
