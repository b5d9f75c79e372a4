"""Figure of performance profiles: which share of the runs of a family scores above a threshold, over all sizes."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kernbench.errors import counted
from kernbench.plotting.looks import series_look
from kernbench.plotting.style import panels, styled
from kernbench.report.figures.layout import legend_columns, series_keys
from kernbench.report.numbers.comparison import KERNEL_SIZE, Comparison, Series
from kernbench.report.numbers.over_sizes import ENOUGH
from kernbench.statistics.profiles import profile

STEPS = 200


def has_profiles(comparison: Comparison) -> bool:
    """Whether several series have several kernel sizes and several seeds: fewer make a stair that says nothing."""
    series = [each for each in comparison.series if len(each.scored) > 1 and _seeds(each) > 1]
    return comparison.axis == KERNEL_SIZE and len(series) > 1


@styled
def profile_figure(comparison: Comparison) -> Figure:
    """Share of runs with a higher mean F1 than each threshold; bands where every size has enough runs."""
    figure, axes = panels(1, 1, height=3.7, width=5.6)
    panel: Axes = axes[0, 0]
    shown = [series for series in comparison.series if len(series.scored) > 1]
    looks = series_look([series.name for series in comparison.series])
    means = {series.name: [point.f1().mean(axis=1) for point in series.scored] for series in shown}
    every = np.concatenate([runs for sizes in means.values() for runs in sizes])
    thresholds = np.linspace(max(0.0, every.min() - 0.01), min(1.0, every.max() + 0.01), STEPS)
    for series in shown:
        colour, _, dash = looks[series.name]
        found = profile(means[series.name], thresholds)
        panel.step(thresholds, found.above, where="post", color=colour, linestyle=dash)
        if _seeds(series) >= ENOUGH:
            panel.fill_between(thresholds, found.low, found.high, step="post", color=colour, alpha=0.12, linewidth=0)
    panel.set(
        xlabel=f"mean F1 of a run, tolerance {counted(comparison.tolerance, 'sample')}", ylabel="share of runs above it"
    )
    panel.set_ylim(-0.02, 1.02)
    keys = series_keys((series.name, (looks[series.name][0], "", looks[series.name][2])) for series in shown)
    figure.legend(handles=keys, loc="outside lower center", ncols=legend_columns([series.name for series in shown]))
    return figure


def _seeds(series: Series) -> int:
    return min(len(point.scored) for point in series.scored)
