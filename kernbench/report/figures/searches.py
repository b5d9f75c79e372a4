"""Figures of tuned studies: what each search found, draw by draw."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kernbench.plotting.looks import Look, series_look
from kernbench.plotting.style import styled
from kernbench.report.figures.layout import legend_below, panel_grid, series_keys
from kernbench.report.figures.layout import setting_text as axis_text
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.points import SEED, values_text
from kernbench.report.numbers.searches import Search, varying
from kernbench.report.numbers.tuning import in_order


@styled
def search_figure(comparison: Comparison) -> Figure:
    """Best validation F1 so far against the number of the draw, one panel for each point of the axes."""
    panels: dict[str, list[Search]] = {}
    others = varying(comparison.searches) - {comparison.axis, SEED}
    for search in in_order(comparison):
        head = axis_text(comparison.axis, str(search.point.get(comparison.axis, "all")))
        rest = values_text({name: value for name, value in search.point.items() if name in others})
        panels.setdefault(f"{head}, {rest}" if rest else head, []).append(search)
    looks = series_look(comparison.families)
    figure, axes = panel_grid(panels, height=2.6 if len(panels) > 1 else 3.2)
    for panel, searches in zip(axes, panels.values(), strict=True):
        for family in comparison.families:
            _draw_family(panel, [each for each in searches if each.family == family], looks[family])
        panel.set_xlabel("draw")
        panel.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    best = [
        float(np.nanmax(scores)) for each in comparison.searches if np.isfinite(scores := each.best_so_far()[1]).any()
    ]
    axes[0].set_ylim(0, min(1.0, 1.08 * max(best, default=1.0)))  # the panels share it
    axes[0].set_ylabel("best mean F1 so far, validation")
    legend_below(figure, series_keys(looks.items()), len(panels))
    return figure


def _draw_family(panel: Axes, searches: Sequence[Search], look: Look) -> None:
    colour, marker, dash = look
    curves = [search.best_so_far() for search in searches]
    if not curves:
        return
    if not searches[0].tuned:
        panel.axhline(np.nanmean([best[-1] for _, best in curves]), color=colour, linestyle=dash)
        return
    for search, (numbers, best) in zip(searches, curves, strict=True):
        panel.plot(
            list(search.validation), list(search.validation.values()), ".", color=colour, markersize=3, alpha=0.5
        )
        if len(curves) > 1:
            panel.step(numbers, best, where="post", color=colour, linewidth=0.5, alpha=0.6)
    length = min(len(numbers) for numbers, _ in curves)
    numbers, mean = curves[0][0][:length], np.mean([best[:length] for _, best in curves], axis=0)
    panel.step(numbers, mean, where="post", color=colour, linestyle=dash)
    panel.plot(numbers[-1:], mean[-1:], marker=marker, color=colour, markersize=4)
