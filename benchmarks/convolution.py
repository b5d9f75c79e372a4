"""Layers side by side: kernbench's `auto` against fft-conv-pytorch and torch's direct convolution.

Run with one thread: `OMP_NUM_THREADS=1 python benchmarks/convolution.py speed`, then `memory`, `hardware`, `training`.
Methods take turns, so that a busy minute slows all of them; the fastest run counts. On the CPU with one thread the time
is the process's own, which other processes do not lengthen. Memory is that of a fresh process for each method: the
highest resident size during forward and backward, less what libraries and the tensors that go in took before.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import torch

from kernbench.conv import convolve
from kernbench.conv.auto import block_plan, choose
from kernbench.conv.cost import block_flops
from kernbench.networks import build

BATCH, CHANNELS, LENGTH = 4, 22, 8446
KERNEL_SIZES = (65, 131, 263, 527, 1055, 2111)


def tensors(channels, taps, device):
    signal = torch.randn(BATCH, channels, LENGTH, device=device, requires_grad=True)
    kernel = torch.randn(channels, channels, taps, device=device, requires_grad=True)
    return signal, kernel, torch.randn(BATCH, channels, LENGTH - taps + 1, device=device)


def step(backend, signal, kernel, gradient):
    output = convolve(signal, kernel, backend=backend)
    torch.autograd.grad(output, (signal, kernel), gradient)


def now(device):
    if device == "cuda":
        torch.cuda.synchronize()
    return time.process_time() if device == "cpu" and torch.get_num_threads() == 1 else time.perf_counter()


def seconds(function, device):
    start = now(device)
    function()
    return now(device) - start


def speed(device, repeats):
    print("    K        auto  fft-conv   direct   ratio to fft-conv   to direct   auto takes")
    for taps in KERNEL_SIZES:
        parts = tensors(CHANNELS, taps, device)
        turns = {"auto": 4 * repeats, "fft_conv": repeats, "direct": 2 if taps > 600 else repeats}
        times = {name: [] for name in turns}
        for name in turns:
            step(name, *parts)
        for turn in range(4 * repeats):
            for name, count in turns.items():
                if turn % (4 * repeats // count) == 0:
                    times[name].append(seconds(lambda n=name, p=parts: step(n, *p), device))
        auto, peer, direct = (1e3 * min(times[name]) for name in turns)
        backend = choose(parts[0].shape, parts[1].shape, 1, device)
        plan = block_plan(parts[0].shape, parts[1].shape, 1, device)
        size = plan.size if backend == "overlap_save" else ""
        print(
            f"{taps:5d} {auto:8.1f} ms {peer:6.0f} ms {direct:5.0f} ms {peer / auto:16.1f} {direct / auto:12.1f}"
            f"      {backend} {size}",
            flush=True,
        )


def memory(device):
    print("channels    K  method    peak of a step")
    for channels, taps in ((64, 263), (64, 2111), *((CHANNELS, taps) for taps in KERNEL_SIZES)):
        peaks = {}
        for method in ("auto", "fft_conv"):
            command = [sys.executable, __file__, "one-peak", "--method", method, "--device", device]
            command += ["--taps", str(taps), "--channels", str(channels)]
            answer = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
            peaks[method] = json.loads(answer.stdout)
            print(f"{channels:8d} {taps:4d}  {method:9s} {peaks[method] / 2**20:8.0f} MiB", flush=True)
        print(f"               fft_conv / auto: {peaks['fft_conv'] / peaks['auto']:.1f}")


def one_peak(device, method, channels, taps):
    """Bytes above the level before the step; the output and the gradients belong to it."""
    parts = tensors(channels, taps, device)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step(method, *parts)
        print(torch.cuda.max_memory_allocated() - before)
        return
    small = [part[..., :200].detach().requires_grad_() for part in parts[:2]]
    step(method, small[0][:1], small[1][..., :9], torch.randn(1, channels, 192))  # libraries load now, not in the step
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step(method, *parts)
    print(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))


def hardware(device):
    """What the products and the copies achieve against a large matrix product and a large copy."""
    square = torch.randn(1024, 1024, device=device, dtype=torch.complex64)
    best = 8 * 1024**3 / min(seconds(lambda: square @ square, device) for _ in range(7)) / 1e9
    long = torch.randn(2**24, device=device)
    target = torch.empty_like(long)
    copy = 8 * 2**24 / min(seconds(lambda: target.copy_(long), device) for _ in range(7)) / 1e9
    print(
        f"complex matrix product of 1024 x 1024: {best:.0f} GFLOP/s; copy of 64 MiB: {copy:.0f} GB/s (read + written)"
    )
    print("    K  block   product GFLOP/s  of large   whole step GFLOP/s  spectra moved GB/s")
    for taps in KERNEL_SIZES:
        parts = tensors(CHANNELS, taps, device)
        plan = block_plan(parts[0].shape, parts[1].shape, 1, device)
        columns = BATCH * plan.blocks
        w = torch.randn(plan.frequencies, CHANNELS, CHANNELS, device=device, dtype=torch.complex64)
        x = torch.randn(plan.frequencies, CHANNELS, columns, device=device, dtype=torch.complex64)
        product = (
            8 * w.numel() * columns / min(seconds(lambda w=w, x=x: torch.bmm(w, x), device) for _ in range(9)) / 1e9
        )
        taken = min(seconds(lambda p=parts: step("overlap_save", *p), device) for _ in range(7))
        flops = 3 * block_flops(parts[0].shape, parts[1].shape, plan)
        # each of 4 signal and 2 kernel transforms: samples read and spectrum written, spectrum read and transposed
        moved = 16 * 4 * plan.frequencies * (4 * columns * CHANNELS + 2 * CHANNELS**2) / 2
        print(
            f"{taps:5d} {plan.size:6d} {product:17.0f} {100 * product / best:8.0f} % {flops / taken / 1e9:19.0f}"
            f" {moved / taken / 1e9:19.1f}",
            flush=True,
        )


def training(device, batch, steps=3):
    """Highest resident size of a process that trains a 64-channel shallow SIREN network, K = 2111, whole lines."""
    torch.manual_seed(0)
    network = build("shallow", "siren", 2111, channels=64).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    signal = torch.randn(batch, 1, LENGTH, device=device)
    times = []
    for _ in range(steps):
        start = now(device)
        optimizer.zero_grad()
        network(signal).square().mean().backward()
        optimizer.step()
        times.append(now(device) - start)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak = torch.cuda.max_memory_allocated() if device == "cuda" else peak
    print(f"batch {batch}: {peak / 1e9:.2f} GB at the highest, {min(times):.2f} s a step")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("speed", "memory", "hardware", "training", "one-peak"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch", type=int, default=8, help="lines of a step, for training")
    parser.add_argument("--method", default="auto", help="for one-peak, as --taps and --channels")
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--taps", type=int, default=263)
    options = parser.parse_args()
    torch.set_num_threads(1)
    {
        "speed": lambda: speed(options.device, options.repeats),
        "memory": lambda: memory(options.device),
        "hardware": lambda: hardware(options.device),
        "training": lambda: training(options.device, options.batch),
        "one-peak": lambda: one_peak(options.device, options.method, options.channels, options.taps),
    }[options.what]()


if __name__ == "__main__":
    main()
