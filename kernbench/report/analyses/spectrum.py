"""Where the energy of kernels lies, layer by layer, before training and after."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from kernbench.analysis.spectrum import SHARES, spectral_facts
from kernbench.report.analyses.analysis import Analysis, Row, Rows, Shown
from kernbench.report.analyses.by_layer import START, TRAINED, grouped, median_text, numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kernbench.kernels.base import KernelSpec
    from kernbench.report.analyses.trained_cells import Floats, TrainedCell

UNIT = "median over the layer's kernels [cycles per tap step]"
COLUMNS = {
    "layer": "from the input side, from 1",
    "stage": "start or trained",
    "taps": "of each kernel",
    "dilation": "samples between two taps",
    "centroid": f"sum f S / sum S, {UNIT}",
    "centroid_q05": "5 % quantile over the kernels",
    "centroid_q95": "95 % quantile",
    "centroid_mhz": "the median in MHz, at 62.5 MHz over the dilation",
    **{
        f"band_{100 * share:g}": f"least frequency with {100 * share:g} % of the energy at or below, {UNIT}"
        for share in SHARES
    },
    "above_half": "share of the energy above half of Nyquist (0.25 cycles per tap step), median",
    "dc": "share of the energy in the kernel's mean, (sum k)^2 / (K sum k^2), median; 1 / K of white noise",
}


def measure(cell: "TrainedCell") -> Rows:
    """Medians over the kernels of each layer at each stage."""
    rows: list[Row] = []
    stages = {START: cell.kernels_before(), TRAINED: cell.kernels()}
    for place, layer in enumerate(cell.network.kernel_layers()):
        known = {stage: kernels[place] for stage, kernels in stages.items() if kernels is not None}
        rows += [{"layer": place + 1, "stage": stage, **_facts(taps, layer.spec)} for stage, taps in known.items()]
    return {"spectrum": rows}


def _facts(kernels: "Floats", spec: "KernelSpec") -> dict[str, float]:
    found = spectral_facts(kernels)
    low, middle, high = np.quantile(found.centroid, (0.05, 0.5, 0.95)).tolist()
    return {
        "taps": kernels.shape[-1],
        "dilation": spec.dilation,
        "centroid": middle,
        "centroid_q05": low,
        "centroid_q95": high,
        "centroid_mhz": middle * spec.sample_rate / 1e6 / spec.dilation,
        **{f"band_{100 * share:g}": float(np.median(band)) for share, band in found.bandwidth.items()},
        "above_half": float(np.median(found.above_half)),
        "dc": float(np.median(found.constant)),
    }


def show(rows: Rows) -> Iterable[Shown]:
    """Medians over cells, a row for each family, kernel size, layer and stage."""
    bands = [f"band_{100 * share:g}" for share in SHARES]
    table = [
        [
            *(family, size, layer, stage),
            *(median_text(each, name) for name in ("centroid", "centroid_mhz", *bands)),
            *(median_text(each, name, percent=True) for name in ("above_half", "dc")),
        ]
        for (family, size, layer, stage), each in grouped(rows["spectrum"], "family", "kernel_size", "layer", "stage")
    ]
    yield Shown(
        "Frequencies in cycles per tap step; the mean of a kernel was not removed. Bands: least frequency with that "
        "share of the energy at or below it. Above half: energy above half of Nyquist, which half the rate aliases. "
        "DC: energy in the kernel's mean; white noise has 1 / K. Medians over kernels, then over cells.",
        ["family", "K", "layer", "stage", "centroid", "[MHz]", "50 %", "90 %", "95 %", "above half", "DC"],
        table,
    )


def draw(rows: Rows) -> "Figure | None":
    """Centroid by layer, trained and at the start, a panel for each family, a line for each kernel size."""
    if not numbers(rows["spectrum"], "centroid_mhz"):
        return None
    from kernbench.report.analyses.layer_figure import layer_figure  # noqa: PLC0415  # matplotlib takes a second

    return layer_figure(rows["spectrum"], "centroid_mhz", "centroid [MHz]")


SPECTRUM = Analysis(
    name="spectrum",
    heading="Spectra of the kernels",
    summary="Where the energy of the kernels lies: centroid, bandwidths, DC, before training and after.",
    tables={"spectrum": COLUMNS},
    measure=measure,
    show=show,
    draw=draw,
    caption="Centroid of the power of the kernels of a layer, from the input side: median kernel, then median over "
    "cells. Dashed: before training. The default pulse is at 1.7 MHz.",
)
