"""`kernbench analyze`: what kernels became in training, and what families can represent."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kernbench.cli import analyze_cells
from kernbench.cli.analyze_expressivity import expressivity_command
from kernbench.cli.names import several_option

if TYPE_CHECKING:
    from kernbench.bench.kernel_fits import Row, Summary
    from kernbench.kernels.family import KernelFamily

FILES = ("fit.csv", "fit.svg", "fit.png")
DIGITS = 9  # of a budget


@click.group()
def analyze_command() -> None:
    """What kernels became in training, and what families can represent."""


for each in (*analyze_cells.commands(), expressivity_command):
    analyze_command.add_command(each)


@analyze_command.command("fit")
@several_option("--plugin", "plugins", help="Kernel family; several by repetition or with commas.  [all installed]")
@click.option("--targets", default="", help="Comma-separated: echo, wiener, chirp, step, noise.  [all]")
@click.option("--budgets", default="", help="Comma-separated numbers of parameters.  [16,32,64]")
@click.option("--seeds", type=click.IntRange(1, 1000), default=5, help="Starts of each fit.", show_default=True)
@click.option("--steps", type=click.IntRange(0), default=1000, help="Of Adam.", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help=f"Folder for {', '.join(FILES)}.")
def fit_command(plugins: tuple[str, ...], targets: str, budgets: str, seeds: int, steps: int, out: Path | None) -> None:
    """Fit one kernel of 129 taps of each family to targets, at budgets of parameters.

    Targets: the simulated echo of a bubble, its Wiener inverse, a chirp, a step, white noise. The error is
    norm(kernel - target) / norm(target). It says what a family can represent with so many parameters, apart from
    training a network; it does not say how good the family is in one.

    Of settings that a budget allows, the one with the most parameters is taken; a family that cannot be so small is
    shown with the fewest that it can have. A kernel that is linear in its parameters is fitted by least squares, any
    other by Adam, with least squares for its linear part. Seeds are 0, 1, ...; the same machine gives the same errors.
    """
    from kernbench.bench import kernel_fits
    from kernbench.bench.fit_targets import TAPS, TARGETS
    from kernbench.cli.terminal.bars import bar, one_line
    from kernbench.host.device import choose_device

    names = _chosen(targets, TARGETS)
    wanted = _numbers(budgets) or list(kernel_fits.BUDGETS)
    families = _families(plugins)
    if out is not None:
        _check_out(out)
    choose_device("cpu")  # sets the threads
    planned = kernel_fits.plans(families, wanted, TAPS)
    taps = {name: TARGETS[name]() for name in names}
    rows: list[Row] = []
    total = len(planned) * len(taps) * seeds
    with bar("fits", one_line) as progress:
        for row in kernel_fits.fits(planned, taps, seeds, steps):
            rows.append(row)
            progress(len(rows), total)
    found = kernel_fits.summaries(rows)
    _print(found, names, seeds)
    if out is not None:
        _write(rows, found, out)
        click.echo(f"written: {', '.join(str(out / name) for name in FILES)}")


def _families(plugins: Sequence[str]) -> "list[KernelFamily]":
    from kernbench.errors import PluginError
    from kernbench.registry import find_family, installed

    names = plugins or sorted(installed().found)
    if not names:
        raise PluginError("no kernel family is installed; name one with --plugin ./my_kernel.py:mine")
    return list({family.name: family for family in map(find_family, names)}.values())


def _chosen(text: str, known: Iterable[str]) -> list[str]:
    from kernbench.errors import close_match

    names = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip())) or list(known)
    for name in names:
        if name not in known:
            hint = close_match(name, known)
            raise click.UsageError(f"--targets: expected some of {', '.join(known)}, got {name!r}{hint}")
    return names


def _numbers(text: str) -> list[int]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if not (word.isascii() and word.isdecimal() and len(word) <= DIGITS) or int(word) < 1:
            most = 10**DIGITS - 1
            raise click.UsageError(f"--budgets: expected whole numbers from 1 to {most}, got {word[:40]!r}")
    return sorted({int(word) for word in words})


def _check_out(folder: Path) -> None:
    """Refuse what cannot be written or drawn before minutes are spent on it."""
    from kernbench.errors import KernbenchError
    from kernbench.host.cache_folder import check_writable
    from kernbench.plotting.loading import check_matplotlib

    check_writable(folder, KernbenchError, "let --out be a folder that can")
    check_matplotlib()


def _print(found: "Sequence[Summary]", targets: Sequence[str], seeds: int) -> None:
    """Medians, a row for each family and number of parameters."""
    from kernbench.cli.terminal.console import print_table
    from kernbench.errors import counted

    medians: dict[tuple[str, int], dict[str, str]] = {}
    for each in found:
        medians.setdefault((each.family, each.parameters), {})[each.target] = each.text
    title = f"relative l2 error of the best fit, median over {counted(seeds, 'seed')}"
    rows = ([family, f"{size:,}", *(errors[name] for name in targets)] for (family, size), errors in medians.items())
    print_table(title, ["family", "parameters", *targets], rows, left=1)
    click.echo("What a family can represent, not how good it is in a network.")


def _write(rows: "Sequence[Row]", found: "Sequence[Summary]", out: Path) -> None:
    """Write all files, or none.

    Raises:
        KernbenchError: the folder cannot be written.
    """
    from kernbench.bench.kernel_fit_figure import draw
    from kernbench.bench.kernel_fits import write_rows
    from kernbench.errors import KernbenchError
    from kernbench.host.files import partial_folder
    from kernbench.plotting.style import save

    try:
        with partial_folder(out / "fit") as made:
            write_rows(rows, made / FILES[0])
            save(draw(found), made / "fit")
            for name in FILES:
                (made / name).replace(out / name)
    except OSError as error:
        raise KernbenchError(f"folder {out} cannot be written: {error.strerror}; let --out be another") from error
