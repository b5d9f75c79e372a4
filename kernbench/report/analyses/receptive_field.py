"""How far networks look: the receptive field that the layers allow, and the one that the gradient shows."""

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from kernbench.report.analyses.analysis import Analysis, Row, Rows, Shown
from kernbench.report.analyses.by_layer import START, TRAINED, grouped, median_text, numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from kernbench.analysis.receptive_field import Field
    from kernbench.networks.contract import KernelNetwork
    from kernbench.networks.network import Network
    from kernbench.report.analyses.trained_cells import TrainedCell
    from kernbench.ulm.data.recipe import Split
    from kernbench.ulm.evaluation.noise import Noise
    from kernbench.ulm.evaluation.trained import Trained

LINES, POSITIONS = 64, 1  # of the test lines; output samples of each, at another place in each
SHARES = (0.5, 0.95)
NEAR, FINE = (-128, 256), 2  # lags around the echo of a bubble, and samples of a bin there
BINS = 50  # of a curve before them, and behind them
SPLIT = "test"
_KEPT = 4  # sets of lines: cells of one study share theirs

FIELD = {
    "stage": "start or trained",
    "before": "samples before an output sample that the layers reach",
    "behind": "samples behind it",
    "theoretical": "before + 1 + behind",
    "peak": "lag of the largest gradient [samples]; empty for a constant output, as the next three",
    "centre": "mean lag of the gradient [samples]; positive: what comes later in the line",
    **{
        f"width_{100 * share:g}": f"samples around the centre with {100 * share:g} % of the gradient"
        for share in SHARES
    },
    "share_95": "width_95 over theoretical",
    "outside": "gradient beyond the reach over that within; 0 but for rounding, unless a network of its own says too "
    "little",
    "lines": "test lines",
    "positions": "output samples of each line",
}
CURVE = {
    "stage": FIELD["stage"],
    "lag": "middle of a bin [samples]",
    "density": "share of the gradient per sample, mean over the bin",
}


def measure(cell: "TrainedCell") -> Rows:
    """The fields of a cell before training and after, on its own test lines."""
    lines = _lines_of(cell.trained)
    networks = {START: cell.start, TRAINED: cell.network}
    return rows_of({stage: network for stage, network in networks.items() if network is not None}, lines)


def measure_file(trained: "Trained", lines: "Split") -> Rows:
    """The field of a network on lines without noise."""
    from kernbench.ulm.evaluation.noise import Noise  # noqa: PLC0415  # torch

    return rows_of(
        {TRAINED: trained.network},
        _first(lines, Noise(0.0), None if trained.template is None else tuple(trained.template)),
    )


def rows_of(networks: "dict[str, Network]", lines: "Tensor") -> Rows:
    """Rows of both tables.

    Args:
        networks: by stage.
        lines: (N, L), with their noise.
    """
    from kernbench.analysis.receptive_field import measured_field  # noqa: PLC0415  # torch

    fields: list[Row] = []
    curves: list[Row] = []
    for stage, network in networks.items():
        reach = reach_of(network)
        found = measured_field(network, lines, reach, POSITIONS, whole=not _moves_along(network))
        whole = 1 + sum(reach)
        widths = {f"width_{100 * share:g}": found.width(share) for share in SHARES}
        fields.append(
            {
                "stage": stage,
                "before": reach[0],
                "behind": reach[1],
                "theoretical": whole,
                "peak": found.peak,
                "centre": found.centre,
                **widths,
                "share_95": widths["width_95"] / whole,
                "outside": found.outside,
                "lines": len(lines),
                "positions": POSITIONS,
            }
        )
        curves += [{"stage": stage, **row} for row in _curve(found)]
    return {"receptive_field": fields, "receptive_field_curve": curves}


def reach_of(network: "KernelNetwork") -> tuple[int, int]:
    """Samples before and behind an output sample that can move it, from the lags of the layers.

    A network with a module or a forward pass of its own says how long its field is; it is centred, unless the module
    has an attribute `reach`.
    """
    if not _is_row(network):
        if (own := getattr(network, "reach", None)) is not None:
            return int(own[0]), int(own[1])
        beyond = network.receptive_field - 1
        return beyond // 2, beyond - beyond // 2
    grids = [layer.spec.grid().lags for layer in network.kernel_layers()]
    return round(-sum(float(lags.min()) for lags in grids)), round(sum(float(lags.max()) for lags in grids))


