"""Folders of line files for the tests of importing."""

import numpy as np

from kernbench.ulm.line import SAMPLES
from kernbench.ulm.srml1d.formats import RecordedLine, write_line


def recorded_line(number):
    """A line that differs from all others."""
    rng = np.random.default_rng(number)
    counts = np.bincount(rng.integers(312, 8177, size=10 + number), minlength=SAMPLES).astype(np.uint8)
    field = (2e5 + number - np.arange(SAMPLES)).astype(np.float32)
    voltage = np.round(10 * rng.normal(size=SAMPLES), 3).astype(np.float32)
    return RecordedLine(voltage, counts, field, 1e5 + 1000 * number)


def write_folder(folder, numbers, suffix=".txt"):
    """Files RFDATA00001 and so on, written in a shuffled order."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in np.random.default_rng(0).permutation(list(numbers)).tolist():
        write_line(folder / f"RFDATA{number:05d}{suffix}", recorded_line(number), "test")
    return folder
