"""The tables of `kernbench bench train`."""

from collections.abc import Callable, Iterator, Sequence

from kernbench.bench import training
from kernbench.bench.table import BenchTable, Value
from kernbench.bench.timing import where

MEMORY = (
    ("dilated", "discrete", 3, 64, 16),
    ("shallow", "siren", 65, 22, 64),
    ("shallow", "siren", 2111, 22, 64),
    ("shallow", "siren", 2111, 64, 8),
    ("shallow", "siren", 2111, 64, 2),
    ("shallow", "siren", 527, 64, 4),
    ("shallow", "siren", 527, 22, 8),
)


def tables(progress: Callable[[str], None] = print) -> Iterator[BenchTable]:
    """Step, epoch and scores, backends, peak memory, one after the other; minutes on one core.

    Args:
        progress: told what is measured next.
    """
    progress("steps")
    yield step_table(training.step_rows())
    progress("epoch and scores")
    title = f"Work of the dilated network (12 layers, 64 channels, lines of 8,446 samples), {where()}"
    yield ratio_table("train_epoch", title, [training.epoch_rows(), training.score_rows()])
    progress("backends")
    title = f"Training step, forward and backward, lines of 8,446 samples, {where()}"
    yield ratio_table("train_backend", title, [training.backend_rows()])
    progress("memory")
    yield memory_table(MEMORY)


def step_table(rows: Sequence[training.TrainRow]) -> BenchTable:
    """Rates beside that of a large matrix product, which is the last row."""
    limit = rows[-1].gflops or float("nan")
    return BenchTable(
        "train_step",
        f"Rate of a training step beside that of a matrix product, CPU time, {where()}",
        ["work", "way", "s", "CPU s", "GFLOP/s", "share of matmul"],
        [[r.work, r.way, r.seconds, r.cpu, r.gflops, None if r.gflops is None else r.gflops / limit] for r in rows],
    )


def ratio_table(name: str, title: str, groups: Sequence[Sequence[training.TrainRow]]) -> BenchTable:
    """Ways to do the same work, each group with its first as the measure."""
    rows: list[Sequence[Value]] = [
        [r.work, r.way, r.seconds, r.cpu, r.seconds / group[0].seconds, r.cpu / group[0].cpu]
        for group in groups
        for r in group
    ]
    return BenchTable(name, title, ["work", "way", "s", "CPU s", "times the first", "in CPU time"], rows)


def memory_table(cases: Sequence[tuple[str, str, int, int, int]]) -> BenchTable:
    """Peak memory of one update, as it is and with recomputed activations."""
    rows: list[Sequence[Value]] = []
    for case in cases:
        plain, again = training.memory_rows(*case)
        rows.append([plain.network, plain.mebibytes, again.mebibytes, plain.mebibytes / again.mebibytes])
    heads = ["one update of", "kept [MiB]", "recomputed [MiB]", "kept / recomputed"]
    return BenchTable("train_memory", "Peak memory that one update adds, in a fresh process", heads, rows)
