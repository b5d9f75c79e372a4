"""Training side by side: step, epoch and scores against a plain loop, seeds at once, peak memory; prints tables.

OMP_NUM_THREADS=1 python benchmarks/training.py
"""

import argparse
import itertools

import torch

from kernbench.bench import train

FAMILIES, KERNEL_SIZES = ("siren", "discrete"), (17, 65, 257)
MEMORY = [
    ("dilated", "discrete", 3, 64, 16),
    ("shallow", "siren", 65, 22, 64),
    ("shallow", "siren", 2111, 22, 64),
    ("shallow", "siren", 2111, 64, 8),
]


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    torch.set_num_threads(1)
    print(f"{'work':42s} {'way':22s}   wall s    CPU s  GFLOP/s")
    seeds = (train.seed_rows(*case) for case in itertools.product(FAMILIES, KERNEL_SIZES))
    for row in itertools.chain(train.step_rows(), train.epoch_rows(), train.score_rows(), *seeds):
        rate = "" if row.gflops is None else f"{row.gflops:8.1f}"
        print(f"{row.work:42s} {row.way:22s} {row.seconds:8.3f} {row.cpu:8.3f} {rate}", flush=True)
    print(f"\n{'one update':62s} recompute       MiB")
    for case in MEMORY:
        for row in train.memory_rows(*case):
            print(f"{row.network:62s} {row.recompute!s:9s} {row.mebibytes:9.0f}", flush=True)


if __name__ == "__main__":
    main()
