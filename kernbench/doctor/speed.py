"""How fast the device is, beside the CPU."""

from collections.abc import Callable, Iterator

import torch

from kernbench.bench.convolution import layer
from kernbench.bench.timing import Timing, interleaved, where
from kernbench.doctor.finding import Asked, Checks, Finding
from kernbench.doctor.works import BUBBLES, simulated
from kernbench.host.device import choose_device

CHANNELS, TAPS, BATCH, SAMPLES = 22, 65, 4, 8446  # a layer of the published shallow network
TURNS = 3
BUSY = 0.7  # share of the time in which a free core would compute
CONVOLUTION, SIMULATION = f"a layer of {CHANNELS} channels, forward and backward", f"a line of {BUBBLES} bubbles"


def checks(asked: Asked) -> Checks:
    """Speed."""
    return {"speed": lambda: _speed(choose_device(asked.device))}


def _speed(device: str) -> Iterator[Finding]:
    ours = timed(device)
    if device == "cpu":
        yield _of_cpu(ours)
        return
    theirs = timed("cpu")
    ratios = {name: theirs[name].median / ours[name].median for name in ours}
    times = ", ".join(f"{name} {1e3 * ours[name].median:.2g} ms, {ratios[name]:.1f} times" for name in ours)
    found = f"{times} as fast as this CPU on {where('cpu')}"
    if min(ratios.values()) >= 1:
        yield Finding("speed", "ok", found)
    else:
        advice = "work as small as this is faster on the CPU; several workers on one device fill it"
        yield Finding("speed", "note", found, advice)


def timed(device: str) -> dict[str, Timing]:
    """Times of a layer and of a simulated line on one device."""
    works: dict[str, Callable[[], object]] = {
        CONVOLUTION: layer("auto", CHANNELS, TAPS, BATCH, SAMPLES, device),
        SIMULATION: lambda: simulated(device),
    }
    return interleaved(works, TURNS, device=device)


def _of_cpu(ours: dict[str, Timing]) -> Finding:
    """Times of the CPU itself, and whether other processes take it."""
    found = ", ".join(f"{name} {1e3 * each.median:.0f} ms" for name, each in ours.items())
    wall, used = (sum(getattr(each, kind) for each in ours.values()) for kind in ("median", "cpu"))
    found = f"{found}, {where('cpu')}"
    if torch.get_num_threads() == 1 and used < BUSY * wall:
        advice = "other processes use the cores; times measured now mean little, and --workers would not help"
        return Finding("speed", "note", f"{found}; this process had a core for {used / wall:.0%} of the time", advice)
    return Finding("speed", "ok", found)
