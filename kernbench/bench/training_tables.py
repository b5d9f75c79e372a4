"""The tables of `kernbench bench train`."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from kernbench.bench import training
from kernbench.bench.table import BenchTable, Value
from kernbench.bench.timing import where
from kernbench.networks.bundled import DILATED, SHALLOW
from kernbench.ulm.line import SAMPLES

MEMORY = (
    (DILATED.name, "discrete", 3, 64, 16),
    (SHALLOW.name, "siren", 65, 22, 64),
    (SHALLOW.name, "siren", 2111, 22, 64),
    (SHALLOW.name, "siren", 2111, 64, 8),
    (SHALLOW.name, "siren", 2111, 64, 2),
    (SHALLOW.name, "siren", 527, 64, 4),
    (SHALLOW.name, "siren", 527, 22, 8),
)


def tables(progress: Callable[[str], None] = print) -> Iterator[BenchTable]:
    """Step, epoch and scores, backends, peak memory, one after the other; minutes on one core.

    Args:
        progress: called with what is measured next.
    """
    progress("steps")
    yield step_table(training.step_times())
    progress("epoch and scores")
    size = f"{DILATED.depth} layers, {DILATED.channels} channels, lines of {SAMPLES:,} samples"
    title = f"Work of the dilated network ({size}), {where()}"
    works = {
        "epoch of 8 lines, validation pass on 8": training.epoch_times(8),
        "dilated, scores of 2 lines": training.score_times(2),
    }
    yield ratio_table("train_epoch", title, works)
    progress("backends")
    title = f"Training step, forward and backward, lines of {SAMPLES:,} samples, {where()}"
    work = f"shallow SIREN, K = 527, {SHALLOW.channels} channels, 4 lines"
    yield ratio_table("train_backend", title, {work: training.backend_times(527, 4)})
    progress("memory")
    yield memory_table(MEMORY)


def step_table(timings: training.Timings) -> BenchTable:
    """Rates beside that of a large matrix product, "matmul"; the others take a step on two lines."""
    work = dict.fromkeys(timings, 2 * training.DILATED_FLOP) | {"matmul": 2.0 * training.MATRIX**3}
    rates = {way: work[way] / timing.cpu / 1e9 for way, timing in timings.items()}
    done = "dilated, 2 lines, forward and backward"
    return BenchTable(
        "train_step",
        f"Rate of a training step beside that of a matrix product, CPU time, {where()}",
        ["work", "way", "s", "CPU s", "GFLOP/s", "share of matmul"],
        [[done, way, t.median, t.cpu, rates[way], rates[way] / rates["matmul"]] for way, t in timings.items()],
    )


def ratio_table(name: str, title: str, works: Mapping[str, training.Timings]) -> BenchTable:
    """Ways to do each work, the first as the measure of the others."""
    rows: list[Sequence[Value]] = []
    for work, timings in works.items():
        first = next(iter(timings.values()))
        rows += [[work, way, t.median, t.cpu, t.median / first.median, t.cpu / first.cpu] for way, t in timings.items()]
    return BenchTable(name, title, ["work", "way", "s", "CPU s", "times the first", "in CPU time"], rows)


def memory_table(cases: Sequence[tuple[str, str, int, int, int]]) -> BenchTable:
    """Peak resident memory of one update, as it is and with recomputed activations."""
    rows: list[Sequence[Value]] = []
    for network, family, size, channels, batch in cases:
        plain, again = training.update_memory(network, family, size, channels, batch)
        name = f"{network}, {family}, K = {size}, {channels} channels, batch {batch} of {SAMPLES}"
        rows.append([name, plain, again, plain / again])
    heads = ["one update of", "kept [MiB]", "recomputed [MiB]", "kept / recomputed"]
    return BenchTable("train_memory", "Peak resident memory that one update adds, in a fresh process", heads, rows)
