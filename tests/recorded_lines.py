"""A line as a recording holds it."""

import numpy as np

from kernbench.ulm.line import SAMPLES
from kernbench.ulm.srml1d.formats import RecordedLine, parse_line, read_bytes


def read(path):
    return parse_line(read_bytes(path), path.name)


def recorded(rng, positions=None):
    counts = np.zeros(SAMPLES, np.uint8)
    counts[rng.integers(312, 8177, size=40)] += 1
    field = (2e5 - np.arange(SAMPLES)).astype(np.float32)
    voltage = (10 * rng.normal(size=SAMPLES)).astype(np.float32)
    return RecordedLine(voltage, counts, field, 123450.0, positions)
