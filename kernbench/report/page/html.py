"""The page: one self-contained HTML file with inline figures, and beside it the tables and figure files."""

import base64
import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from kernbench.errors import DataError, StorageError
from kernbench.host.files import sha256_of, write_whole
from kernbench.host.garbage import set_aside
from kernbench.plotting.style import as_svg, save
from kernbench.report.figures.curves import precision_recall_figure, tolerance_curves_figure
from kernbench.report.figures.noise import noise_figure
from kernbench.report.figures.searches import search_figure
from kernbench.report.figures.spreads import density_figure, learning_figure, violin_figure
from kernbench.report.figures.sweeps import sweep_figure, tolerance_figure
from kernbench.report.figures.thinning import fewer_series, fewer_values, left_out
from kernbench.report.numbers.comparison import Comparison, comparisons
from kernbench.report.numbers.curves import best_with_curves, with_curves
from kernbench.report.numbers.detectors import (
    Classical,
    baseline_facts,
    baseline_levels,
    baseline_table,
    classical,
)
from kernbench.report.numbers.noise import noise_table, varies_noise
from kernbench.report.numbers.provenance import Provenance, provenance
from kernbench.report.numbers.published import Table, note_of, shown, tables
from kernbench.report.numbers.sentences import cautions, headline
from kernbench.report.numbers.tuning import tuning_rows, tuning_text
from kernbench.report.page.csv_tables import write_tables
from kernbench.report.page.rows import curve_rows, line_rows, same_text, summary_rows
from kernbench.store.reading.records import Run
from kernbench.ulm.cells.artifact_reader import ARRAYS, CURVE, CellArrays, load_arrays, load_curve
from kernbench.ulm.cells.pictures import example_figure, kernel_figure

PAGE = "report.html"
FIGURES = "figures"
MOST_CURVES = 200  # learning curves in one figure
OF_VALUES = ("tolerance", "lines", "curves", "learning")  # figures with a colour or a place for each value of the axis
SOURCE = "made from {}"  # near the top of the page, so that a report is not drawn again for nothing

