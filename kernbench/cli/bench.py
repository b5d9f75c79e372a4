"""`kernbench bench`: measurements side by side with the peers, in one process, the peers taking turns."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kernbench.errors import counted

if TYPE_CHECKING:
    from kernbench.bench.table import BenchTable


def _saving(command: Callable[..., object]) -> Callable[..., object]:
    """Options that every measurement has."""
    path = click.Path(path_type=Path)
    page = click.option("--page", type=path, callback=_checked_page, help="Markdown page with marks for the tables.")
    out = click.option("--out", type=path, callback=_checked_out, help="Folder for tables as CSV, and figures.")
    return out(page(command))


def _checked_out(_context: click.Context, _option: click.Parameter, folder: Path | None) -> Path | None:
    """Refuse a folder that cannot be written before minutes are spent on what would go there."""
    if folder is not None:
        from kernbench.errors import KernbenchError
        from kernbench.host.cache_folder import check_writable

        check_writable(folder, KernbenchError, "let --out be a folder that can")
    return folder


def _checked_page(_context: click.Context, _option: click.Parameter, page: Path | None) -> Path | None:
    if page is not None:
        from kernbench.bench.table import into_page

        into_page([], page, "")  # reads it
    return page


@click.group()
def bench_command() -> None:
    """Measure kernbench and its peers side by side.

    Ratios hold on one machine and in one run; times are not comparable between machines. Give it an idle core.
    """


@bench_command.command("conv")
@click.option("--kernel-sizes", default="", help="Comma-separated taps.  [17 to 2111]")
@click.option("--channels", type=click.IntRange(1), default=22, show_default=True)
@click.option("--batch", type=click.IntRange(1), default=4, show_default=True)
@click.option("--samples", type=click.IntRange(1), default=8446, show_default=True)
@click.option("--turns", type=click.IntRange(1), default=5, help="Rounds; medians are shown.", show_default=True)
@click.option("--device", default="cpu", help="cpu or cuda[:i].", show_default=True)
@click.option(
    "--memory/--no-memory",
    default=True,
    help="Peak memory that a pass adds; on a CPU in fresh processes.",
    show_default=True,
)
@_saving
def conv_command(
    kernel_sizes: str,
    channels: int,
    batch: int,
    samples: int,
    turns: int,
    device: str,
    memory: bool,
    out: Path | None,
    page: Path | None,
) -> None:
    """A convolution layer, forward and backward: all backends, fft-conv-pytorch, scipy, and julius where installed.

    On CUDA cuDNN's fastest methods take part, too.
    """
    from kernbench.bench import convolution
    from kernbench.host.device import choose_device

    sizes = _sizes(kernel_sizes) or convolution.KERNEL_SIZES
    if max(sizes) > samples:
        raise click.UsageError(f"--kernel-sizes: {max(sizes)} taps do not fit into {samples} samples")
    where = choose_device(device)
    timed = convolution.time_table(
        sizes, channels=channels, batch=batch, samples=samples, turns=turns, device=where, progress=_tell
    )
    tables = [timed]
    if where == "cpu":
        tables += [convolution.forward_table(sizes[1::2] or sizes, channels=channels, batch=batch, samples=samples)]
    if memory:
        tables += convolution.memory_tables(
            sizes, channels=channels, batch=batch, samples=samples, device=where, progress=_tell
        )
    if where == "cpu":
        tables += [convolution.limit_table()]
    _show(tables, out, page)
    if (found := convolution.growth(timed)) is not None:
        click.echo(f"from K = 65 to 527 auto takes {found[0]:.2f} times as long; log K grows {found[1]:.2f} times")
    if out is not None:
        from kernbench.bench.conv_figure import draw

        memories = [table for table in tables if table.name == f"conv_memory_{channels}"]
        click.echo(f"figure: {draw([timed, *memories], out)}")


@bench_command.command("simulate")
@click.option("--lines", type=click.IntRange(1), default=8, help="Lines of full length.", show_default=True)
@_saving
def simulate_command(lines: int, out: Path | None, page: Path | None) -> None:
    """Bubbles in batches against a general solver of differential equations."""
    from kernbench.bench import simulation
    from kernbench.host.device import choose_device

    choose_device("cpu")  # sets the threads
    _show([simulation.table(lines)], out, page)


@bench_command.command("metrics")
@click.option("--lines", type=click.IntRange(1), default=96, help="Lines of 8,446 samples.", show_default=True)
@_saving
def metrics_command(lines: int, out: Path | None, page: Path | None) -> None:
    """Counts at all tolerances and thresholds together, against pair by pair."""
    from kernbench.bench import metrics
    from kernbench.host.device import choose_device

    choose_device("cpu")  # sets the threads
    _show([metrics.table(lines)], out, page)


@bench_command.command("train")
@_saving
def train_command(out: Path | None, page: Path | None) -> None:
    """A training step against a matrix product and fft-conv-pytorch; an epoch against a plain loop."""
    from kernbench.bench import training_tables
    from kernbench.host.device import choose_device

    choose_device("cpu")  # sets the threads
    _show(list(training_tables.tables(_tell)), out, page)


@bench_command.command("memory")
@click.option("--kernel-sizes", default="", help="Comma-separated taps of the shallow network.  [65 to 2111]")
@click.option("--channels", default="", help="Comma-separated widths of the shallow network.  [22,64]")
@click.option("--batch", type=click.IntRange(1), default=64, show_default=True)
@click.option("--samples", type=click.IntRange(1), default=8446, show_default=True)
@_saving
def memory_command(
    kernel_sizes: str, channels: str, batch: int, samples: int, out: Path | None, page: Path | None
) -> None:
    """Memory that training needs on a GPU, counted without one, and how many workers fit on a card."""
    from kernbench.bench import memory_tables
    from kernbench.host.device import choose_device

    choose_device("cpu")  # sets the threads
    sizes = _sizes(kernel_sizes) or memory_tables.KERNEL_SIZES
    widths = _sizes(channels, "--channels") or memory_tables.WIDTHS
    counted = memory_tables.cases(sizes, widths)
    memory_tables.check(counted, samples)
    tables = list(memory_tables.tables(counted, batch=batch, samples=samples, progress=_tell))
    _show(tables, out, page, _counted_by())


@bench_command.command("fit")
@click.option("--device", default="cpu", help="cpu or cuda[:i].", show_default=True)
@click.option("--passes", type=click.IntRange(1), default=5, help="Times each is measured.", show_default=True)
@click.option("--store/--dry-run", default=True, help="Keep the constants for this machine, or only show them.")
@_saving
def fit_command(device: str, passes: int, store: bool, out: Path | None, page: Path | None) -> None:
    """Fit the constants by which the convolution `auto` decides; about four minutes on an idle core."""
    from kernbench.bench import fit_table
    from kernbench.conv import constants
    from kernbench.conv.fit import fit
    from kernbench.host.device import choose_device

    where = choose_device(device)
    kind = where.partition(":")[0]
    if store:
        constants.check_writable(kind)
    in_use, named = constants.in_use(kind)
    found = fit(where, passes, _tell)
    _show([fit_table.table(found, in_use, where)], out, page)
    other, layers = fit_table.chosen_otherwise(found, in_use)
    click.echo(f"in use: {named}; auto chooses otherwise for {other} of the {layers} layers that were measured")
    if not store:
        click.echo("nothing stored (--dry-run)")
        return
    click.echo(f"stored: {constants.store(found, kind)}")
    click.echo(
        "Runs that start from now on take these constants: last bits of scores may change. Each run records where its "
        f"constants come from (environment: convolution = {constants.label(found.constants)!r})."
    )


def _sizes(text: str, option: str = "--kernel-sizes") -> list[int]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if wrong := [word for word in words if not word.isdecimal() or int(word) < 1]:
        raise click.UsageError(f"{option}: expected whole numbers from 1 on, got {wrong[0]!r}")
    return [int(word) for word in words]


def _tell(what: str) -> None:
    click.echo(f"  {what}", err=True)


def _show(tables: "Sequence[BenchTable]", out: Path | None, page: Path | None, origin: str | None = None) -> None:
    from kernbench.bench.table import into_page, write_csv

    for table in tables:
        _print(table)
    if out is not None:
        click.echo(f"tables: {', '.join(str(write_csv(table, out)) for table in tables)}")
    if page is not None:
        placed = into_page(tables, page, origin or _machine())
        click.echo(f"{page}: {', '.join(placed) or 'no marks for these tables'}")


def _print(table: "BenchTable") -> None:
    from kernbench.bench.table import value_text
    from kernbench.cli.terminal.console import print_table

    print_table(table.title, table.columns, ([*map(value_text, row)] for row in table.rows), left=1)


def _machine() -> str:
    import os
    import platform

    import torch

    system = f"{platform.machine()}, {counted(os.cpu_count() or 1, 'core')}"
    return f"Measured on {system}, PyTorch {torch.__version__}, Python {platform.python_version()}."


def _counted_by() -> str:
    import torch

    return f"Counted by PyTorch {torch.__version__}, not measured on a GPU."
