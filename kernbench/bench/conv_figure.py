"""Time and memory of a convolution layer against kernel size, one line per backend."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kernbench.bench.table import BenchTable
from kernbench.errors import KernbenchError
from kernbench.plotting.style import save_png, styled

_UNITS = {" [ms]": "time [ms]", " [MiB]": "peak resident memory [MiB]"}


def draw(tables: Sequence[BenchTable], folder: Path) -> Path:
    """Draw each table's columns in ms or MiB against K, a panel each; write `conv.png`.

    Raises:
        KernbenchError: the folder cannot be written.
    """
    figure = _figure(tables)
    path = folder / "conv.png"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_png(figure, path, dpi=110)
    except OSError as error:
        raise KernbenchError(f"{path} cannot be written: {error.strerror}") from error
    return path


@styled
def _figure(tables: Sequence[BenchTable]) -> Figure:
    figure = Figure(figsize=(5.2 * len(tables), 4.2), layout="constrained")
    panels = figure.subplots(1, len(tables), squeeze=False)[0]
    for axes, table in zip(panels, tables, strict=True):
        _panel(axes, table)
    panels[0].legend(frameon=False)
    return figure


def _panel(axes: Axes, table: BenchTable) -> None:
    sizes = _numbers(table, "K")
    for unit, label in _UNITS.items():
        for head in (head for head in table.columns if head.endswith(unit)):
            name = head.removesuffix(unit)
            width = 2.5 if name == "auto" else 1.2
            axes.plot(sizes, _numbers(table, head), marker="o", markersize=4, linewidth=width, label=name)
            axes.set_ylabel(label)
    axes.set_xscale("log")
    if axes.get_ylabel() == _UNITS[" [ms]"]:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlabel("kernel size K [taps]")
    axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
    axes.minorticks_off()
    axes.grid(alpha=0.3)


def _numbers(table: BenchTable, head: str) -> list[float]:
    return [float(value) if value is not None else float("nan") for value in table.column(head)]
