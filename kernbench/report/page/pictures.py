"""Pictures of the page: figures drawn, saved beside it and put into it."""

import base64
import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from kernbench.errors import DataError
from kernbench.plotting.style import as_svg, save
from kernbench.report.figures.curves import precision_recall_figure, tolerance_curves_figure
from kernbench.report.figures.noise import noise_figure
from kernbench.report.figures.searches import search_figure
from kernbench.report.figures.spreads import density_figure, learning_figure, violin_figure
from kernbench.report.figures.sweeps import sweep_figure, tolerance_figure
from kernbench.report.figures.thinning import fewer_series, fewer_values, left_out
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.curves import best_with_curves, with_curves
from kernbench.report.numbers.noise import varies_noise
from kernbench.store.reading.records import Run
from kernbench.ulm.cells.artifact_reader import ARRAYS, CURVE, CellArrays, load_arrays, load_curve
from kernbench.ulm.cells.pictures import example_figure, kernel_figure

FIGURES = "figures"
MOST_CURVES = 200  # learning curves in one figure
OF_VALUES = ("tolerance", "lines", "curves", "learning")  # figures with a colour or a place for each value of the axis

_CAPTIONS = {
    "sweep": """Mean F1 on the test lines at the headline tolerance. Bars: 95 % intervals over seeds and lines.
        Dashed and dotted lines: blind floors; a point below them is worse than a blind guess.
        Thin lines, if any: classical detectors on the same lines, see the table.
        Crosses at the bottom: cells that diverged or failed.""",
    "tolerance": """Mean F1 against tolerance, each with the threshold chosen for that tolerance. The thin vertical
        line marks the headline tolerance. The blind floors rise with the tolerance, too. Dashed with open markers:
        published, if any, in the colour of the point that it belongs to.""",
    "lines": "Spread of F1 over the test lines. Bars: medians; circles: means; dashed: mean of the blind comb.",
    "noise": """Mean F1 on the test lines against the nominal noise level, for a few tolerances; the levels are
        evenly spaced, and 0 is clean and not filtered. Dashed with open markers: published, if any.""",
    "curves": """Mean precision against mean recall of the test lines over 44 thresholds, at the headline tolerance.
        Dots: the frozen thresholds. Stars, if any: published points of the largest F1. Lines on which nothing is
        detected count 0.001 for both, which bends the curves down at high thresholds.""",
    "curve_tolerances": """The same for the best point of each family, at tolerances 0 to 5 (as Blanken et al. 2022,
        Fig. 7a).""",
    "search": """Highest mean F1 on the validation lines so far, by draw; dots are single draws, draw 0 is the family's
        default setting. A family with nothing to tune is a line across. Several seeds: thin lines, one a search, and
        their mean.""",
    "density": """F1 of the test lines against bubble number and drive pressure, for the best point of each family.
        Dots, for up to three families: lines; markers: means with 95 % intervals in the published bins (Blanken et al.
        2022, Fig. 8), of three lines and more; black squares, if any: published means.""",
    "learning": "Learning curves of every cell: dual loss, and mean F1 on the validation lines.",
    "kernels": """Left: the four strongest kernels of each layer, after training (colours) and before (grey);
        positive lags look ahead, where the echo follows its label. Right: power of the kernels of the layer, each
        scaled to unit energy; the dashed line is the pulse.""",
    "example": """A test line: voltage, network output with its threshold, and below it the bubbles of the label and
        the samples that count as detections.""",
}
CAPTIONS = {name: " ".join(text.split()) for name, text in _CAPTIONS.items()}


@dataclass(frozen=True)
class Picture:
    """A figure as the page holds it.

    Attributes:
        data: `data:` address of the SVG.
        caption: what it shows and how to read it.
        file: path of the SVG relative to the page.
    """

    data: str
    caption: str
    file: str


@dataclass
class Folder:
    """Where the report goes, and the files that could not be read on the way."""

    root: Path
    unreadable: list[str] = field(default_factory=list)
    stems: set[str] = field(default_factory=set)

    def stem(self, *names: str) -> str:
        """A file name made of names; what users wrote may hold anything, and two names may become the same."""
        stem = "-".join(re.sub(r"[^A-Za-z0-9._]+", "-", name).strip(".-")[:60] or "unnamed" for name in names)
        numbered = (f"{stem}-{number}" for number in itertools.count(2))
        free = next(name for name in itertools.chain([stem], numbered) if name not in self.stems)
        self.stems.add(free)
        return free


