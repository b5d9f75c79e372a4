"""Pulse compression: lines correlated with the pulse as the element receives it, before anything looks for bubbles.

Source: Zorgdrager et al. (2025), published code, chirpCompression.m.
"""

import numpy as np
import numpy.typing as npt
import scipy  # not scipy.fft: it takes time to import

from kernbench.ulm.simulator.pulse import RATIO, FloatArray
from kernbench.ulm.simulator.pulses import find_pulse
from kernbench.ulm.simulator.transducer import receive_filter


def template_of(pulse: str, transmit: str | None = None, receive: str | None = None) -> FloatArray:
    """The pulse after the receive response, largest magnitude 1, at the RF rate from the start of the drive on.

    Args:
        pulse: see `find_pulse`.
        transmit: measured response (.mat), or None for the embedded fit.
        receive: the same for reception.

    Returns:
        As many samples as an echo of the pulse has, (K,).

    Raises:
        DataError: a pulse or response that cannot be used.
    """
    sent, heard = find_pulse(pulse, transmit), receive_filter(receive)
    received = np.convolve(sent.pressure[::RATIO], heard.taps)[-heard.first :][: sent.echo_samples]
    return np.asarray(received / np.abs(received).max())


def compressed(voltage: npt.ArrayLike, template: FloatArray) -> npt.NDArray[np.float32]:
    """Lines through the matched filter of a pulse: y[n] = sum_k V[n + k] s[k] / sum_k s[k]^2; zeros behind the line.

    Args:
        voltage: (..., samples), noise included.
        template: s, (K,).

    Returns:
        Shape as `voltage`; an echo of the form of the template has its height at its arrival.
    """
    lines = np.asarray(voltage, np.float64)
    samples = lines.shape[-1]
    points = scipy.fft.next_fast_len(samples + len(template) - 1, real=True)
    filtered = scipy.fft.irfft(scipy.fft.rfft(lines, n=points) * scipy.fft.rfft(template, n=points).conj(), n=points)
    return np.asarray(filtered[..., :samples] / np.square(template).sum(), np.float32)
