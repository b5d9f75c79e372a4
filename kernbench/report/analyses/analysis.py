"""What one analysis is: what it measures of a trained cell, and how that is shown. One object, one command."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kernbench.report.analyses.trained_cells import TrainedCell
    from kernbench.ulm.data.recipe import Split
    from kernbench.ulm.evaluation.trained import Trained

Value = str | int | float | None
Row = Mapping[str, Value]
Rows = Mapping[str, Sequence[Row]]  # by the name of their table

CELL_COLUMNS = {
    "study": "Optuna study",
    "cell": "the cell's axis values and seed",
    "family": "kernel family",
    "kernel_size": "taps of the network's kernels, as the study says",
    "seed": "of the cell",
    "started": "when the cell was run, UTC",
}  # of every row of every table


@dataclass(frozen=True)
class Shown:
    """A table of text.

    Attributes:
        caption: what the numbers are, one or two sentences.
        columns: headings.
        rows: texts, as many in each as there are headings.
        left: how many columns from the first on are words.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1


@dataclass(frozen=True)
class Analysis:
    """One analysis of trained cells.

    Attributes:
        name: of the command, of its first table and of its files.
        heading: on the page.
        summary: what it does; help of the command.
        tables: name of a table -> its own columns -> meaning and unit; the first bears the name of the analysis.
        measure: a trained cell -> the rows of each table, without the columns of the cell.
        show: rows of some cells -> what page and terminal say of them.
        draw: the same rows -> a figure of them, or None where there is nothing to draw.
        caption: of the figure.
        measure_file: a network from a file, ours or a published one, and lines -> rows; None where an analysis needs
            more than that.
    """

    name: str
    heading: str
    summary: str
    tables: Mapping[str, Mapping[str, str]]
    measure: "Callable[[TrainedCell], Rows]"
    show: Callable[[Rows], Iterable[Shown]]
    draw: "Callable[[Rows], Figure | None]"
    caption: str
    measure_file: "Callable[[Trained, Split], Rows] | None" = None
