"""What a cell left in files: its learning curve and its arrays. A file that cannot be read is said, not fatal."""

import csv
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kernbench.errors import DataError
from kernbench.ulm.line import PULSE_FREQUENCY_HZ

Floats = NDArray[np.float64]

CURVE = "curve.csv"
ARRAYS = "cell.npz"
SIDES = ("centered", "causal", "anticausal")  # of kernels; stored as places in this list, left out for the first


@dataclass(frozen=True, eq=False)
class CellArrays:
    """Arrays of one cell.

    Attributes:
        kernels: trained kernels of each layer, up to 16 of them, (n, K).
        starts: the same before training; empty if they were not stored, or are the trained ones again: of kernels
            that are a parameter themselves, older versions stored these.
        spectra: 5, 50 and 95 % quantiles of each layer's kernels, (3, F).
        voltage: example line, (L,) a.u.
        counts: its bubbles per sample, (L,).
        prediction: network output, (L,).
        start: first sample of the example within its whole line.
        rate_hz: sampling rate.
        side: of the kernels, see `kernbench.KernelSpec`.
        pulse_hz: frequency of the driving pulse.
    """

    kernels: list[Floats]
    starts: list[Floats]
    spectra: list[Floats]
    voltage: Floats
    counts: Floats
    prediction: Floats
    start: int
    rate_hz: float
    side: str = SIDES[0]
    pulse_hz: float = PULSE_FREQUENCY_HZ


def load_curve(path: Path) -> dict[str, Floats]:
    """Columns of a learning curve by name; NaN where a field is empty.

    Raises:
        DataError: the file is missing, has no epochs, or holds what is not a number.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        columns = {name: np.array([float(row[name] or "nan") for row in rows]) for name in (rows[0] if rows else {})}
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise DataError(f"{path.name} cannot be read: {error}") from error
    if "epoch" not in columns:
        raise DataError(f"{path.name} has no epochs")
    return columns


def load_arrays(path: Path) -> CellArrays:
    """Kernels, spectra and the example line of a cell.

    Raises:
        DataError: the file is missing, damaged, or lacks an array.
    """
    try:
        # numpy leaves a damaged file open that it has opened itself
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            content = {name: np.asarray(stored[name], np.float64) for name in stored.files}
        starts = _by_layer(content, "kernel_start")
        kernels = _by_layer(content, "kernel")
        known = len(starts) == len(kernels) and not all(map(np.array_equal, starts, kernels))
        return CellArrays(
            kernels=kernels,
            starts=starts if known else [],
            spectra=[content[f"spectrum_{layer}"] for layer in range(len(kernels))],
            voltage=content["example_voltage"].ravel(),
            counts=content["example_counts"].ravel(),
            prediction=content["example_prediction"].ravel(),
            start=int(content["example_start"]),
            rate_hz=float(content["rate_hz"]),
            side=SIDES[int(content.get("side", np.zeros(())))],
            pulse_hz=float(content.get("pulse_hz", PULSE_FREQUENCY_HZ)),
        )
    except (OSError, ValueError, TypeError, IndexError, EOFError, zipfile.BadZipFile) as error:
        # numpy would advise to unpickle
        reason = "it holds Python objects, nothing was run" if "pickle" in str(error) else str(error)
        raise DataError(f"{path.name} cannot be read: {reason}") from error
    except KeyError as error:
        raise DataError(f"{path.name} lacks the array {error}") from error


def _by_layer(content: Mapping[str, Floats], prefix: str) -> list[Floats]:
    """Arrays `prefix_0`, `prefix_1`, ... as far as they go."""
    found: list[Floats] = []
    while f"{prefix}_{len(found)}" in content:
        found.append(content[f"{prefix}_{len(found)}"])
    return found
