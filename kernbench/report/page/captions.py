"""Words under a figure, of what it draws and nothing else."""

from collections.abc import Callable

from kernbench.errors import counted
from kernbench.report.figures.spreads import FEWEST_FOR_VIOLIN, LINE_LABELS, MOST_CLOUDS
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.over_sizes import ENOUGH
from kernbench.report.numbers.points import SEED
from kernbench.report.numbers.published import published_along, published_bins
from kernbench.study.reference import F1
from kernbench.ulm.cells.artifact_reader import CURVE

HEADINGS = {
    "sweep": "Mean F1 against {axis}",
    "orders": "Order of the families",
    "differences": "Differences from free taps",
    "places": "F1 by all axes",
    "profiles": "Runs above a score, over all kernel sizes",
    "costs": "Mean F1 against costs",
    "tolerance": "Mean F1 against tolerance",
    "lines": "Spread over the test lines",
    "noise": "Mean F1 against noise level",
    "rate": "Mean F1 against sampling rate",
    "pulses": "Driving pulses and their echoes",
    "curves": "Precision and recall",
    "curve_tolerances": "Precision and recall at several tolerances",
    "search": "Searches",
    "density": "Bubbles and pressure",
    "learning": "Learning curves",
    "kernels": "Kernels",
    "examples": "One test line",
}
EXAMPLES = (
    "The same test line for all, enlarged where its density is typical: voltage on top, then the output of each "
    "network with its threshold (dashed); below it the bubbles of the label (orange) and the samples that count as "
    "detections (black)."
)


def kernels_caption(*, before: bool) -> str:
    """Words under the kernels of a point; whether those before training are drawn, too."""
    grey = " (colours) and before (grey)" if before else ""
    return (
        f"Left: the four strongest kernels of each layer, after training{grey}; positive lags look ahead, where the "
        "echo follows its label. Right: power of the kernels of the layer, each scaled to unit energy; the dashed line "
        "is the pulse."
    )


def heading(name: str, comparison: Comparison) -> str:
    """Heading of a figure."""
    return HEADINGS[name].format(axis=comparison.axis.replace("_", " "))


def caption(name: str, comparison: Comparison, *, references: bool = False, curves: int = 0) -> str:
    """What a figure of a comparison shows and how to read it.

    Args:
        name: of the figure.
        comparison: as drawn.
        references: whether other detectors are drawn.
        curves: number of learning curves that are drawn.
    """
    if name == "sweep":
        return _sweep(comparison, references)
    if name == "learning":
        return f"Dual loss, and mean F1 on the validation lines, of {_share(curves, comparison)}."
    words = OF_DRAWN.get(name)
    return FIXED.get(name, "") + (words(comparison) if words else "")


FIXED = {
    "profiles": "Share of the runs of a family, over all kernel sizes with the same weight, whose mean F1 is above a "
    "threshold (performance profile, Agarwal et al. 2021).",
    "costs": "Mean F1 with 95 % intervals against costs that differ, on logarithmic axes. Grey steps: the highest "
    "mean among all points that cost no more; neighbours on it may differ by less than these runs can show. Latency, "
    "memory and time, where drawn, depend on the machines and on what else ran there.",
    "tolerance": "Each tolerance with the threshold chosen for it. The thin vertical line marks the headline "
    "tolerance. The blind floors (grey) rise with the tolerance, too.",
    "differences": "Mean F1 on the test lines less that of `discrete` at the same values, of families with two seeds "
    "or more. Bars: 95 % intervals of each comparison alone. Colours: verdicts over all of them together (Holm); a bar "
    "that leaves out 0 may still be undecided. Grey crosses: neither network is surely above a blind guess, and "
    "nothing is said. Numbers at the edge: differences beyond it. Rows are sorted by the first panel, which is no "
    "verdict on neighbours.",
    "places": "Mean F1 on the test lines with 95 % intervals over seeds and lines, a panel for each value of the other "
    "axes. Dashed: the better blind floor; below it a network is worse than a blind guess.",
    "orders": "Mean F1 on the test lines of every family at every point of the axes, and its rank among the families "
    "there, both with 95 % intervals over seeds and lines. Where the intervals of ranks overlap, the order is not "
    "decided.",
    "noise": "Mean F1 on the test lines against the nominal noise level, for a few tolerances; the levels are evenly "
    "spaced, and 0 is clean and not filtered.",
    "rate": "Mean F1 on the test lines with 95 % intervals against their sampling rate, for some tolerances in samples "
    "of 62.5 MHz. Nothing was trained again: lines, noise included, were resampled from 62.5 MHz with an anti-alias "
    "filter, kernels taken at the same physical lags, as their family gives them there or, where test_kernels is "
    "resampled, by a filter; thresholds were kept. The dashed blind floor is that of the labels at each rate.",
    "pulses": "Left: pressure at the array for unit amplitude. Right: voltage of the echo of one bubble (2.4 um, 100 "
    "kPa, 50 mm) from its label on, scaled to its largest value; shaded up to where 99 % of its energy has arrived, "
    "which a network has to see. Pulses share their peak, not their energy.",
    "curves": "Mean precision against mean recall of the test lines over 44 thresholds, at the headline tolerance. "
    "Dots: the frozen thresholds. Lines on which nothing is detected count 0.001 for both, which bends the curves down "
    "at high thresholds.",
    "curve_tolerances": "The same for the chosen point of each family, at tolerances 0 to 5 (as Blanken et al. 2022, "
    "Fig. 7a).",
    "search": "Highest mean F1 on the validation lines so far, by draw; dots are single draws, draw 0 is the family's "
    "default setting. A family with nothing to tune is a line across.",
}


