"""Pictures of single cells: learned kernels of each family and kernel size, and one test line for all families."""

from dataclasses import dataclass

from kernbench.errors import DataError
from kernbench.report.figures.thinning import fewer_series
from kernbench.report.numbers.comparison import Comparison, Series
from kernbench.report.numbers.points import Point
from kernbench.report.page.captions import EXAMPLES, HEADINGS, kernels_caption
from kernbench.report.page.pictures import Folder, Picture, picture
from kernbench.store.reading.records import Run
from kernbench.ulm.cells.artifact_reader import ARRAYS, CellArrays, load_arrays
from kernbench.ulm.cells.examples import MOST_EXAMPLES, Output, examples_figure
from kernbench.ulm.cells.pictures import kernel_figure

# The page is to be mailed: the best point of each family is always shown, others while there is room.
KERNEL_BYTES = 700_000


@dataclass(frozen=True)
class Kernels:
    """Learned kernels of one point.

    Attributes:
        id: place within the page.
        point: name.
        series: name.
        x: value on the axis, as text.
        picture: of its kernels.
        chosen: whether it is the chosen point of its series.
    """

    id: str
    point: str
    series: str
    x: str
    picture: Picture
    chosen: bool


def kernel_pictures(comparison: Comparison, folder: Folder, anchor: str) -> list[Kernels]:
    """Kernels of the best point of every series, then of its other points until the page would become too large."""
    found: dict[str, Kernels] = {}
    size = 0
    best, others = _in_turn(comparison)
    for series, point in best + others:
        if size > KERNEL_BYTES and (series, point) not in best:
            break
        kernels = _kernels(series, point, folder, f"{anchor}-kernels-{len(found) + 1}")
        if kernels is not None:
            found[point.name] = kernels
            size += len(kernels.picture.data)
    order = [point.name for series in comparison.series for point in series.points]
    return [found[name] for name in order if name in found]


def example_picture(comparison: Comparison, folder: Folder) -> Picture | None:
    """Outputs of the best points on the one test line that most of them stored; None where nothing was stored."""
    groups: dict[bytes, list[tuple[str, Run, CellArrays]]] = {}
    for point in comparison.best:
        run = next((run for run in point.scored if ARRAYS in run.artifacts), None)
        arrays = None if run is None else _arrays(run, folder)
        if run is not None and arrays is not None:
            # labels of another delay are elsewhere on the same line
            key = arrays.voltage.tobytes() + arrays.counts.tobytes() + str(arrays.start).encode()
            groups.setdefault(key, []).append((point.name, run, arrays))
    shown = max(groups.values(), key=len, default=[])[:MOST_EXAMPLES]
    if not shown:
        return None
    line = shown[0][2]
    outputs = [Output(name, arrays.prediction, run.threshold or 0.0) for name, run, arrays in shown]
    total = len(comparison.best)
    more = (
        f" {len(shown)} of {total} points stored this line with these labels and are drawn."
        if len(shown) < total
        else ""
    )
    words = ("examples", HEADINGS["examples"], EXAMPLES + more)
    drawn: list[Picture] = []
    with folder.drawing(f"{comparison.base}, example line"):
        figure = examples_figure(line.voltage, line.counts, outputs, line.start, rate_hz=line.rate_hz)
        drawn.append(picture(figure, folder.stem(comparison.base, "example"), words, folder))
    return drawn[0] if drawn else None


def _in_turn(comparison: Comparison) -> tuple[list[tuple[Series, Point]], list[tuple[Series, Point]]]:
    """Best points of the series that are drawn; and the others, one of each series in turn."""
    drawn = fewer_series(comparison).series
    best = [(series, series.best) for series in drawn if series.best is not None]
    rest = [[(series, point) for point in series.scored if point is not series.best] for series in drawn]
    longest = max(map(len, rest), default=0)
    return best, [row[place] for place in range(longest) for row in rest if place < len(row)]


def _kernels(series: Series, point: Point, folder: Folder, place: str) -> Kernels | None:
    run = next((run for run in point.scored if ARRAYS in run.artifacts), None)
    arrays = None if run is None else _arrays(run, folder)
    if run is None or arrays is None:
        return None
    words = ("kernels", f"Kernels of {point.name}", kernels_caption(before=bool(arrays.starts)))
    stem = folder.stem(run.base, series.name, "" if point.x is None else str(point.x), "kernels")
    x = "all" if point.x is None else str(point.x)
    drawn: list[Picture] = []
    with folder.drawing(f"{run.base}, kernels of {point.name}"):
        given = arrays.kernels, arrays.spectra, arrays.starts
        figure = kernel_figure(*given, rate_hz=arrays.rate_hz, side=arrays.side, pulse_hz=arrays.pulse_hz)
        drawn.append(picture(figure, stem, words, folder))
    return Kernels(place, point.name, series.name, x, drawn[0], point is series.best) if drawn else None


def _arrays(run: Run, folder: Folder) -> CellArrays | None:
    try:
        return load_arrays(run.artifacts[ARRAYS])
    except DataError as error:
        text = f"{run.study}, cell {run.cell}: {error}"
        if text not in folder.unreadable:
            folder.unreadable.append(text)
        return None
