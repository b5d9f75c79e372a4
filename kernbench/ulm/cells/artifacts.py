"""Files that a finished cell leaves: kernels and spectra, an example line, the learning curve, and their pictures.

The files are written first; pictures are drawn when the scores are stored, so none of them can fail a cell.
"""

import csv
import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernbench.analysis.spectrum import layer_spectrum
from kernbench.networks.network import Network
from kernbench.training.settings import Epoch, curve_columns
from kernbench.ulm.cells.artifact_reader import SIDES
from kernbench.ulm.line import PULSE_FREQUENCY_HZ, SAMPLE_RATE_HZ
from kernbench.ulm.scoring.loss import TERMS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_KERNELS = 16

Floats = NDArray[np.float32]
Draw = Callable[[], list[Path]]  # makes pictures


@dataclasses.dataclass(frozen=True, eq=False)
class Example:
    """A test line to show.

    Attributes:
        voltage: (L,) a.u.
        counts: (L,) bubbles per sample.
        prediction: (L,) network output.
        start: first sample of the window.
        threshold: chosen threshold at the headline tolerance.
        line: index among the test lines.
    """

    voltage: Floats
    counts: Floats
    prediction: Floats
    start: int
    threshold: float
    line: int


def kernels_of(network: Network) -> list[Floats]:
    """Kernels of every layer, (pairs, K) each, pairs in (output, input) order, in memory of their own."""
    layers = [layer.kernel().detach().cpu().numpy() for layer in network.kernel_layers()]
    # a copy: where the kernel is a parameter itself, training would change what is kept of its start
    return [np.array(kernel, np.float32).reshape(-1, kernel.shape[-1]) for kernel in layers]


def write_all(
    folder: Path,
    before: Sequence[Floats],
    after: Sequence[Floats],
    example: Example,
    curve: Sequence[Epoch],
    side: str = SIDES[0],
    pulse_hz: float = PULSE_FREQUENCY_HZ,
) -> tuple[list[Path], Draw]:
    """Write `cell.npz` and `curve.csv`.

    Args:
        folder: where to.
        before: kernels of each layer at the start of training.
        after: the same at its end.
        example: a test line.
        curve: learning curve.
        side: of the kernels.
        pulse_hz: frequency of the driving pulse.

    Returns:
        The files, and what draws their pictures.
    """
    shown = {name: np.asarray(value) for name, value in vars(example).items()}
    arrays = {name if name == "threshold" else f"example_{name}": value for name, value in shown.items()}
    arrays |= {"rate_hz": np.asarray(SAMPLE_RATE_HZ)} | _kernel_arrays(before, after)
    arrays |= {"side": np.asarray(SIDES.index(side))} if side != SIDES[0] else {}
    arrays |= {"pulse_hz": np.asarray(pulse_hz)} if pulse_hz != PULSE_FREQUENCY_HZ else {}
    path = folder / "cell.npz"
    np.savez_compressed(path, allow_pickle=False, **arrays)
    return [path, *write_curve(folder, curve)], lambda: _pictures(folder, arrays, example, curve, side)


def write_diverged(
    folder: Path,
    before: Sequence[Floats],
    after: Sequence[Floats],
    curve: Sequence[Epoch],
    side: str = SIDES[0],
    pulse_hz: float = PULSE_FREQUENCY_HZ,
) -> tuple[list[Path], Draw]:
    """What there is to see of a cell that met NaN: its curve, and its kernels, or those before, if they are finite.

    Args:
        folder: where to.
        before: kernels of each layer at the start of training.
        after: the same at its end; drawn only if all are finite.
        curve: learning curve up to there.
        side: of the kernels.
        pulse_hz: frequency of the driving pulse.

    Returns:
        The files, and what draws their pictures.
    """
    draw = functools.partial(_pictures_of_diverged, folder, before, after, curve, side, pulse_hz)
    return write_curve(folder, curve), draw


