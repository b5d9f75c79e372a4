"""One convolution layer, forward and backward, on every backend and on what else a user could pick."""

import functools
from collections.abc import Callable, Sequence

import numpy as np
import scipy.signal
import torch
from torch import Tensor

from kernbench.bench.peers import Convolution, can, other_peers, peer_pass
from kernbench.bench.table import BenchTable, Value
from kernbench.bench.timing import Timing, added_peak, fresh_peak, interleaved, where
from kernbench.conv import convolve
from kernbench.conv.auto import choose

KERNEL_SIZES = (17, 65, 131, 263, 527, 1055, 2111)
BACKENDS = ("auto", "direct", "fft", "overlap_save", "fft_conv")
SAMPLES = 8446
MEMORY_CHANNELS, MEMORY_SIZES = 64, (263, 2111)
_SEED = 0


def layer(
    backend: str, channels: int, kernel_size: int, batch: int, samples: int, device: str = "cpu"
) -> Callable[[], None]:
    """One forward and backward pass, gradients of signal and kernel included, as a call without arguments.

    Args:
        backend: a name in `BACKENDS`, or of a peer.
        channels: in and out.
        kernel_size: taps.
        batch: lines.
        samples: of a line.
        device: "cpu", "cuda" or "cuda:i".
    """
    generator = torch.Generator().manual_seed(_SEED)
    draw = functools.partial(torch.randn, generator=generator)
    signal = draw(batch, channels, samples).to(device).requires_grad_()
    kernel = draw(channels, channels, kernel_size).div_(channels * kernel_size).to(device).requires_grad_()
    gradient = draw(batch, channels, samples - kernel_size + 1).to(device)

    def once(convolution: Convolution) -> None:
        convolution(signal, kernel).backward(gradient)
        signal.grad = kernel.grad = None

    if backend not in BACKENDS:
        return peer_pass(backend, once)
    return functools.partial(once, functools.partial(convolve, backend=backend))


def time_table(
    kernel_sizes: Sequence[int] = KERNEL_SIZES,
    *,
    channels: int = 22,
    batch: int = 4,
    samples: int = SAMPLES,
    turns: int = 5,
    device: str = "cpu",
    progress: Callable[[str], None] = print,
) -> BenchTable:
    """Times per kernel size, forward and backward, and how many times as fast `auto` is as its peers.

    Args:
        kernel_sizes: taps.
        channels: in and out.
        batch: lines.
        samples: of a line.
        turns: rounds that count; the peers take turns.
        device: "cpu", "cuda" or "cuda:i".
        progress: called with what is measured next.
    """
    rows: list[list[Value]] = []
    others = other_peers(device)
    for size in kernel_sizes:
        progress(f"K = {size}")
        names = [*BACKENDS, *(name for name in others if can(name, size))]
        peers = {name: layer(name, channels, size, batch, samples, device) for name in names}
        found = interleaved(peers, turns=turns, device=device)
        taken = choose((batch, channels, samples), (channels, channels, size), 1, torch.device(device).type)
        rows.append([size, taken, *_times(found, others, device)])
    heads = [f"{name} [ms]" for name in (*BACKENDS, *others)]
    ratios = [f"{name} / auto" for name in ("fft_conv", "direct", *others)] + ["auto / best"]
    return BenchTable(
        "conv_time",
        f"Layer, forward and backward, {_clock(device)}, {channels} to {channels} channels, batch {batch}, "
        f"{samples:,} samples, {where(device)}, median of {turns}",
        ["K", "auto takes", *heads, *ratios],
        rows,
    )


def forward_table(
    kernel_sizes: Sequence[int], *, channels: int = 22, batch: int = 4, samples: int = SAMPLES
) -> BenchTable:
    """Forward pass alone against scipy, which has no gradients: medians of three rounds."""
    rows: list[list[Value]] = []
    for size in kernel_sizes:
        generator = torch.Generator().manual_seed(_SEED)
        signal = torch.randn(batch, channels, samples, generator=generator)
        kernel = torch.randn(channels, channels, size, generator=generator)
        peers: dict[str, Callable[[], object]] = {
            "auto": functools.partial(torch.no_grad()(convolve), signal, kernel),
            "scipy fftconvolve": functools.partial(_scipy, scipy.signal.fftconvolve, signal, kernel),
            "scipy oaconvolve": functools.partial(_scipy, scipy.signal.oaconvolve, signal, kernel),
        }
        ours, *others = (timing.median for timing in interleaved(peers, turns=3).values())
        rows.append([size, 1e3 * ours, *(1e3 * each for each in others), *(each / ours for each in others)])
    heads = ["auto [ms]", "scipy fftconvolve [ms]", "scipy oaconvolve [ms]"]
    ratios = ["fftconvolve / auto", "oaconvolve / auto"]
    return BenchTable(
        "conv_forward",
        f"Forward pass alone, {channels} to {channels} channels, batch {batch}, {samples:,} samples, {where('cpu')}",
        ["K", *heads, *ratios],
        rows,
    )


def memory_tables(
    kernel_sizes: Sequence[int],
    *,
    channels: int,
    batch: int = 4,
    samples: int = SAMPLES,
    device: str = "cpu",
    progress: Callable[[str], None] = print,
) -> list[BenchTable]:
    """Peak memory at all sizes, and once more with `MEMORY_CHANNELS` at those of `MEMORY_SIZES` among them, if any."""
    parts = {channels: list(kernel_sizes)}
    parts.setdefault(MEMORY_CHANNELS, [size for size in MEMORY_SIZES if size in kernel_sizes])
    return [
        memory_table(sizes, channels=width, batch=batch, samples=samples, device=device, progress=progress)
        for width, sizes in parts.items()
        if sizes
    ]


