"""The tables of `kernbench bench memory`: what networks need on a device, and how many fit on a card."""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kernbench.bench.counted_update import UpdateMemory, count_update
from kernbench.bench.table import BenchTable, Value
from kernbench.networks.bundled import DILATED, SHALLOW
from kernbench.networks.fitting import check_kernel_size
from kernbench.networks.network import build, set_recompute
from kernbench.ulm.line import SAMPLES

KERNEL_SIZES = (65, 131, 263, 527, 1055, 2111)
WIDTHS = (22, 64)
BATCH = 64
LINES = 1024 + 960 + 960  # of the profile thesis, all on the device: voltage and labels
CARDS_GB = (24, 48, 80, 141)
# A tenth stays free for what no count sees: workspaces of libraries, holes of the allocator.
SHARE = 0.9
# Each process has a context on its card. Assumed, not measured.
CONTEXT_BYTES = 600 * 2**20
_MIB = 2**20


@dataclass(frozen=True)
class Case:
    """A network to count.

    Attributes:
        network: name.
        family: of its kernels.
        kernel_size: taps.
        channels: width.
    """

    network: str
    family: str
    kernel_size: int
    channels: int

    def count(self, batch: int, samples: int, *, backend: str = "auto", recompute: bool = False) -> UpdateMemory:
        """Memory of one update of this network.

        Args:
            batch: lines.
            samples: of a line.
            backend: how to convolve.
            recompute: compute activations again in the backward pass.
        """
        network = build(self.network, self.family, self.kernel_size, channels=self.channels, backend=backend)
        set_recompute(network, recompute)
        return count_update(network, batch, samples)


def cases(kernel_sizes: Sequence[int] = KERNEL_SIZES, widths: Sequence[int] = WIDTHS) -> list[Case]:
    """The dilated network as published, and the shallow one of SIREN kernels at each width and size."""
    shallow = [Case(SHALLOW.name, "siren", size, width) for width in widths for size in kernel_sizes]
    return [Case(DILATED.name, "discrete", DILATED.kernel_size, DILATED.channels), *shallow]


def check(counted: Sequence[Case], samples: int) -> None:
    """Refuse lines that a network cannot take, before anything is counted.

    Args:
        counted: networks.
        samples: of a line.

    Raises:
        KernbenchError: a kernel needs more padding than the line can give.
    """
    for case in counted:
        check_kernel_size(case.network, case.kernel_size, line_length=samples, channels=case.channels)


def tables(
    counted: Sequence[Case], *, batch: int = BATCH, samples: int = SAMPLES, progress: Callable[[str], None] = print
) -> Iterator[BenchTable]:
    """Memory of updates, what fits, and what each layer keeps in the networks of the first width and the dilated one.

    Args:
        counted: networks.
        batch: lines of an update.
        samples: of a line.
        progress: called with what is counted next.
    """
    found: dict[Case, UpdateMemory] = {}
    rows: list[list[Value]] = []
    first = next((case.channels for case in counted if case.network != DILATED.name), 0)
    for case in counted:
        progress(f"{case.network}, {case.channels} channels, K = {case.kernel_size}")
        count = functools.partial(case.count, batch, samples)
        found[case], again, peer = count(), count(recompute=True), count(backend="fft_conv")
        rows.append(_update_row(case, found[case], again, peer))
    yield _update_table(rows, batch, samples)
    yield _fits_table(found, batch, samples)
    shown = {case: update for case, update in found.items() if case.network == DILATED.name or case.channels == first}
    yield _layer_table(shown, batch, samples)


def on_device(update: UpdateMemory, samples: int) -> int:
    """Bytes that a cell of the profile `thesis` needs on its card, without the context of its process.

    Args:
        update: what was counted.
        samples: of a line.
    """
    return update.state + update.peak + LINES * samples * 4 * 2  # voltage and labels, float32


def workers_that_fit(update: UpdateMemory, samples: int, card_gb: float) -> int:
    """Workers whose cells fit together on a card, by memory alone.

    Args:
        update: what was counted.
        samples: of a line.
        card_gb: memory of the card, 10^9 bytes.
    """
    return math.floor(SHARE * card_gb * 1e9 / (on_device(update, samples) + CONTEXT_BYTES))


def _named(case: Case) -> list[Value]:
    return [f"{case.network}, {case.family}", case.channels, case.kernel_size]


def _update_row(case: Case, update: UpdateMemory, again: UpdateMemory, peer: UpdateMemory) -> list[Value]:
    kept = [update.kept(what) / _MIB for what in ("activations", "spectra", "kernel")]
    return [*_named(case), update.state / _MIB, *kept, *(each.peak / _MIB for each in (update, again, peer))]


def _update_table(rows: Sequence[Sequence[Value]], batch: int, samples: int) -> BenchTable:
    heads = ["parameters, Adam", "activations kept", "spectra kept", "kernels kept"]
    peaks = ["peak of an update", "with recompute", "by fft_conv"]
    return BenchTable(
        "memory_update",
        f"Memory of one update [MiB], batch {batch}, {samples:,} samples, counted on tensors without values",
        ["network", "channels", "K", *heads, *peaks],
        rows,
    )


def _fits_table(found: dict[Case, UpdateMemory], batch: int, samples: int) -> BenchTable:
    rows: list[list[Value]] = []
    for case, update in found.items():
        fits: list[Value] = [workers_that_fit(update, samples, card) for card in CARDS_GB]
        rows.append([*_named(case), on_device(update, samples) / _MIB, *fits])
    return BenchTable(
        "memory_fits",
        f"Memory of a cell [MiB] with {LINES:,} lines of {samples:,} samples, batch {batch}; workers that a card holds",
        ["network", "channels", "K", "cell", *(f"{card} GB" for card in CARDS_GB)],
        rows,
    )


def _layer_table(found: dict[Case, UpdateMemory], batch: int, samples: int) -> BenchTable:
    rows: list[list[Value]] = []
    for case, update in found.items():
        for number, layer in enumerate(update.layers):
            kept = [each / _MIB for each in (layer.activations, layer.spectra, layer.kernel)]
            rows.append([*_named(case), number, layer.backend, *kept])
    return BenchTable(
        "memory_layers",
        f"What each layer keeps for the backward pass [MiB], batch {batch}, {samples:,} samples",
        ["network", "channels", "K", "layer", "backend", "activations", "spectra", "kernel"],
        rows,
    )
