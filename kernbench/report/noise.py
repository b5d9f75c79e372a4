"""F1 against the noise level, where a study varies it: figure and table, as Blanken et al. (2022), Fig. 11."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kernbench.plotting.style import MARKERS, RULE, letter, shades, styled
from kernbench.report.gather import TEST, Comparison, Point
from kernbench.report.layout import legend_columns, panel_grid
from kernbench.report.literature import published_f1
from kernbench.study.reference import TOLERANCE_AXIS

NOISE_AXES = {
    "noise_percent": "nominal noise, training and test [%]",
    "test_noise_percent": "nominal noise of the test lines [%]",
}
DRAWN_TOLERANCES = (0, 2, 4, 9)


def varies_noise(comparison: Comparison) -> bool:
    """Whether the comparison runs along a noise level."""
    return comparison.axis in NOISE_AXES and bool(comparison.scored)


@styled
def noise_figure(comparison: Comparison) -> Figure:
    """Mean test F1 against the noise level, one panel a family, one line for each of a few tolerances.

    Levels stand side by side, 0 (clean, unfiltered) first. Open markers and dashes are published.
    """
    shown = [series for series in comparison.series if series.scored]
    tolerances = sorted({*DRAWN_TOLERANCES, comparison.tolerance})
    levels = sorted({float(x) for point in comparison.points if (x := point.x) is not None})
    looks = dict(zip(tolerances, zip(shades(len(tolerances)), MARKERS, strict=False), strict=True))
    figure, axes = panel_grid(len(shown), height=2.6 if len(shown) > 1 else 3.2)
    published = False
    for index, (panel, series) in enumerate(zip(axes, shown, strict=True)):
        points = [point for point in series.scored if point.x is not None]
        places = [levels.index(float(point.x or 0)) for point in points]
        for tolerance, (colour, marker) in looks.items():
            panel.plot(places, [_mean(point, tolerance) for point in points], color=colour, marker=marker, markersize=4)
            beside = [published_f1(comparison, point).get(tolerance, np.nan) for point in points]
            if np.isfinite(beside).any():
                published = True
                panel.plot(
                    places, beside, color=colour, marker=marker, markersize=4, markerfacecolor="white", linestyle="--"
                )
        panel.set_xticks(range(len(levels)), [f"{level:g}" for level in levels])
        panel.set(ylim=(0, 1), xlabel=NOISE_AXES[comparison.axis])
        letter(panel, index, series.name)
    axes[0].set_ylabel("mean F1")
    handles = [
        Line2D([], [], color=colour, marker=marker, markersize=4, label=f"tolerance {tolerance}")
        for tolerance, (colour, marker) in looks.items()
    ]
    if published:
        handles.append(
            Line2D(
                [], [], color=RULE, marker="o", markersize=4, markerfacecolor="white", linestyle="--", label="published"
            )
        )
    names = [handle.get_label() for handle in handles]
    figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns(names, len(shown)))
    return figure


def noise_table(comparison: Comparison) -> list[dict[str, str]]:
    """Mean F1 of every point by tolerance, formatted, rows by noise level; none where published rows show the same."""
    covered = any(
        comparison.axis in (reference.where or {}) and reference.axis == TOLERANCE_AXIS
        for reference in comparison.references
    )
    if covered or not varies_noise(comparison):
        return []
    return [
        {"series": series.name, "level": "–" if point.x is None else str(point.x)}
        | {str(t): f"{_mean(point, int(t)):.3f}" for t in point.scored[0].scores[TEST].tolerances}
        for series in comparison.series
        for point in series.scored
    ]


def _mean(point: Point, tolerance: int) -> float:
    return float(point.f1(tolerance).mean())
