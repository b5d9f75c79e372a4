"""Pictures of the page: figures drawn, saved beside it and put into it."""

import base64
import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from kernbench.errors import DataError, only_warned
from kernbench.plotting.style import as_svg, save
from kernbench.report.figures.costs import cost_figure
from kernbench.report.figures.curves import precision_recall_figure, tolerance_curves_figure
from kernbench.report.figures.differences import compared, differences_figure
from kernbench.report.figures.noise import noise_figure
from kernbench.report.figures.orders import orders_figure
from kernbench.report.figures.places import panels_of, places_figure
from kernbench.report.figures.profiles import has_profiles, profile_figure
from kernbench.report.figures.pulses import pulses_figure
from kernbench.report.figures.rates import rate_figure
from kernbench.report.figures.searches import search_figure
from kernbench.report.figures.spreads import density_figure, learning_figure, spread_figure
from kernbench.report.figures.sweeps import sweep_figure, tolerance_figure
from kernbench.report.figures.thinning import fewer_series, fewer_values, left_out
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.curves import best_with_curves, with_curves
from kernbench.report.numbers.fronts import costs
from kernbench.report.numbers.noise import varies_noise
from kernbench.report.numbers.orders import family_orders
from kernbench.report.numbers.pulses import pulses_of
from kernbench.report.numbers.rates import varies_rate
from kernbench.report.page.captions import caption, heading
from kernbench.report.page.live_svg import Mark, live_svg
from kernbench.report.page.manifest import FIGURES
from kernbench.report.page.short_svg import shortened, with_classes
from kernbench.ulm.cells.artifact_reader import CURVE, load_curve

MOST_IN_SWEEP = 42  # series: every family of the catalogue, which a reader can switch off
MOST_CURVES = 200  # learning curves in one figure
MOST_NAMES = 4  # of figures in a line that says what is missing
OF_ALL = ("differences", "places", "orders", "search", "pulses")  # figures that draw every series and value
OF_VALUES = ("tolerance", "lines", "curves", "learning")  # figures with a colour or a place for each value of the axis


@dataclass(frozen=True)
class Picture:
    """A figure as the page holds it.

    Attributes:
        name: of the kind of figure.
        heading: a few words.
        data: `data:` address of the SVG.
        caption: what it shows and how to read it.
        file: path of the SVG relative to the page.
        svg: the figure as an element of the page, with links; empty for an image.
    """

    name: str
    heading: str
    data: str
    caption: str
    file: str
    svg: str = ""


@dataclass
class Folder:
    """Where the report goes, and what is missing of it.

    Attributes:
        root: folder.
        unreadable: one line for each file that could not be read.
        stems: names of figures so far.
        undrawn: reason -> figures that could not be drawn.
    """

    root: Path
    unreadable: list[str] = field(default_factory=list)
    stems: set[str] = field(default_factory=set)
    undrawn: dict[str, list[str]] = field(default_factory=dict)

    @contextmanager
    def drawing(self, name: str) -> Iterator[None]:
        """Note a figure that fails inside; the page goes on without it."""
        with only_warned("", lambda why: self.undrawn.setdefault(why, []).append(name)):
            yield

    def missing_figures(self) -> list[str]:
        """One line for each reason, with the figures that it cost."""
        lines = []
        for why, names in self.undrawn.items():
            more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
            lines.append(f"{'; '.join(names[:MOST_NAMES])}{more}: {why}")
        return lines

    def stem(self, *names: str) -> str:
        """A file name made of names; what users wrote may hold anything, and two names may become the same."""
        stem = "-".join(re.sub(r"[^A-Za-z0-9._]+", "-", name).strip(".-")[:60] or "unnamed" for name in names)
        numbered = (f"{stem}-{number}" for number in itertools.count(2))
        free = next(name for name in itertools.chain([stem], numbered) if name not in self.stems)
        self.stems.add(free)
        return free