def _pictures_of_diverged(
    folder: Path, before: Sequence[Floats], after: Sequence[Floats], curve: Sequence[Epoch], side: str, pulse_hz: float
) -> list[Path]:
    tried = ((after, "when training diverged"), (before, "before training; at its end they were not finite"))
    finite = [each for each in tried if all(np.isfinite(layer).all() for layer in each[0])]
    figures = {}
    if finite:
        kernels, when = finite[0]
        arrays = _kernel_arrays(before, kernels) | {"pulse_hz": np.asarray(pulse_hz)}
        figures["kernel.png"] = _kernel_picture(arrays, side, f"Kernels {when}")
    if curve:
        figures["curve.png"] = _curve_picture(curve)
    return _draw(folder, figures)


def write_curve(folder: Path, curve: Sequence[Epoch]) -> list[Path]:
    """Write `curve.csv`, one row per epoch, empty cells where nothing was measured."""
    path = folder / "curve.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_curve_names(curve))
        writer.writerows(["" if value is None else value for value in row.columns().values()] for row in curve)
    return [path]


def _kernel_arrays(before: Sequence[Floats], after: Sequence[Floats]) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    for layer, (start, end) in enumerate(zip(before, after, strict=True)):
        # The strongest kernels of the trained layer, and the same pairs before training.
        strongest = np.argsort(-np.square(end).sum(axis=1), kind="stable")[:SHOWN_KERNELS]
        spectrum = layer_spectrum(end)
        arrays |= {
            f"kernel_{layer}": end[strongest],
            f"kernel_start_{layer}": start[strongest],
            f"spectrum_{layer}": spectrum.power.astype(np.float32),
            f"spectrum_start_{layer}": layer_spectrum(start).power.astype(np.float32),
            "frequency": spectrum.frequency,  # of the last layer; the others' follow from their number
        }
    return arrays


def _pictures(
    folder: Path, arrays: dict[str, NDArray[Any]], example: Example, curve: Sequence[Epoch], side: str
) -> list[Path]:
    # matplotlib takes a second to import, which a worker that finds nothing to do should not wait for
    from kernbench.ulm.cells.pictures import example_figure  # noqa: PLC0415

    line = example_figure(example.voltage, example.counts, example.prediction, example.threshold, example.start)
    figures = {"kernel.png": _kernel_picture(arrays, side), "example.png": line, "curve.png": _curve_picture(curve)}
    return _draw(folder, figures)


def _kernel_picture(arrays: dict[str, NDArray[Any]], side: str, title: str = "") -> "Figure":
    from kernbench.ulm.cells.pictures import kernel_figure  # noqa: PLC0415  # see _pictures

    layers = range(sum(name.startswith("kernel_start_") for name in arrays))
    named = ([arrays[f"{name}_{layer}"] for layer in layers] for name in ("kernel", "spectrum", "kernel_start"))
    pulse_hz = float(arrays.get("pulse_hz", PULSE_FREQUENCY_HZ))
    return kernel_figure(*named, title=title, side=side, pulse_hz=pulse_hz)


def _curve_picture(curve: Sequence[Epoch]) -> "Figure":
    from kernbench.ulm.cells.pictures import curve_figure  # noqa: PLC0415  # see _pictures

    rows = [row.columns() for row in curve]
    return curve_figure(
        {name: [math.nan if (value := row[name]) is None else value for row in rows] for name in _curve_names(curve)}
    )


def _curve_names(curve: Sequence[Epoch]) -> list[str]:
    """Columns of a curve; a family may add terms to the loss."""
    return list(curve[0].columns()) if curve else curve_columns(TERMS)


def _draw(folder: Path, figures: "dict[str, Figure]") -> list[Path]:
    from kernbench.plotting.style import save_png  # noqa: PLC0415  # see _pictures

    for name, figure in figures.items():
        save_png(figure, folder / name, dpi=120)
    return [folder / name for name in figures]
