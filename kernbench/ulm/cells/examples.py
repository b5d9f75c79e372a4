"""Figure of one test line and what several networks make of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from kernbench.plotting.style import LABEL_COLOUR, OUTPUT_COLOUR, RULE, panels, styled
from kernbench.ulm.cells.pictures import busiest, draw_voltage
from kernbench.ulm.line import SAMPLE_RATE_HZ

MOST_EXAMPLES = 12


@dataclass(frozen=True, eq=False)
class Output:
    """Output of one network for the line.

    Attributes:
        name: of the point.
        values: (L,).
        threshold: above which a sample is a detection.
    """

    name: str
    values: ArrayLike
    threshold: float


@styled
def examples_figure(
    voltage: ArrayLike,
    counts: ArrayLike,
    outputs: Sequence[Output],
    start: int = 0,
    *,
    rate_hz: float = SAMPLE_RATE_HZ,
) -> Figure:
    """A stretch of typical density of one line: its voltage, and below it the output of each network.

    Args:
        voltage: RF signal, (L,) a.u.
        counts: bubbles per sample, (L,).
        outputs: of the networks.
        start: first sample of the line within its whole line.
        rate_hz: sampling rate.
    """
    signal, label = np.asarray(voltage, float), np.asarray(counts, float)
    stretch = busiest(label > 0.5)
    samples = start + np.arange(len(signal))
    height = 1.6 + 0.75 * len(outputs)
    ratios = [1.6] + [1.0] * len(outputs)
    figure, axes = panels(1 + len(outputs), 1, height=height, sharex=True, height_ratios=ratios)
    draw_voltage(axes[0, 0], samples[stretch], signal[stretch], rate_hz)
    axes[0, 0].set_ylabel("voltage [a.u.]")
    for panel, output in zip(axes[1:, 0], outputs, strict=True):
        values = np.asarray(output.values, float)
        _draw_output(panel, samples[stretch], label[stretch], values[stretch], output.threshold)
        panel.set_title(output.name, fontsize=7.5, pad=2)
    axes[-1, 0].set_xlabel(f"sample of {1e9 / rate_hz:g} ns")
    return figure


def _draw_output(
    panel: Axes, samples: NDArray[np.int64], label: NDArray[np.float64], output: NDArray[np.float64], threshold: float
) -> None:
    panel.plot(samples, output, color=OUTPUT_COLOUR, linewidth=0.9, zorder=3)
    panel.axhline(threshold, color=RULE, linewidth=0.7, linestyle="--")
    low, high = min(0.0, output.min()), max(threshold, output.max())
    span = (high - low) or 1.0
    panel.set_ylim(low - 0.55 * span, high + 0.08 * span)
    strip = panel.get_xaxis_transform()
    for where, bottom, colour in ((label > 0.5, 0.17, LABEL_COLOUR), (output > threshold, 0.01, "#222222")):
        panel.vlines(samples[where], bottom, bottom + 0.12, colors=colour, linewidth=0.9, transform=strip)
