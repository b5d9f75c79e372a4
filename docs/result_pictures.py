"""Pictures of the pages that `make_results.py` fills: which there are, and whether one shows the data as they are."""

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from kernbench.host.files import sha256_of
from kernbench.plotting.style import own_style
from kernbench.report.figures.orders import orders_figure
from kernbench.report.figures.profiles import profile_figure
from kernbench.report.figures.pulses import pulses_figure
from kernbench.report.figures.sweeps import sweep_figure
from kernbench.report.numbers.comparison import Comparison

IMG = "img"  # folder of the pictures, in that of the pages
DPI = 110
SHOWN = "Data"  # text in a picture: the digest of the cells that it shows

FIGURES: dict[str, Callable[[Comparison], Figure]] = {
    "sweep": sweep_figure,
    "orders": orders_figure,
    "pulses": pulses_figure,
    "profiles": profile_figure,
}


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
        FIGURES[name](comparison).savefig(folder / picture_name(comparison, name), dpi=DPI, metadata=about)


def _digest(comparison: Comparison) -> str:
    """Cells, and when each was trained."""
    facts = sorted(f"{run.study} {run.cell} {run.digest} {run.started}" for run in comparison.runs)
    return sha256_of("\n".join(facts), 16)
