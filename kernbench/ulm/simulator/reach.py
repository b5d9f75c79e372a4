"""How far behind its label an echo reaches: what a network has to see, beside its kernel size."""

import functools
from typing import NamedTuple

import numpy as np

from kernbench.ulm.line import DEFAULT_PULSE
from kernbench.ulm.simulator.pulse import FloatArray
from kernbench.ulm.simulator.pulses import find_pulse
from kernbench.ulm.simulator.scene import Scene
from kernbench.ulm.simulator.simulate import simulate_lines

RADIUS_M, PRESSURE_PA, DEPTH_M = 2.4e-6, 100e3, 0.05  # of the bubble that stands for all
_TAIL = 112  # samples of the receive response after the echo


class Echo(NamedTuple):
    """Echo of one bubble, voltage from the label on.

    Attributes:
        voltage: (samples,) a.u.
        first: sample after the label at which a tenth of the largest voltage is reached.
        peak: of the largest voltage.
        one_percent: by which 1 % of the energy has arrived.
        ninety_nine_percent: by which 99 % of the energy has arrived: what a network has to see.
    """

    voltage: FloatArray
    first: int
    peak: int
    one_percent: int
    ninety_nine_percent: int


@functools.cache
def echo_of(pulse: str = DEFAULT_PULSE) -> Echo:
    """Echo of a bubble of 2.4 um at 50 mm on the axis, driven with 100 kPa.

    Args:
        pulse: see `find_pulse`.

    Raises:
        DataError: a pulse that cannot be used.
    """
    line = simulate_lines([Scene([DEPTH_M], [0.0], [RADIUS_M], PRESSURE_PA)], pulse=pulse)
    label = int(line.counts[0].argmax())
    voltage = line.voltage[0, label : label + find_pulse(pulse).echo_samples + _TAIL].double().numpy()
    loud, energy = np.abs(voltage), np.cumsum(voltage**2)
    first, peak = int(np.argmax(loud >= 0.1 * loud.max())), int(loud.argmax())
    ends = [int(np.searchsorted(energy, share * energy[-1])) for share in (0.01, 0.99)]
    return Echo(voltage, first, peak, *ends)


def kernel_size_needed(pulse: str, layers: int) -> int:
    """Smallest odd K at which that many centered layers without dilation see 99 % of the echo's energy.

    Args:
        pulse: see `find_pulse`.
        layers: convolutions in a row, each of which sees (K - 1) / 2 samples ahead.
    """
    ahead = echo_of(pulse).ninety_nine_percent
    return 2 * -(-ahead // layers) + 1
