"""The picture of detections without truth: where they are on all lines, and one line with the network's output."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kernbench.plotting.style import LABEL_COLOUR, OUTPUT_COLOUR, RULE, letter, panels, styled
from kernbench.ulm.evaluation.detections import Detected
from kernbench.ulm.line import SAMPLE_RATE_HZ, SPEED_OF_SOUND_M_PER_S

MM_PER_SAMPLE = 1e3 * SPEED_OF_SOUND_M_PER_S / 2 / SAMPLE_RATE_HZ


@styled
def detection_figure(found: Sequence[Detected], threshold: float) -> Figure:
    """Depth of all detections by line, and voltage, output and detections of the line with the median number of them.

    Args:
        found: at least one line.
        threshold: above which a sample is a detection.
    """
    numbers = [len(each.sample) for each in found]
    shown = int(np.argsort(numbers, kind="stable")[len(numbers) // 2])
    figure, axes = panels(3, 1, height=6.0, height_ratios=[1.5, 1, 1])
    _draw_all(axes[0, 0], found)
    one = found[shown]
    depth = (one.recording.start + np.arange(len(one.recording.voltage))) * MM_PER_SAMPLE
    axes[1, 0].plot(depth, one.recording.voltage, color="#333333", linewidth=0.6)
    axes[1, 0].set_ylabel("voltage [a.u.]")
    axes[2, 0].plot(depth[: len(one.output)], one.output, color=OUTPUT_COLOUR, linewidth=0.7, label="network output")
    axes[2, 0].axhline(threshold, color=RULE, linewidth=0.8, linestyle="--", label=f"threshold {threshold:.3g}")
    axes[2, 0].plot(one.depth_mm, one.score, ".", color=LABEL_COLOUR, markersize=3, label="detections")
    axes[2, 0].set_ylabel("output")
    axes[2, 0].set_xlabel("depth, two-way [mm]")
    figure.legend(*axes[2, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    for panel in axes[1:, 0]:
        panel.sharex(axes[1, 0])
        panel.margins(x=0.005)
    total = f"{sum(numbers)} detections on {len(found)} line{'s' if len(found) > 1 else ''}"
    titles = (total, f"line {shown + 1}: voltage", f"line {shown + 1}: output, {numbers[shown]} detections")
    for place, title in enumerate(titles):
        letter(axes[place, 0], place, title)
    return figure


def _draw_all(axes: Axes, found: Sequence[Detected]) -> None:
    line = np.repeat(np.arange(1, len(found) + 1), [len(each.sample) for each in found])
    depth = np.concatenate([each.depth_mm for each in found])
    wide = max(1.5, min(12, 300 / len(found)))  # points; marks of neighbouring lines just do not meet
    axes.plot(line, depth, "_", color=OUTPUT_COLOUR, markersize=wide, markeredgewidth=0.5)
    axes.set_xlim(0.4, len(found) + 0.6)
    axes.invert_yaxis()
    axes.set_xlabel("line, in the order of counts.csv")
    axes.set_ylabel("depth, two-way [mm]")
