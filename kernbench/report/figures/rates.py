"""Figure of F1 against the sampling rate of the test lines."""

from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kernbench.plotting.looks import MARKERS
from kernbench.plotting.style import RULE, shades, styled
from kernbench.report.figures.layout import draw_intervals, legend_below, panel_grid, series_keys
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.lines import line_tolerances
from kernbench.report.numbers.rates import rate_of
from kernbench.statistics.means import mean_interval

DRAWN_TOLERANCES = (0, 4, 8)  # even: half the rate counts them without rounding

SHIFT = 0.05  # of the bars of one tolerance, so that they do not hide each other


@styled
def rate_figure(comparison: Comparison) -> Figure:
    """Mean test F1 with 95 % intervals against the rate, one panel a family, one line for each of a few tolerances.

    Rates are evenly spaced; the better blind floor on the lines of each rate is grey, at the headline tolerance.
    """
    shown = [series for series in comparison.series if series.scored]
    tolerances = line_tolerances(comparison, DRAWN_TOLERANCES)
    rates = sorted({rate_of(point) for point in comparison.scored})
    colours = map(to_hex, shades(len(tolerances)))
    looks = dict(zip(tolerances, zip(colours, MARKERS, strict=False), strict=True))
    figure, axes = panel_grid([series.name for series in shown], height=2.6 if len(shown) > 1 else 3.2)
    for panel, series in zip(axes, shown, strict=True):
        points = sorted(series.scored, key=rate_of)
        places = [rates.index(rate_of(point)) for point in points]
        for place, (tolerance, look) in enumerate(looks.items()):
            beside = SHIFT * (place - (len(looks) - 1) / 2)
            intervals = [mean_interval(point.f1(tolerance), point.spread.prior, bounds=(0, 1)) for point in points]
            draw_intervals(panel, [x + beside for x in places], intervals, (*look, "-"), size=4, cap=2.5)
        panel.plot(places, [max(point.floors()) for point in points], color=RULE, linestyle="--", linewidth=1)
        panel.set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates])
        panel.set(ylim=(0, 1), xlabel="rate of the test lines [MHz]")
        panel.margins(x=0.08)
    axes[0].set_ylabel("mean F1")
    handles = series_keys((f"tolerance {tolerance}", (*look, "-")) for tolerance, look in looks.items())
    handles.append(Line2D([], [], color=RULE, linestyle="--", label=f"blind floor, tolerance {comparison.tolerance}"))
    legend_below(figure, handles, len(shown))
    return figure
