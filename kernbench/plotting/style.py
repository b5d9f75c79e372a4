"""How all figures look: one style for screen and print."""

import functools
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from numpy.typing import NDArray

Arguments = ParamSpec("Arguments")

LABEL_COLOUR = "#D55E00"
OUTPUT_COLOUR = "#0072B2"
QUIET = "#8c8c8c"
RULE = "#5a5a5a"
NOT_XML = re.compile(
    rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]"
)  # with one of these in a name, no program reads the file
FULL_WIDTH = 7.2  # inches: two columns of a journal page

STYLE: dict[Any, Any] = {  # Any: matplotlib's stubs spell out every key
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same figure on every machine
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "legend.handlelength": 2.6,  # long enough to show a dash
    "lines.linewidth": 1.3,
    "figure.dpi": 200,
    "svg.hashsalt": "kernbench",  # the same data give the same file
    "svg.fonttype": "none",  # text stays text: half the size, and it can be searched and edited
    "text.parse_math": False,  # names come from users: a dollar sign is a dollar sign
}


@contextmanager
def own_style() -> Iterator[None]:
    """Matplotlib's own defaults and the style of this module: what a user's matplotlibrc says is of no matter."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Make a drawing function use the style of this module."""

    @functools.wraps(draw)
    def wrapper(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        with own_style():
            return draw(*args, **kwargs)

    return wrapper


def panels(
    rows: int, columns: int, height: float, width: float = FULL_WIDTH, measured: bool = True, **grid: object
) -> tuple[Figure, NDArray[Any]]:
    """A figure and its axes (rows, columns), laid out without overlaps.

    Args:
        rows: of panels.
        columns: of panels.
        height: inches.
        width: inches.
        measured: whether texts are measured, so that nothing overlaps; else `in_grid` lays the figure out.
        grid: further arguments of `Figure.subplots`.
    """
    figure = Figure(figsize=(width, height), layout="constrained" if measured else None)
    axes = figure.subplots(rows, columns, squeeze=False, **grid)  # type: ignore[call-overload]
    return figure, axes


def in_grid(
    figure: Figure,
    shape: tuple[int, int],
    *,
    left: float,
    right: float,
    top: float,
    bottom: float,
    across: float = 0.0,
    down: float = 0.0,
) -> None:
    """Lay out a regular grid of panels by inches instead of measuring its texts, which takes as long as drawing them.

    Args:
        figure: of `panels`, not measured.
        shape: rows and columns.
        left: margin [inches], as the next three.
        right: see above.
        top: see above.
        bottom: see above.
        across: between columns.
        down: between rows.
    """
    (width, height), (rows, columns) = figure.get_size_inches(), shape
    panel = (width - left - right - across * (columns - 1)) / columns
    tall = (height - top - bottom - down * (rows - 1)) / rows
    figure.subplots_adjust(
        left=left / width,
        right=1 - right / width,
        top=1 - top / height,
        bottom=bottom / height,
        wspace=across / panel,
        hspace=down / tall,
    )


def shades(count: int) -> list[tuple[float, float, float, float]]:
    """Ordered colours for the values of an axis, dark to light, readable on white."""
    scale = mpl.colormaps["viridis"]
    return [tuple(scale(place)) for place in np.linspace(0.0, 0.85, count)]


def letter(axes: Axes, index: int, title: str = "") -> None:
    """Head a panel with its letter and title."""
    axes.set_title(f"{chr(ord('a') + index % 26)}  {title}".rstrip())


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write a figure as SVG and PNG.

    Args:
        figure: drawn by a function of this package.
        stem: path without suffix.

    Returns:
        Both paths.
    """
    paths = [stem.with_name(f"{stem.name}.svg"), stem.with_name(f"{stem.name}.png")]
    paths[0].write_bytes(as_svg(figure))
    # Laying out again would move things a little and take as long as drawing.
    figure.set_layout_engine("none")
    with own_style():
        FigureCanvasAgg(figure).print_png(paths[1], metadata={"Software": None})
    return paths


def save_png(figure: Figure, path: Path, dpi: int) -> None:
    """Write a figure as PNG alone.

    Args:
        figure: drawn by a function of this package.
        path: of the file.
        dpi: pixels per inch.
    """
    with own_style():
        figure.savefig(path, dpi=dpi, format="png")


def as_svg(figure: Figure) -> bytes:
    """A figure as SVG without a date, so that it does not change from run to run."""
    buffer = io.BytesIO()
    with own_style():
        # Figure.savefig would draw twice, first for the layout alone, which drawing does anyway.
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    figure.set_dpi(STYLE["figure.dpi"])  # SVG has 72 of its own
    return NOT_XML.sub(b"?", buffer.getvalue())
