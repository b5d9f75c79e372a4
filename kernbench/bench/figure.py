"""Time of a convolution layer against kernel size, one line per backend."""

from pathlib import Path

from matplotlib.figure import Figure

from kernbench.bench.table import Table
from kernbench.errors import KernbenchError


def draw(table: Table, folder: Path) -> Path:
    """Draw the columns of a table that are times against K, both axes logarithmic; write `NAME.png`.

    Raises:
        KernbenchError: the folder cannot be written.
    """
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot(xscale="log", yscale="log", xlabel="kernel size K [taps]", ylabel="time [ms]")
    sizes = _numbers(table, "K")
    for head in (head for head in table.columns if head.endswith("[ms]")):
        name = head.removesuffix(" [ms]")
        width = 2.5 if name == "auto" else 1.2
        axes.plot(sizes, _numbers(table, head), marker="o", markersize=4, linewidth=width, label=name)
    axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    path = folder / f"{table.name}.png"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110)
    except OSError as error:
        raise KernbenchError(f"{path} cannot be written: {error.strerror}") from error
    return path


def _numbers(table: Table, head: str) -> list[float]:
    return [float(value) if value is not None else float("nan") for value in table.column(head)]
