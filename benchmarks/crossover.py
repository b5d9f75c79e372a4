"""How far `auto` is from the best backend: direct, fft and overlap_save on a grid of layers, forward and backward.

`OMP_NUM_THREADS=1 python benchmarks/crossover.py --minutes 10` measures as many cases as fit into that time,
in random order. Methods take turns in random order, and the fastest run of each counts, so that neither a busy minute
nor the previous method favours one of them. A method that is predicted to take more than three times as long as the
best is left out.
"""

import argparse
import itertools
import random
import time

import torch

from kernbench.conv import convolve
from kernbench.conv.auto import block_plan, choose
from kernbench.conv.constants import constants, origin
from kernbench.conv.plan import whole
from kernbench.conv.predict import seconds_direct, seconds_in_blocks

# (in, out, groups): dense, first layers, depthwise
CHANNELS = (
    [(c, c, 1) for c in (8, 16, 22, 64)]
    + [(1, c, 1) for c in (1, 8, 16, 22, 64)]
    + [(c, c, c) for c in (8, 16, 22, 64)]
)
KERNEL_SIZES = (3, 5, 9, 13, 17, 25, 33, 65, 131, 263, 527, 1055, 2111)
DILATED = [(3, 16), (3, 512), (9, 8), (17, 32), (33, 64), (65, 4)]


def grid():
    plain = itertools.product((1, 2, 4, 8, 16), CHANNELS, (2048, 8446), [(taps, 1) for taps in KERNEL_SIZES])
    dilated = itertools.product((1, 8), CHANNELS, (8446,), DILATED)
    for batch, (inputs, outputs, groups), length, (taps, dilation) in itertools.chain(plain, dilated):
        if dilation * (taps - 1) < length:
            yield (batch, inputs, length), (outputs, inputs // groups, taps), dilation, groups


def predicted(signal, kernel, dilation, device):
    known, single = constants(device), whole(signal[2], kernel[2], dilation)
    blocks = block_plan(signal, kernel, dilation, device)
    return {
        "direct": seconds_direct(signal, kernel, dilation, known),
        "fft": seconds_in_blocks(signal, kernel, single, known),
        "overlap_save": seconds_in_blocks(signal, kernel, blocks, known),
    }


def measured(signal, kernel, dilation, groups, names, repeats, device):
    """Fastest seconds of each method, methods in a new random order in each turn."""
    x = torch.randn(signal, device=device, requires_grad=True)
    k = torch.randn(kernel, device=device, requires_grad=True)
    clock = time.process_time if device == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    fastest = dict.fromkeys(names, float("inf"))
    for turn in range(repeats + 1):
        for name in random.sample(names, len(names)):
            start = clock()
            output = convolve(x, k, dilation, groups, name)
            torch.autograd.grad(output, (x, k), output)
            if device == "cuda":
                torch.cuda.synchronize()
            if turn:
                fastest[name] = min(fastest[name], clock() - start)
    return fastest


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=float, default=0.4, help="cases predicted to take longer are left out [s]")
    options = parser.parse_args()
    torch.set_num_threads(1)
    random.seed(options.seed)
    cases, rows, end = list(grid()), [], time.monotonic() + 60 * options.minutes
    random.shuffle(cases)
    for signal, kernel, dilation, groups in cases:
        expected = predicted(signal, kernel, dilation, options.device)
        least = min(expected.values())
        if least > options.longest or time.monotonic() > end:
            continue
        names = [name for name, taken in expected.items() if taken < 3 * least]
        taken = measured(signal, kernel, dilation, groups, names, options.repeats, options.device)
        chosen = choose(signal, kernel, dilation, options.device)
        rows.append((taken[chosen] / min(taken.values()), signal, kernel, dilation, groups, chosen, taken))
    show(rows, options.device)


def show(rows, device):
    rows.sort(key=lambda row: -row[0])
    ratios = [row[0] for row in rows]
    within = sum(ratio <= 1.1 for ratio in ratios) / len(ratios)
    late = [1e3 * (row[6][row[5]] - min(row[6].values())) for row in rows if row[0] > 1.1]
    print(f"{len(rows)} cases, constants {origin(device)}: {100 * within:.0f} % within 1.1 of the best backend")
    for share in (0.5, 0.9, 0.95, 0.99):
        print(f"  {100 * share:.0f} % of the cases within {ratios[round((1 - share) * (len(ratios) - 1))]:.2f}")
    print(f"  worst {ratios[0]:.2f}; of those beyond 1.1, {sum(ms > 1 for ms in late)} lose more than 1 ms")
    print("the worst:  ratio  signal  kernel  dilation  groups  auto takes  ms of each")
    for ratio, signal, kernel, dilation, groups, chosen, taken in rows[:25]:
        each = ", ".join(f"{name} {1e3 * seconds:.2f}" for name, seconds in taken.items())
        print(f"{ratio:6.2f}  {signal}  {kernel}  {dilation}  {groups}  {chosen}  {each}")


if __name__ == "__main__":
    main()
