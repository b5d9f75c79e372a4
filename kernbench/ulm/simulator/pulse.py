"""A driving pulse as the simulator needs it: pressure at the array, and what depends on it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy  # not scipy.fft: it takes time to import, and only simulating needs it

from kernbench.ulm.line import PULSE_FREQUENCY_HZ

FloatArray = npt.NDArray[np.float64]

RATIO = 4  # samples of the pulse per RF sample


@dataclass(frozen=True, eq=False)
class Pulse:
    """Transmitted pressure at the array for unit amplitude, at 250 MHz.

    Attributes:
        pressure: p / PA, shape (samples,), largest magnitude 1 (1.000152 for the default pulse).
        slope: dp/dt / PA in 1/s, of the signal before it was cut to these samples.
        drive_hz: frequency at which the source of the second harmonic is attenuated.
        thermal_hz: frequency at which thermal damping of the bubbles is taken.
        step_ns: time step of the bubble equation [ns].
    """

    pressure: FloatArray
    slope: FloatArray
    drive_hz: float = PULSE_FREQUENCY_HZ
    thermal_hz: float = PULSE_FREQUENCY_HZ
    step_ns: int = 16

    @property
    def echo_samples(self) -> int:
        """RF samples of an echo before the receive response: as many as the pulse lasts."""
        return (len(self.pressure) - 1) // RATIO + 1

    @property
    def period_samples(self) -> int:
        """Period of all spectra in samples of the pulse, a length that is fast to transform: 1440 for 1424.

        It is not much longer than the pulse: pulse and echo are near zero where they end.
        """
        return RATIO * int(scipy.fft.next_fast_len(self.echo_samples, real=True))
