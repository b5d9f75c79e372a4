"""Training parts of `accelerator.py`: one cell, several workers on one device, and torch.compile."""

import itertools
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from accelerator_commands import Commands, Done, FailedError

import kernbench
from kernbench.bench.table import BenchTable, Value
from kernbench.report.result_cell import Cell

KERNEL_SIZE = 527
FAMILY = "siren"
MODES = ("off", "default", "reduce-overhead")
_MEASURED = ["s per epoch", "first epoch [s]", "peak memory [MiB]", "utilization [%]", "workers [s]"]


def train(commands: Commands) -> Iterator[BenchTable]:
    """One size of `k_sweep` for twenty epochs; its run simulates the lines, trains, validates and scores."""
    epochs = 2 if commands.tiny else 20
    done, cells = _run(commands, "train", epochs=epochs, limit=100)
    row = [*_size(commands), epochs, *_measured(cells, done)]
    title = f"Training of `{FAMILY}` in `k_sweep` at the profile `{_profile(commands)}`"
    yield BenchTable("accelerator_train", title, ["K", "epochs", *_MEASURED], [row])


def workers(commands: Commands) -> Iterator[BenchTable]:
    """The same cells by 1, 2 and 4 workers on one device; a table after each."""
    numbers, seeds, epochs = ((2,), 2, 2) if commands.tiny else ((1, 2, 4), 4, 10)
    rows: list[list[Value]] = []
    for number in numbers:
        done, cells = _run(commands, f"workers_{number}", epochs=epochs, seeds=seeds, workers=number, limit=75)
        measured = _measured(cells, done)
        rate = number / measured[0] if isinstance(measured[0], float) else None
        rows.append([number, len(cells), epochs, *measured, rate])
        heads = ["workers", "cells", "epochs of each", *_MEASURED, "epochs per s of all"]
        yield BenchTable("accelerator_workers", f"Workers on one device, K = {_size(commands)[0]}", heads, rows)


def compiling(commands: Commands) -> Iterator[BenchTable]:
    """The same training with `training.compile` off, default and reduce-overhead; a table after each."""
    # compiling on a CPU takes longer than all other tiny parts together; what is refused there is a row, too
    modes, epochs = (("off", "reduce-overhead"), 2) if commands.tiny else (MODES, 10)
    rows: list[list[Value]] = []
    for mode in modes:
        try:
            done, cells = _run(commands, f"compile_{mode}", epochs=epochs, compile_mode=mode, limit=75)
            rows.append([mode, epochs, *_measured(cells, done), "ok"])
        except FailedError as error:
            rows.append([mode, epochs, *[None] * len(_MEASURED), str(error).replace("|", "/")])
        heads = ["compile", "epochs", *_MEASURED, "outcome"]
        yield BenchTable("accelerator_compile", f"`training.compile`, K = {_size(commands)[0]}", heads, rows)


def _size(commands: Commands) -> list[Value]:
    return [9 if commands.tiny else KERNEL_SIZE]


def _profile(commands: Commands) -> str:
    return "smoke" if commands.tiny else "thesis"


def _study(commands: Commands, name: str, epochs: int, seeds: int, compile_mode: str) -> Path:
    """`k_sweep` at one size, for fewer epochs."""
    lines = [
        "version = 1",
        f"seeds = {seeds}",
        "[axes]",
        f"kernel_size = {_size(commands)}",
        "[training]",
        f"epochs = {epochs}",
        f"decay_epoch = {epochs}",
        f'compile = "{compile_mode}"',
    ]
    path = commands.folder / f"{name.replace('-', '_')}.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _run(
    commands: Commands,
    name: str,
    *,
    epochs: int,
    limit: float,
    seeds: int = 1,
    workers: int = 1,
    compile_mode: str = "off",
) -> tuple[Done, list[Cell]]:
    """Run the cells of a study in a database of its own, by workers that begin together.

    Raises:
        FailedError: the run failed, or a cell of it has no result.
    """
    study = _study(commands, name, epochs, seeds, compile_mode)
    profile, url = ["--profile", _profile(commands)], ["--storage", f"sqlite:///{commands.folder / name}.db"]
    device = ["--device", commands.device]
    # the queue first, then workers: `run` would write a report, too, while the device waits
    fill = [
        "run",
        "--plugin",
        FAMILY,
        "--study",
        str(study),
        *profile,
        *device,
        *url,
        "--workers",
        "0",
        "--no-baselines",
    ]
    commands.kernbench(f"{name}_queue", fill, limit)
    work = ["worker", "--study", study.stem, *profile, *device, *url]
    done = commands.kernbench(name, work, limit, copies=workers)
    cells = list(kernbench.results(url[1]))
    if wrong := [cell for cell in cells if cell.status != "ok"]:
        raise FailedError(f"{name}: {wrong[0]!r}")
    return done, cells


def _measured(cells: Sequence[Cell], done: Done) -> list[Value]:
    """Values of `_MEASURED`: medians of cells; epochs after the first, which warms up, or the first if it is alone."""
    firsts, later = [], []
    for cell in cells:
        ends = cell.learning_curve()["seconds"].tolist()
        firsts.append(ends[0])
        later += [end - start for start, end in itertools.pairwise(ends)] or ends
    peaks = [peak for cell in cells if (peak := cell.values["peak_memory_mb"]) is not None]
    peak = max(peaks) if peaks else None
    return [statistics.median(later), statistics.median(firsts), peak, done.utilization, done.seconds]