def study_pictures(comparison: Comparison, folder: Folder, levels: Mapping[str, float]) -> list[Picture]:
    """Figures of a comparison, thinned where there are too many values or series."""
    if not comparison.scored:
        return []
    whole, wide = comparison, fewer_series(comparison)
    narrow = fewer_values(wide)
    drawn = {
        "sweep": sweep_figure(wide, levels),
        "tolerance": tolerance_figure(narrow),
        "lines": violin_figure(narrow),
    }
    if whole.searches:
        drawn["search"] = search_figure(whole)
    if varies_noise(whole):
        drawn["noise"] = noise_figure(wide)
    if with_curves(narrow.scored):
        drawn["curves"] = precision_recall_figure(narrow)
    if best_with_curves(wide):
        drawn["curve_tolerances"] = tolerance_curves_figure(wide)
    if any(point.lines is not None for point in wide.best):
        drawn["density"] = density_figure(wide)
    curves = _curves(narrow, folder)
    if curves:
        drawn["learning"] = learning_figure(narrow, curves)
    of = {"search": whole, **dict.fromkeys(OF_VALUES, narrow)}
    captions = {name: f"{CAPTIONS[name]} {left_out(whole, of.get(name, wide))}".rstrip() for name in drawn}
    if len(curves) < (known := sum(CURVE in run.artifacts for run in whole.runs)):
        captions["learning"] = captions.get("learning", "").replace(
            "of every cell", f"of {len(curves)} of {known} cells"
        )
    return [
        _picture(figure, folder.stem(comparison.base, name), captions[name], folder, png=True)
        for name, figure in drawn.items()
    ]


def cell_details(comparison: Comparison, folder: Folder) -> dict[str, list[Picture]]:
    """Kernels and example line of the best point of every series, or of the best series."""
    details = {}
    for series in fewer_series(comparison).series:
        point = series.best
        run = next((run for run in point.scored if ARRAYS in run.artifacts), None) if point else None
        if point is None or run is None:
            continue
        try:
            arrays = load_arrays(run.artifacts[ARRAYS])
            details[point.name] = _cell_pictures(run, arrays, series.name, folder)
        except (DataError, ValueError, IndexError) as error:
            folder.unreadable.append(f"{run.study}, cell {run.cell}: {error}")
    return details


def _cell_pictures(run: Run, arrays: CellArrays, series: str, folder: Folder) -> list[Picture]:
    kernels = kernel_figure(arrays.kernels, arrays.spectra, arrays.starts, rate_hz=arrays.rate_hz)
    threshold = 0.0 if run.threshold is None else run.threshold
    example = example_figure(
        arrays.voltage, arrays.counts, arrays.prediction, threshold, arrays.start, rate_hz=arrays.rate_hz
    )
    drawn = {"kernels": kernels, "example": example}
    return [
        _picture(figure, folder.stem(run.base, series, name), CAPTIONS[name], folder) for name, figure in drawn.items()
    ]


def _curves(comparison: Comparison, folder: Folder) -> dict[str, Mapping[str, ArrayLike]]:
    """Learning curves that are drawn, by study and cell: those of the points drawn, or of very many every n-th."""
    points = {(run.study, run.cell) for point in comparison.points for run in point.runs}
    runs = [run for run in comparison.runs if CURVE in run.artifacts and (run.study, run.cell) in points]
    curves: dict[str, Mapping[str, ArrayLike]] = {}
    for run in runs[:: max(1, math.ceil(len(runs) / MOST_CURVES))]:
        try:
            curves[f"{run.study}/{run.cell}"] = load_curve(run.artifacts[CURVE])
        except DataError as error:
            folder.unreadable.append(f"{run.study}, cell {run.cell}: {error}")
    return curves


def _picture(figure: Figure, stem: str, caption: str, folder: Folder, png: bool = False) -> Picture:
    """Write a figure and hold it for the page; as an image, because inlined SVGs would share their ids."""
    path = folder.root / FIGURES / f"{stem}.svg"
    if png:
        content = save(figure, path.with_suffix(""))[0].read_bytes()
    else:
        content = as_svg(figure)
        path.write_bytes(content)
    data = base64.b64encode(content).decode("ascii")
    return Picture(f"data:image/svg+xml;base64,{data}", caption, f"{FIGURES}/{path.name}")