def _if(condition: bool, text: str) -> str:
    return text if condition else ""


def _sweep(comparison: Comparison, references: bool) -> str:
    several = any(len(point.scored) > 1 for point in comparison.scored)
    known = any(point.lines is not None for point in comparison.scored)
    lost = any(point.failed for point in comparison.points)
    return (
        "Mean F1 on the test lines at the headline tolerance. Bars: 95 % intervals over seeds and lines."
        + _if(several, " Small dots: single seeds.")
        + _if(
            bool(comparison.floors),
            " Dashed and dotted: blind floors; an interval below is worse than a blind guess.",
        )
        + _if(known and not comparison.floors, " Blind floors differ, as the lines do: see the table.")
        + _if(references, " Thin lines across: classical detectors on the same lines.")
        + _if(lost, " Crosses at the bottom: cells that diverged or failed.")
    )


def _lines(comparison: Comparison) -> str:
    few = min((point.f1().shape[1] for point in comparison.scored), default=0) < FEWEST_FOR_VIOLIN
    drawn = (
        "Each dot is the F1 of a line, its mean over seeds"
        if few
        else "Violins: F1 of the test lines, all seeds together"
    )
    return f"{drawn}. Bars: medians; circles: means; dashed: mean of the blind comb."


def _density(comparison: Comparison) -> str:
    dots = len(comparison.series) <= MOST_CLOUDS
    return (
        "F1 of the test lines against bubble number and drive pressure, for the chosen point of each family. "
        + _if(dots, "Dots: lines. ")
        + "Markers: means with 95 % intervals in the published bins (Blanken et al. 2022, Fig. 8), of at least "
        + "three lines."
        + _if(_binned(comparison), " Black squares: published means.")
    )


def _share(curves: int, comparison: Comparison) -> str:
    known = sum(CURVE in run.artifacts for run in comparison.runs)
    return "every cell" if curves == known else f"{curves} of {counted(known, 'cell')}"


def _published(text: str, quantity: str) -> Callable[[Comparison], str]:
    """The text where such a number was published for a point."""
    return lambda drawn: _if(any(published_along(drawn, point, quantity) for point in drawn.scored), text)


def _binned(comparison: Comparison) -> bool:
    return any(published_bins(comparison, axis, t) for axis in LINE_LABELS for t in (0, comparison.tolerance))


def _searches(comparison: Comparison) -> str:
    several = len({search.point.get(SEED) for search in comparison.searches}) > 1
    return _if(several, " Thin lines: one a search; thick ones: their mean.")


OF_DRAWN: dict[str, Callable[[Comparison], str]] = {
    "tolerance": _published(" Dashed with open markers: published.", F1),
    "noise": _published(" Dashed with open markers: published.", F1),
    "curves": _published(" Stars: published points of the largest F1.", "max_f1_recall"),
    "curve_tolerances": _published(" Stars: published points of the largest F1.", "max_f1_recall"),
    "search": _searches,
    "profiles": lambda drawn: _if(
        any(min(len(point.scored) for point in series.scored) >= ENOUGH for series in drawn.series if series.scored),
        " Bands: 95 % intervals, where every size has at least 5 runs.",
    ),
    "lines": _lines,
    "density": _density,
}