CAPTIONS = {
    "sweep": """Mean F1 on the test lines at the headline tolerance. Bars: 95 % bootstrap intervals over lines (and
        seeds). Dashed and dotted lines: blind guesses; a point below them is worse than not looking at the signal.
        Thin lines, if any: classical detectors on the same lines, see the table.
        Crosses at the bottom: cells that diverged or failed.""",
    "tolerance": """Mean F1 against tolerance, each with the threshold chosen for that tolerance. The thin vertical
        line marks the headline tolerance. The blind floors rise with the tolerance, too. Dashed with open markers:
        published, if any, in the colour of the point that it stands beside.""",
    "lines": "Spread of F1 over the test lines. Bars: medians; circles: means; dashed: mean of the blind comb.",
    "noise": """Mean F1 on the test lines against the nominal noise level, for a few tolerances; the levels stand side
        by side, and 0 is clean and not filtered. Dashed with open markers: published, if any.""",
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


@dataclass(frozen=True, eq=False)
class Section:
    """One comparison as the page shows it.

    Attributes:
        comparison: its numbers.
        anchor: name within the page.
        headline: findings.
        cautions: what stands against them, files that could not be read included.
        rows: cells of the summary table, formatted.
        same: what all its points share.
        pictures: figures of the comparison.
        details: title -> figures of single cells.
        provenance: where its cells ran.
        curves: cells of the table of precision-recall curves, formatted.
        lines: cells of the table of F1 over lines, formatted.
        noise: cells of the table of noise levels, formatted.
        published: numbers from the literature beside ours.
        notes: what the study says of published results without a number.
        baselines: cells of the table of classical detectors, formatted.
        tuning: cells of the table of searches, formatted.
        tuning_text: what a tuned study draws, and what that means for its scores.
    """

    comparison: Comparison
    anchor: str
    headline: list[str]
    cautions: list[str]
    rows: list[dict[str, str]]
    same: str
    pictures: list[Picture]
    details: dict[str, list[Picture]]
    provenance: Provenance
    curves: list[dict[str, str]]
    lines: list[dict[str, str]]
    noise: list[dict[str, str]]
    published: list[Table]
    notes: list[str]
    baselines: list[dict[str, str]]
    tuning: list[dict[str, str]]
    tuning_text: list[str]


@dataclass
class _Folder:
    """Where the report goes, and the files that could not be read on the way."""

    root: Path
    unreadable: list[str] = field(default_factory=list)
    stems: set[str] = field(default_factory=set)

    def stem(self, *names: str) -> str:
        """A file name made of names; what users wrote may hold anything, and two names may become the same."""
        stem = "-".join(re.sub(r"[^A-Za-z0-9._]+", "-", name).strip(".-")[:60] or "unnamed" for name in names)
        free = next(
            name
            for number in itertools.count(1)
            if (name := stem if number == 1 else f"{stem}-{number}") not in self.stems
        )
        self.stems.add(free)
        return free


def source_digest(runs: Iterable[Run]) -> str:
    """What a report is made from, as 16 hex digits: the same for the same cells and baselines, in any order."""
    runs = list(runs)
    facts = sorted(repr((run.study, run.cell, run.status, run.digest, run.started, run.message)) for run in runs)
    facts += [*sorted({repr((run.study, run.asked)) for run in runs}), repr(sum(run.lacking for run in runs))]
    facts += baseline_facts(runs)
    # cells of one study share one tuple of references
    of_studies = {(id(run.references), run.note): (run.references, run.note) for run in runs}.values()
    facts += sorted(set(map(repr, of_studies)))
    return sha256_of("\n".join([version("kernbench"), *facts]), 16)


def is_current(runs: Iterable[Run], out_dir: Path) -> bool:
    """Whether the page in the folder was made from these very runs."""
    page = out_dir / PAGE
    if not page.is_file():
        return False
    with page.open(encoding="utf-8", errors="replace") as file:
        return SOURCE.format(source_digest(runs)) in file.read(4096)


def write_report(runs: Iterable[Run], out_dir: Path) -> Path:
    """Write page, tables and figures.

    Args:
        runs: cells, finished or not; those of one study file, version and profile are compared.
        out_dir: folder, made if missing; files of an earlier report are replaced.

    Returns:
        Path of the page, `report.html`.

    Raises:
        KernbenchError: there are no runs.
        StorageError: the folder cannot be written.
    """
    found = comparisons(runs)
    try:
        (out_dir / FIGURES).mkdir(parents=True, exist_ok=True)
        folder = _Folder(out_dir)
        with set_aside():  # drawing makes garbage by the megabyte, the runs are none
            tables = write_tables(found, out_dir)
            sections = [_section(comparison, index, folder) for index, comparison in enumerate(found)]
        page = out_dir / PAGE
        write_whole(page, _render(sections, [table.name for table in tables], folder))
    except OSError as error:
        raise StorageError(f"the report cannot be written to {out_dir}: {error}") from error
    return page


def _render(sections: Sequence[Section], tables: Sequence[str], folder: _Folder) -> str:
    environment = Environment(
        loader=PackageLoader("kernbench.report.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = shown
    runs = [run for section in sections for run in section.comparison.runs]
    return environment.get_template("report.html.j2").render(
        sections=sections,
        tables=tables,
        cells=len(runs),
        latest=max(run.started for run in runs),
        unreadable=folder.unreadable,
        source=SOURCE.format(source_digest(runs)),
    )


def _section(comparison: Comparison, index: int, folder: _Folder) -> Section:
    baselines = _baselines(comparison, folder)
    return Section(
        comparison=comparison,
        anchor=f"comparison-{index + 1}",
        headline=headline(comparison),
        cautions=cautions(comparison),
        rows=summary_rows(comparison),
        same=same_text(comparison),
        pictures=_pictures(comparison, folder, baseline_levels(baselines, comparison.tolerance)),
        details=_details(comparison, folder),
        provenance=provenance(comparison.runs),
        curves=curve_rows(comparison),
        lines=line_rows(comparison),
        noise=noise_table(comparison),
        published=tables(comparison),
        notes=note_of(comparison),
        baselines=baseline_table(baselines, comparison.tolerance),
        tuning=tuning_rows(comparison),
        tuning_text=tuning_text(comparison),
    )


def _baselines(comparison: Comparison, folder: _Folder) -> Classical:
    try:
        return classical(comparison)
    except DataError as error:
        folder.unreadable.append(f"{comparison.base}: {error}")
        return Classical({}, [], "")


def _pictures(comparison: Comparison, folder: _Folder, levels: Mapping[str, float]) -> list[Picture]:
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
    if any(series.best is not None and series.best.lines is not None for series in wide.series):
        drawn["density"] = density_figure(wide)
    curves = _curves(narrow, folder)
    if curves:
        drawn["learning"] = learning_figure(narrow, curves)
    captions = {name: _caption(name, whole, narrow if name in OF_VALUES else wide) for name in drawn}
    if len(curves) < (known := sum(CURVE in run.artifacts for run in whole.runs)):
        captions["learning"] = captions.get("learning", "").replace(
            "of every cell", f"of {len(curves)} of {known} cells"
        )
    return [
        _picture(figure, folder.stem(comparison.base, name), captions[name], folder, png=True)
        for name, figure in drawn.items()
    ]


def _caption(name: str, whole: Comparison, drawn: Comparison) -> str:
    """The caption of a figure, and what it leaves out."""
    of_whole = name == "search"
    return " ".join([*CAPTIONS[name].split(), *([] if of_whole else left_out(whole, drawn).split())])


def _details(comparison: Comparison, folder: _Folder) -> dict[str, list[Picture]]:
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


def _cell_pictures(run: Run, arrays: CellArrays, series: str, folder: _Folder) -> list[Picture]:
    kernels = kernel_figure(arrays.kernels, arrays.spectra, arrays.starts, rate_hz=arrays.rate_hz)
    threshold = 0.0 if run.threshold is None else run.threshold
    example = example_figure(
        arrays.voltage, arrays.counts, arrays.prediction, threshold, arrays.start, rate_hz=arrays.rate_hz
    )
    drawn = {"kernels": kernels, "example": example}
    captions = {name: " ".join(CAPTIONS[name].split()) for name in drawn}
    return [
        _picture(figure, folder.stem(run.base, series, name), captions[name], folder) for name, figure in drawn.items()
    ]


def _curves(comparison: Comparison, folder: _Folder) -> dict[str, Mapping[str, ArrayLike]]:
    curves: dict[str, Mapping[str, ArrayLike]] = {}
    for run in _with_shown_curve(comparison):
        try:
            curves[f"{run.study}/{run.cell}"] = load_curve(run.artifacts[CURVE])
        except DataError as error:
            folder.unreadable.append(f"{run.study}, cell {run.cell}: {error}")
    return curves


def _with_shown_curve(comparison: Comparison) -> list[Run]:
    """Cells whose learning curve is drawn: all of the points drawn, or of very many every n-th."""
    points = {(run.study, run.cell) for point in comparison.points for run in point.runs}
    runs = [run for run in comparison.runs if CURVE in run.artifacts and (run.study, run.cell) in points]
    return runs[:: math.ceil(len(runs) / MOST_CURVES)] if runs else []


def _picture(figure: Figure, stem: str, caption: str, folder: _Folder, png: bool = False) -> Picture:
    """Write a figure and hold it for the page; as an image, because inlined SVGs would share their ids."""
    path = folder.root / FIGURES / f"{stem}.svg"
    if png:
        content = save(figure, path.with_suffix(""))[0].read_bytes()
    else:
        content = as_svg(figure)
        path.write_bytes(content)
    data = base64.b64encode(content).decode("ascii")
    return Picture(f"data:image/svg+xml;base64,{data}", caption, f"{FIGURES}/{path.name}")
