"""Counting hits at every tolerance and threshold: all at once against pair by pair; prints a table.

OMP_NUM_THREADS=1 python benchmarks/metrics.py --lines 96
"""

import argparse

import torch

from kernbench.bench.metrics import rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=96, help="of 8446 samples")
    parser.add_argument("--turns", type=int, default=3, help="turns that count")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("way                       lines   seconds     ratio")
    for row in rows(options.lines, options.turns):
        print(f"{row.way:24s} {row.lines:6d} {row.seconds:9.3f} {row.ratio:9.1f}", flush=True)


if __name__ == "__main__":
    main()
