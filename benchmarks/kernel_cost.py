"""What making a kernel costs beside the convolution that uses it, and its memory, for every bundled family.

    python benchmarks/kernel_cost.py [FAMILY ...]

Time: one layer of 22 channels, K = 263, one line of 8,446 samples, forward and backward, medians measured in turn.
Memory: 64 channels, K = 2111, forward and backward of the kernel alone, above what the process had before; a process of
its own for each family.
"""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

import kernbench
from kernbench.conv import convolve
from kernbench.registry import find_family, installed

CHANNELS, TAPS, LENGTH = 22, 263, 8446
REPEATS = 15
WIDE, LONG = 64, 2111


def times(name: str) -> tuple[float, float]:
    """Median seconds of making the kernel and of the convolution, each forward and backward."""
    torch.manual_seed(0)
    spec = kernbench.KernelSpec(CHANNELS, CHANNELS, kernel_size=TAPS)
    module, grid = find_family(name).build(spec), spec.grid()
    signal = torch.randn(1, CHANNELS, LENGTH, requires_grad=True)
    making, convolving = [], []
    for _ in range(REPEATS):
        start = time.perf_counter()
        kernel = module(grid)
        kernel.backward(torch.ones_like(kernel))
        making.append(time.perf_counter() - start)
        free = kernel.detach().requires_grad_()
        start = time.perf_counter()
        output = convolve(signal, free)
        output.backward(torch.ones_like(output))
        convolving.append(time.perf_counter() - start)
    return statistics.median(making), statistics.median(convolving)


def peak(name: str) -> float:
    """Peak memory of making a long, wide kernel, forward and backward [MiB]."""
    torch.manual_seed(0)
    spec = kernbench.KernelSpec(WIDE, WIDE, kernel_size=LONG)
    module, grid = find_family(name).build(spec), spec.grid()
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the highest so far counts no more
    before = _highest()
    kernel = module(grid)
    kernel.backward(torch.ones_like(kernel))
    return (_highest() - before) / 1024


def _highest() -> int:
    """Peak resident memory [KiB]."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def main() -> None:
    """Print a table in Markdown."""
    torch.set_num_threads(1)
    if sys.argv[1:2] == ["--peak"]:
        print(json.dumps(peak(sys.argv[2])))
        return
    print("| family | kernel [ms] | convolution [ms] | ratio | memory of a long kernel [MiB] |\n|---|---|---|---|---|")
    for name in sys.argv[1:] or sorted(installed().found):
        making, convolving = times(name)
        command = [sys.executable, __file__, "--peak", name]
        found = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  # this file
        mib = json.loads(found.stdout)
        row = f"{1e3 * making:.2f} | {1e3 * convolving:.1f} | {making / convolving:.2f} | {mib:.0f}"
        print(f"| {name} | {row} |", flush=True)


if __name__ == "__main__":
    main()
