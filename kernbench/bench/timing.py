"""How things are timed: peers take turns in one process; memory is measured in a fresh one."""

import functools
import importlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from kernbench.errors import KernbenchError
from kernbench.host.memory import peak_memory, reset_peak_memory


@dataclass(frozen=True)
class Timing:
    """Times of one peer.

    Attributes:
        median: seconds.
        cpu: CPU seconds of this process, median; other processes change them less.
    """

    median: float
    cpu: float


def interleaved(
    peers: Mapping[str, Callable[[], object]], turns: int = 7, warm_up: int = 1, device: str = "cpu"
) -> dict[str, Timing]:
    """Time peers in turn, so that a machine that slows down slows all of them.

    Args:
        peers: name -> what to time.
        turns: rounds that count.
        warm_up: rounds before them that do not.
        device: waited for after each call, where it computes by itself.
    """
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in peers}
    for turn in range(-warm_up, turns):
        for name, call in peers.items():
            start, cpu = time.perf_counter(), time.process_time()
            call()
            if torch.device(device).type == "cuda":
                torch.cuda.synchronize(device)
            if turn >= 0:
                spent[name].append((time.perf_counter() - start, time.process_time() - cpu))
    return {name: Timing(*map(statistics.median, zip(*each, strict=True))) for name, each in spent.items()}


def where(device: str = "cpu") -> str:
    """What the times of a table belong to: the number of threads, or the name of the GPU."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    number = torch.get_num_threads()
    return "one thread" if number == 1 else f"{number} threads"


def fresh_peak(target: str, *arguments: object) -> float:
    """Peak resident memory [MiB] that a call adds in a fresh process, on one thread, its import left out.

    Args:
        target: "package.module:function". If it returns something to call, that call is measured, and what the function
            made for it counts as there before.
        arguments: of the function; numbers, text, lists.

    Raises:
        KernbenchError: the call failed; with the last line that it printed.
    """
    command = [sys.executable, "-m", "kernbench.bench.timing", target, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own module
    if done.returncode:
        last = next(iter(done.stderr.strip().splitlines()[-1:]), f"exit code {done.returncode}")
        raise KernbenchError(f"{target}{tuple(arguments)} failed in its own process: {last}")
    return float(done.stdout.splitlines()[-1]) / 2**20


def added_peak(call: Callable[[], object], device: str) -> int:
    """Peak memory [bytes] that a call adds in this process: of the allocator on CUDA, resident elsewhere.

    Resident memory that the process has freed and kept hides a peak; `fresh_peak` is for a CPU.

    Args:
        call: what is measured.
        device: "cpu", "cuda" or "cuda:i".
    """
    reset_peak_memory(device)
    before = peak_memory(device)
    call()
    return peak_memory(device) - before


def _measure(target: str, arguments: str) -> None:
    torch.set_num_threads(1)
    module, _, function = target.partition(":")
    call = functools.partial(getattr(importlib.import_module(module), function), *json.loads(arguments))
    before = peak_memory("cpu")
    prepared = call()
    print(added_peak(prepared, "cpu") if callable(prepared) else peak_memory("cpu") - before)


if __name__ == "__main__":
    _measure(*sys.argv[1:])