def _moves_along(network: "KernelNetwork") -> bool:
    """Whether a cut of a line gives what all of it gives there: not where a phase is counted from its first sample."""
    return _is_row(network) and all(layer.tiles == 1 for layer in network.kernel_layers())


def _is_row(network: "KernelNetwork") -> bool:
    """Whether its layers follow one another, as they do where the module is not its own."""
    from kernbench.networks.network import Network  # noqa: PLC0415  # torch

    return type(network) is Network


def _lines_of(trained: "Trained") -> "Tensor":
    """The first test lines of a cell, noise included.

    Raises:
        DataError: they are not in the cache.
    """
    from kernbench.ulm.evaluation.lines_of_cell import lines_of_cell  # noqa: PLC0415  # torch

    noise = trained.noise
    assert noise is not None  # a network of ours has been scored
    template = None if trained.template is None else tuple(trained.template.tolist())
    return _noisy(lines_of_cell(trained, SPLIT).digest, noise.level(SPLIT), noise.seed, template)


@functools.lru_cache(maxsize=_KEPT)
def _noisy(digest: str, percent: float, seed: int, template: tuple[float, ...] | None) -> "Tensor":
    from kernbench.ulm.data.find import find_set  # noqa: PLC0415  # torch
    from kernbench.ulm.evaluation.noise import Noise  # noqa: PLC0415

    return _first(find_set(digest).load(SPLIT), Noise(percent, percent, seed), template)


def _first(lines: "Split", noise: "Noise", template: tuple[float, ...] | None) -> "Tensor":
    from kernbench.ulm.evaluation.scorecard import first_lines  # noqa: PLC0415  # torch
    from kernbench.ulm.evaluation.workbench import Workbench  # noqa: PLC0415

    few = first_lines(lines, min(LINES, len(lines.bubbles)))
    pulse = None if template is None else np.array(template)
    return Workbench({lines.name: few}, noise, template=pulse).lines(lines.name)[0]


def _curve(found: "Field") -> Iterable[dict[str, float]]:
    """The gradient in narrow bins around the echo, in wider ones elsewhere."""
    low, high = (int(np.searchsorted(found.lags, lag)) for lag in NEAR)
    for first, last in ((0, low), (low, high), (high, len(found.lags))):
        size = FINE if first == low else max(FINE, -(-(last - first) // BINS))
        for start in range(first, last, size):
            part = slice(start, min(start + size, last))
            yield {"lag": float(found.lags[part].mean()), "density": float(found.mass[part].mean())}


def show(rows: Rows) -> Iterable[Shown]:
    """Medians over cells, a row for each family, kernel size and stage."""
    names = ("peak", "centre", "width_50", "width_95")
    table = [
        [
            *(family, size, stage, f"-{each[0]['before']} to {each[0]['behind']}"),
            *(median_text(each, name) for name in names),
            median_text(each, "share_95", percent=True),
        ]
        for (family, size, stage), each in grouped(rows["receptive_field"], "family", "kernel_size", "stage")
    ]
    yield Shown(
        "Lags that the layers reach, and what the gradient of an output sample shows of them: lag of the largest, mean "
        "lag, samples around the mean with 50 and 95 % of its size; the last column is the 95 % over all that is "
        "reached. Positive lags come later in the line. Medians over cells, lowest and highest in brackets.",
        ["family", "K", "stage", "reach [samples]", "peak", "centre", "50 %", "95 %", "of the reach"],
        table,
        left=1,
    )


def draw(rows: Rows) -> "Figure | None":
    """Curves of each family, a line for each kernel size."""
    if not numbers(rows["receptive_field_curve"], "density"):
        return None
    from kernbench.report.analyses.field_figure import field_figure  # noqa: PLC0415  # matplotlib takes a second

    return field_figure(rows["receptive_field_curve"])


RECEPTIVE_FIELD = Analysis(
    name="receptive-field",
    heading="How far the networks look",
    summary="The receptive field that the layers allow, and the part of it that the gradient shows to be used.",
    tables={"receptive_field": FIELD, "receptive_field_curve": CURVE},
    measure=measure,
    show=show,
    draw=draw,
    caption="Size of the gradient of an output sample by the lag of the input sample, over its largest value: median "
    "over cells. Grey: before training. Shaded: lags of the echo of a bubble, 58 to 179 samples after it.",
    measure_file=measure_file,
)