def study_pictures(
    comparison: Comparison, folder: Folder, levels: Mapping[str, float], anchor: str, marks: Mapping[str, Mark]
) -> dict[str, Picture]:
    """Figures of a comparison by name, thinned where there are too many values or series.

    Args:
        comparison: what to draw.
        folder: of the report.
        levels: F1 of other detectors on the same lines.
        anchor: of the comparison within the page.
        marks: name of a point -> where it leads.
    """
    if not comparison.scored:
        return {}
    whole, wide = comparison, fewer_series(comparison)
    narrow = fewer_values(wide)
    curves = _curves(narrow, folder)
    all_in_one = fewer_series(comparison, MOST_IN_SWEEP)
    # name, whether there is anything to draw, and how; exported tables may have the headline tolerance alone
    possible: list[tuple[str, object, Callable[[], Figure]]] = [
        ("sweep", True, lambda: sweep_figure(all_in_one, levels)),
        ("differences", compared(comparison), lambda: differences_figure(comparison)),
        ("places", panels_of(comparison), lambda: places_figure(comparison)),
        ("orders", family_orders(comparison), lambda: orders_figure(comparison)),
        ("profiles", has_profiles(wide), lambda: profile_figure(wide)),
        ("costs", costs(wide), lambda: cost_figure(wide)),
        ("lines", True, lambda: spread_figure(narrow)),
        ("tolerance", any(len(each.tolerances) > 1 for each in narrow.scored), lambda: tolerance_figure(narrow)),
        ("search", whole.searches, lambda: search_figure(whole)),
        ("noise", varies_noise(whole), lambda: noise_figure(wide)),
        ("rate", varies_rate(whole), lambda: rate_figure(wide)),
        ("pulses", pulses_of(whole), lambda: pulses_figure(whole)),
        ("curves", with_curves(narrow.scored), lambda: precision_recall_figure(narrow)),
        ("curve_tolerances", best_with_curves(wide), lambda: tolerance_curves_figure(wide)),
        ("density", any(each.lines is not None for each in wide.best), lambda: density_figure(wide)),
        ("learning", curves, lambda: learning_figure(narrow, curves)),
    ]
    of = {"sweep": all_in_one, **dict.fromkeys(OF_ALL, whole), **dict.fromkeys(OF_VALUES, narrow)}
    pictures = {}
    for name, _, draw in (each for each in possible if each[1]):
        with folder.drawing(f"{comparison.base}, {name}"):
            shown = of.get(name, wide)
            words = caption(name, shown, references=bool(levels), curves=len(curves))
            words = f"{words} {left_out(whole, shown)}".rstrip()
            figure, stem = draw(), folder.stem(comparison.base, name)
            image = picture(figure, stem, (name, heading(name, comparison), words), folder, png=True)
            pictures[name] = _live(image, folder, anchor, marks) if name == "sweep" else image
    return pictures


def _live(image: Picture, folder: Folder, anchor: str, marks: Mapping[str, Mark]) -> Picture:
    """A picture as an element of the page; the image stays in its file."""
    svg = live_svg(shortened((folder.root / image.file).read_bytes()), anchor, marks, image.caption)
    return Picture(image.name, image.heading, "", image.caption, image.file, svg)


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


def picture(figure: Figure, stem: str, words: tuple[str, str, str], folder: Folder, png: bool = False) -> Picture:
    """Write a figure and hold it for the page; as an image, because inlined SVGs would share their ids.

    Args:
        figure: drawn.
        stem: of its files.
        words: name of the kind of figure, heading and caption.
        folder: of the report.
        png: whether a PNG is written, too.
    """
    path = folder.root / FIGURES / f"{stem}.svg"
    content = save(figure, path.with_name(stem))[0].read_bytes() if png else as_svg(figure)
    if not png:
        path.write_bytes(content)
    data = base64.b64encode(with_classes(shortened(content))).decode("ascii")
    name, head, text = words
    return Picture(name, head, f"data:image/svg+xml;base64,{data}", text, f"{FIGURES}/{path.name}")