def memory_table(
    kernel_sizes: Sequence[int],
    *,
    channels: int,
    batch: int = 4,
    samples: int = SAMPLES,
    device: str = "cpu",
    progress: Callable[[str], None] = print,
) -> BenchTable:
    """Peak memory of the same pass beyond signal, kernel and gradient.

    On a CPU it is resident memory, each pass in a fresh process; on CUDA it is what torch's allocator handed out in a
    second pass of this process.
    """
    rows: list[list[Value]] = []
    others = other_peers(device)
    for size in kernel_sizes:
        progress(f"memory, {channels} channels, K = {size}")
        used = {
            name: _peak(name, channels, size, batch, samples, device)
            for name in (*BACKENDS, *others)
            if can(name, size)
        }
        ratios = [_scaled(used.get(name), 1 / used["auto"]) for name in ("fft_conv", *others)]
        rows.append([size, *(used.get(name) for name in (*BACKENDS, *others)), *ratios])
    on_cpu = torch.device(device).type == "cpu"
    what = "Peak resident memory that a first pass" if on_cpu else "Peak memory of torch's allocator that a pass"
    columns = [f"{name} [MiB]" for name in (*BACKENDS, *others)] + [f"{name} / auto" for name in ("fft_conv", *others)]
    return BenchTable(
        f"conv_memory_{channels}",
        f"{what} adds to its inputs, {channels} to {channels} channels, batch {batch}, {samples:,} samples",
        ["K", *columns],
        rows,
    )


def _peak(name: str, channels: int, kernel_size: int, batch: int, samples: int, device: str) -> float:
    """Peak memory of a pass [MiB]."""
    sizes = (name, channels, kernel_size, batch, samples)
    if torch.device(device).type == "cpu":
        return fresh_peak("kernbench.bench.convolution:layer", *sizes)
    once = layer(*sizes, device)
    once()  # workspaces that a library keeps are there after the first pass
    return added_peak(once, device) / 2**20


def limit_table() -> BenchTable:
    """How near the per-frequency product and the memory traffic are to what the machine can do."""
    generator = torch.Generator().manual_seed(_SEED)
    frequencies, channels, rows_per_frequency = 257, 64, 132  # the last: lines times blocks, columns of the product
    w = torch.randn(frequencies, channels, channels, dtype=torch.complex64, generator=generator)
    x = torch.randn(frequencies, channels, rows_per_frequency, dtype=torch.complex64, generator=generator)
    square = torch.randn(2048, 2048, generator=generator)
    blocks = torch.randn(channels * rows_per_frequency, 512, generator=generator)
    found = interleaved(
        {
            "product": lambda: torch.bmm(w, x),
            "matmul": lambda: square @ square,
            "transform": lambda: torch.fft.rfft(blocks),
            "copy": blocks.clone,
        },
        turns=5,
    )
    product = 8 * frequencies * channels * channels * rows_per_frequency / found["product"].median / 1e9
    matmul = 2 * 2048**3 / found["matmul"].median / 1e9
    # an FFT reads its input and writes as much again; so does a copy
    moved = 2 * blocks.numel() * blocks.element_size() / 1e9
    shape = f"{channels} x {channels} x {rows_per_frequency}"
    transform, copy = moved / found["transform"].median, moved / found["copy"].median
    return BenchTable(
        "conv_limit",
        f"Distance to the machine, {where('cpu')}",
        ["part", "reached", "limit", "share"],
        [
            [f"product per frequency, {shape} [GFLOP/s]", product, matmul, product / matmul],
            ["FFT of 512 samples against a copy [GB/s]", transform, copy, transform / copy],
        ],
    )


def growth(table: BenchTable, low: int = 65, high: int = 527) -> tuple[float, float] | None:
    """How much longer `auto` takes at `high` taps than at `low`, and log(high) / log(low); None if one is missing."""
    times = dict(zip(table.column("K"), table.column("auto [ms]"), strict=True))
    if low not in times or high not in times:
        return None
    return float(times[high] or 0) / float(times[low] or 1), float(np.log(high) / np.log(low))


def _clock(device: str) -> str:
    alone = torch.device(device).type == "cpu" and torch.get_num_threads() == 1
    return "CPU time" if alone else "time"


def _times(found: dict[str, Timing], others: Sequence[str], device: str) -> list[Value]:
    """Medians [ms] and the ratios; CPU time where one thread does the work: others do not lengthen it."""
    one_thread = _clock(device) == "CPU time"
    medians = {name: timing.cpu if one_thread else timing.median for name, timing in found.items()}
    auto = medians["auto"]
    best = min(value for name, value in medians.items() if name != "auto")
    times = [_scaled(medians.get(name), 1e3) for name in (*BACKENDS, *others)]
    return [*times, *(_scaled(medians.get(name), 1 / auto) for name in ("fft_conv", "direct", *others)), auto / best]


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else factor * value


def _scipy(function: Callable[..., np.ndarray], signal: Tensor, kernel: Tensor) -> np.ndarray:
    """The same sum by scipy; its convolution flips the kernel."""
    flipped = kernel.numpy()[None, :, :, ::-1]
    return np.asarray(function(signal.numpy()[:, None], flipped, mode="valid", axes=-1).sum(axis=2))
