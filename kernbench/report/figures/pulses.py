"""Figure of the driving pulses and of the echo of one bubble under each."""

import numpy as np
from matplotlib.figure import Figure

from kernbench.plotting.style import FULL_WIDTH, OUTPUT_COLOUR, RULE, letter, panels, styled
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.pulses import pulses_of
from kernbench.ulm.simulator.waveforms import FINE_RATE_HZ

MOST = 8  # pulses in one figure


@styled
def pulses_figure(comparison: Comparison) -> Figure:
    """Pressure at the array (left) and echo of one bubble from its label on (right), a row for each pulse.

    The echo is shaded up to where 99 % of its energy has arrived.
    """
    from kernbench.ulm.simulator.pulses import find_pulse  # noqa: PLC0415  # torch, which most pages do without
    from kernbench.ulm.simulator.reach import echo_of  # noqa: PLC0415

    names = pulses_of(comparison)[:MOST]
    figure, axes = panels(len(names), 2, width=FULL_WIDTH, height=0.7 + 0.9 * len(names), sharex="col")
    for row, name in enumerate(names):
        pulse, echo = find_pulse(name), echo_of(name)
        left, right = axes[row]
        micros = np.arange(len(pulse.pressure)) / FINE_RATE_HZ * 1e6
        left.plot(micros, pulse.pressure, color=OUTPUT_COLOUR, linewidth=0.8)
        left.set_ylim(-1.1, 1.1)
        right.plot(echo.voltage / np.abs(echo.voltage).max(), color="black", linewidth=0.7)
        right.axvspan(0, echo.ninety_nine_percent, color=RULE, alpha=0.25, linewidth=0)
        right.set_ylim(-1.1, 1.1)
        letter(left, 2 * row, f"{name}: pressure")
        letter(right, 2 * row + 1, f"{name}: echo, 99 % within {echo.ninety_nine_percent} samples")
    axes[-1, 0].set_xlabel("time [us]")
    axes[-1, 1].set_xlabel("samples of 16 ns after the label")
    return figure
