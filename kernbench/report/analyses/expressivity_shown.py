"""Table and figure of fits to trained free taps."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from kernbench.report.analyses.analysis import Analysis, Row, Rows, Shown
from kernbench.report.analyses.by_layer import grouped, median_text, numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kernbench.report.analyses.trained_cells import TrainedCell

NAME = "expressivity"
COLUMNS = {
    "fitted": "family in the place of the free taps",
    "free": "free taps of the cell",
    "parameters": "of all kernels of the fitted family; empty where it cannot be fitted",
    "within": "1 if that is within 2 % of the free taps",
    "settings": "hyper-parameters that were solved for, JSON",
    "error": "norm(fitted - trained) / norm(trained) of all layers together",
    "errors": "the same of each layer, input side first",
    "f1_free": "mean F1 of the cell on its test lines",
    "f1_fitted": "of its network with the fitted kernels, thresholds chosen anew",
    "f1_tuned": "of that network after further training; empty where that diverged",
    "f1_trained": "of the family trained from the start at the same point with the same seed, where the study has it",
    "floor": "better blind floor on the same lines",
    "epochs": "of the further training",
    "reason": "why the family cannot be fitted",
}


def show(rows: Rows) -> Iterable[Shown]:
    """Medians over cells, a row for each kernel size and family."""
    table = [
        [
            *(size, family, _parameters(each)),
            *(median_text(each, name) for name in ("error", "f1_free", "f1_fitted", "f1_tuned", "f1_trained")),
            str(len(numbers(each, "error"))),
        ]
        for (size, family), each in grouped(rows[NAME], "kernel_size", "fitted")
    ]
    yield Shown(
        "Trained free taps, fitted by other families at as many parameters (else the nearest below, marked *), in the "
        "network of the free taps. Error: relative l2 of all kernels. F1: of the free taps; with the fitted kernels; "
        "after further training; of the family trained from the start. Medians over cells, lowest and highest in "
        "brackets: no verdict on families.",
        ["K", "family", "parameters", "error", "free taps", "fitted", "tuned", "trained", "cells"],
        table,
        left=2,
    )


def _parameters(rows: Sequence[Row]) -> str:
    counts, within = numbers(rows, "parameters"), numbers(rows, "within")
    return f"{int(counts[0]):,}{'' if all(within) else ' *'}" if counts else "–"


def draw(rows: Rows) -> "Figure | None":
    """F1 of each family, fitted, tuned and trained, a panel for each kernel size."""
    if not numbers(rows[NAME], "f1_fitted"):
        return None
    from kernbench.report.analyses.expressivity_figure import expressivity_figure  # noqa: PLC0415  # matplotlib

    return expressivity_figure(rows[NAME])


def _not_alone(_cell: "TrainedCell") -> Rows:
    raise NotImplementedError  # its command has more options


EXPRESSIVITY = Analysis(
    name=NAME,
    heading="What families could represent, and what training found",
    summary="Fit other families to the trained kernels of discrete, and score them with and without further training.",
    tables={NAME: COLUMNS},
    measure=_not_alone,
    show=show,
    draw=draw,
    caption="Mean F1 on test lines of networks of trained free taps (line), with the kernels of other families fitted "
    "to them, after further training, and of these families trained from the start: medians over cells.",
)
