"""Pictures of the pages that `make_results.py` fills: which there are, and whether one shows the data as they are."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from matplotlib.figure import Figure
from PIL import Image

from kernbench.host.files import sha256_of
from kernbench.plotting.style import own_style
from kernbench.report.figures.differences import compared, differences_figure
from kernbench.report.figures.orders import orders_figure
from kernbench.report.figures.places import panels_of, places_figure
from kernbench.report.figures.profiles import has_profiles, profile_figure
from kernbench.report.figures.pulses import pulses_figure
from kernbench.report.figures.sweeps import sweep_figure
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.orders import family_orders
from kernbench.report.numbers.pulses import pulses_of

IMG = "img"  # folder of the pictures, in that of the pages
DPI = 110
CURVE = 3  # points that a family needs
SHOWN = "Data"  # text in a picture: the digest of the cells that it shows


class Picture(NamedTuple):
    """A figure of the report.

    Attributes:
        make: draws it.
        drawn: whether there is anything to draw.
    """

    make: Callable[[Comparison], Figure]
    drawn: Callable[[Comparison], object]


FIGURES: Mapping[str, Picture] = MappingProxyType(
    {
        "sweep": Picture(lambda comparison: sweep_figure(_curves(comparison)), lambda comparison: comparison.scored),
        "orders": Picture(orders_figure, family_orders),
        "places": Picture(places_figure, panels_of),
        "differences": Picture(differences_figure, compared),
        "pulses": Picture(pulses_figure, pulses_of),
        "profiles": Picture(profile_figure, has_profiles),
    }
)


def _curves(comparison: Comparison) -> Comparison:
    """The comparison without families of one or two scores, where others have three: so few points are no curve."""
    least = min(CURVE, max(len(each.scored) for each in comparison.series))
    return replace(comparison, series=tuple(each for each in comparison.series if len(each.scored) >= least))


def picture_name(comparison: Comparison, name: str) -> str:
    """Its file."""
    return f"{comparison.base}_{name}.png"


def is_current(comparison: Comparison, name: str, folder: Path) -> bool:
    """Whether the picture is there and shows these cells."""
    path = folder / picture_name(comparison, name)
    if not path.exists():
        return False
    with Image.open(path) as picture:
        return bool(picture.info.get(SHOWN) == _digest(comparison))


def draw(comparison: Comparison, name: str, folder: Path) -> None:
    """Draw the picture, with the digest of its cells."""
    about = {SHOWN: _digest(comparison), "Software": None}
    with own_style():
        FIGURES[name].make(comparison).savefig(folder / picture_name(comparison, name), dpi=DPI, metadata=about)


def _digest(comparison: Comparison) -> str:
    """Of the scores, with which points, and at which tolerance; a change of the code that draws needs a look anyway."""
    facts = [f"{comparison.tolerance} {comparison.axis} {comparison.families}"]
    facts += [f"{point.name} {len(point.failed)} {point.f1().round(9).tolist()}" for point in comparison.scored]
    return sha256_of("\n".join(facts), 16)
