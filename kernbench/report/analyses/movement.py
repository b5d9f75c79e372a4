"""How far each layer moved from where it started: kernels, parameters, dead lags."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kernbench.analysis.movement import dead_lags, relative_change, unmoved_share
from kernbench.report.analyses.analysis import Analysis, Row, Rows, Shown
from kernbench.report.analyses.by_layer import grouped, median_text, numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kernbench.kernels.layer import KernelConv
    from kernbench.report.analyses.trained_cells import TrainedCell

LAYERS = {
    "layer": "from the input side, from 1",
    "taps": "of each kernel",
    "kernels": "pairs of output and input channel",
    "kernel_change": "norm(trained - start) / norm(start) of all taps of the layer; empty where the start is unknown",
    "unmoved": "share of its kernels that changed by less than 0.001 of their norm; likewise",
    "dead_lags": "lags at which every trained kernel is below 0.001 of the layer's largest tap",
}
PARAMETERS = {
    "layer": LAYERS["layer"],
    "parameter": "name of the tensor in the family's module",
    "numbers": "in the tensor",
    "change": "norm(trained - start) / norm(start); empty where it started at 0",
}


def measure(cell: "TrainedCell") -> Rows:
    """Changes of the kernels of each layer, and of each parameter tensor of its kernels."""
    before = cell.kernels_before()
    layers: list[Row] = []
    for place, after in enumerate(cell.kernels()):
        start = None if before is None else before[place]
        layers.append(
            {
                "layer": place + 1,
                "taps": after.shape[-1],
                "kernels": len(after),
                "kernel_change": None if start is None else relative_change(start, after),
                "unmoved": None if start is None else unmoved_share(start, after),
                "dead_lags": int(dead_lags(after).sum()),
            }
        )
    return {"movement": layers, "movement_parameters": _parameters(cell)}


def _parameters(cell: "TrainedCell") -> list[Row]:
    if cell.start is None:
        return []
    pairs = zip(cell.start.kernel_layers(), cell.network.kernel_layers(), strict=True)
    return [row for place, (first, last) in enumerate(pairs) for row in _of_layer(place + 1, first, last)]


def _of_layer(layer: int, first: "KernelConv", last: "KernelConv") -> Iterable[Row]:
    begun = dict(first.kernel_module.named_parameters())
    for name, value in last.kernel_module.named_parameters():
        before, after = (each.detach().cpu().double().numpy() for each in (begun[name], value))
        change = relative_change(before, after) if before.size else float("nan")
        yield {"layer": layer, "parameter": name, "numbers": value.numel(), "change": change}


def show(rows: Rows) -> Iterable[Shown]:
    """Medians over cells, a row for each family, kernel size and layer."""
    table = [
        [
            family,
            size,
            layer,
            median_text(each, "kernel_change"),
            median_text(each, "unmoved", percent=True),
            _dead(each),
        ]
        for (family, size, layer), each in grouped(rows["movement"], "family", "kernel_size", "layer")
    ]
    yield Shown(
        "Change: norm(trained - start) / norm(start) of all kernels of the layer. Unmoved: share of its kernels that "
        "changed by less than 0.1 %. Dead: lags at which every trained kernel is below 0.1 % of the layer's largest "
        "tap. Medians over cells, lowest and highest in brackets.",
        ["family", "K", "layer", "change of kernels", "unmoved", "dead lags"],
        table,
    )
    moved = grouped(rows["movement_parameters"], "family", "parameter")
    yield Shown(
        "Change of each parameter tensor, over layers, kernel sizes and cells.",
        ["family", "parameter", "change"],
        [[family, name, median_text(each, "change")] for (family, name), each in moved],
        left=2,
    )


def _dead(rows: Sequence[Mapping[str, object]]) -> str:
    shares = [float(str(row["dead_lags"])) for row in rows]
    return f"{np.median(shares):g} of {rows[0]['taps']}"


def draw(rows: Rows) -> "Figure | None":
    """Change of the kernels by layer, a panel for each family, a line for each kernel size."""
    if not numbers(rows["movement"], "kernel_change"):
        return None
    from kernbench.report.analyses.layer_figure import layer_figure  # noqa: PLC0415  # matplotlib takes a second

    return layer_figure(rows["movement"], "kernel_change", "change of kernels")


MOVEMENT = Analysis(
    name="movement",
    heading="How far training moved the kernels",
    summary="How far training moved kernels and parameters, and which lags stayed dead.",
    tables={"movement": LAYERS, "movement_parameters": PARAMETERS},
    measure=measure,
    show=show,
    draw=draw,
    caption="Relative change of all kernels of a layer, from the input side; medians over cells of one family and "
    "kernel size. At 1 the kernels changed by as much as they were.",
)
