"""The echo of each bubble by itself, as voltage; `simulate_lines` adds them up."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy  # not scipy.fft, for the same reason as in kernbench.conv.plan

from kernbench.ulm.line import DEFAULT_PULSE, SAMPLES
from kernbench.ulm.simulator.physics import FloatArray
from kernbench.ulm.simulator.pulse import Pulse
from kernbench.ulm.simulator.pulses import find_pulse
from kernbench.ulm.simulator.scene import Bubbles, IntArray
from kernbench.ulm.simulator.simulate import NONLINEAR, echoes_of, reaching_of, steps_of
from kernbench.ulm.simulator.transducer import drive_spectrum, receive_filter

BATCH = 2048  # bubbles: what fits the cache of a core, as in `simulate_lines`


@dataclass(frozen=True)
class Setup:
    """How lines are simulated, as `simulate_lines` takes it."""

    time_step_s: float | None = None
    transmit_response: str | None = None
    receive_response: str | None = None
    pulse: str = DEFAULT_PULSE
    bubbles: str = NONLINEAR

    @property
    def sent(self) -> Pulse:
        """The pulse.

        Raises:
            DataError: see `find_pulse`.
        """
        return find_pulse(self.pulse, self.transmit_response)


def reaching(bubbles: Bubbles, starts: IntArray, length: int, setup: Setup) -> Bubbles:
    """The bubbles whose echo touches the window of their line; `starts` has the first sample of each line's window."""
    return reaching_of(bubbles, starts, length, receive_filter(setup.receive_response), setup.sent.echo_samples)


def echoes_alone(bubbles: Bubbles, starts: IntArray, length: int, setup: Setup) -> npt.NDArray[np.float32]:
    """Voltage in the window of its line that each bubble alone would give.

    Args:
        bubbles: of one line or many.
        starts: first sample of the window of each line, (lines,).
        length: samples of a window.
        setup: how the lines are simulated.

    Returns:
        (bubbles, length); what runs past the end of a line is cut off.

    Raises:
        DataError: see `simulate_lines`.
    """
    voltage = np.zeros((len(bubbles), length), np.float32)
    for first in range(0, len(bubbles), BATCH):
        part = slice(first, first + BATCH)
        _place(bubbles[part], starts, setup, voltage[part])
    return voltage


def _place(bubbles: Bubbles, starts: IntArray, setup: Setup, voltage: npt.NDArray[np.float32]) -> None:
    """Fill the rows of a batch."""
    sent, receive, linear = setup.sent, receive_filter(setup.receive_response), setup.bubbles != NONLINEAR
    spectrum = drive_spectrum(sent, harmonic=not linear)
    pressure, first, _ = echoes_of(bubbles, spectrum, steps_of(setup.time_step_s, sent), linear=linear)
    echo = _received(pressure.double().numpy(), receive.taps)
    column = (first + receive.first)[:, None] + np.arange(echo.shape[1])
    in_window = column - starts[bubbles.line][:, None]
    there = (in_window >= 0) & (in_window < voltage.shape[1]) & (column < SAMPLES)
    row = np.broadcast_to(np.arange(len(bubbles))[:, None], there.shape)
    voltage[row[there], in_window[there]] = echo[there]


def _received(pressure: FloatArray, taps: FloatArray) -> FloatArray:
    """Convolution of each row with the taps, complete."""
    length = pressure.shape[1] + len(taps) - 1
    points = scipy.fft.next_fast_len(length, real=True)
    product = scipy.fft.rfft(pressure, n=points) * scipy.fft.rfft(taps, n=points)
    return np.asarray(scipy.fft.irfft(product, n=points)[:, :length])
