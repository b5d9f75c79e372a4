"""Where the FFT overtakes the direct convolution, forward and backward: the table behind backend `auto`.

Run with one thread, about a minute and a half: `OMP_NUM_THREADS=1 python benchmarks/crossover.py`. The time ratio is
direct over fft: above 1 the FFT wins. The last column is what `auto` takes, from shapes alone; its constants, in
kernbench/conv/auto.py, were read off this table.
"""

import argparse
import statistics
import time

import torch

from kernbench.conv import convolve
from kernbench.conv.auto import choose
from kernbench.conv.cost import direct_flops, fft_flops

CASES = [  # batch, in channels, out channels, length
    (8, 1, 8, 2048),
    (8, 8, 8, 2048),
    (8, 22, 22, 2048),
    (8, 64, 64, 2048),
    (4, 1, 22, 8446),
    (4, 8, 8, 8446),
    (4, 22, 22, 8446),
]
KERNEL_SIZES = (3, 9, 17, 33, 65, 129, 257, 513)


def seconds(signal, kernel, backend, device, budget=0.5):
    """Median time of one forward and backward pass, over as many as fit in the budget (at least 3)."""
    times, end = [], time.perf_counter() + budget
    while len(times) < 4 or (time.perf_counter() < end and len(times) < 30):
        start = time.perf_counter()
        convolve(signal, kernel, backend=backend).square().sum().backward()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def rows(device, budget):
    for batch, inputs, outputs, length in CASES:
        for taps in KERNEL_SIZES:
            signal = torch.randn(batch, inputs, length, device=device, requires_grad=True)
            kernel = torch.randn(outputs, inputs, taps, device=device, requires_grad=True)
            direct, fft = (seconds(signal, kernel, backend, device, budget) for backend in ("direct", "fft"))
            shape = tuple(signal.shape), tuple(kernel.shape)
            ratio = direct_flops(*shape, 1) / fft_flops(*shape)
            yield batch, inputs, outputs, length, taps, direct, fft, ratio, choose(*shape, 1, device)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--budget", type=float, default=0.4, help="seconds per measurement")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("batch  in out length    K  direct ms     fft ms  time ratio  flop ratio  auto")
    for batch, inputs, outputs, length, taps, direct, fft, flops, auto in rows(options.device, options.budget):
        print(
            f"{batch:5d} {inputs:3d} {outputs:3d} {length:6d} {taps:4d} {direct * 1e3:10.2f} {fft * 1e3:10.2f} "
            f"{direct / fft:11.2f} {flops:11.2f}  {auto}",
            flush=True,
        )


if __name__ == "__main__":
    main()
