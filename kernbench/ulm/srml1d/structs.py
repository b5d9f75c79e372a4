"""Structs of the MATLAB files of SRML-1D: which there are, and the numbers in their fields."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from kernbench.errors import DataError
from kernbench.ulm.simulator.mat_file import read_variables

Structs = Mapping[str, Any]  # whatever a .mat file holds

NAMES = ("RF", "bubble", "domain", "pulse", "pfield")
LARGEST = float(np.finfo(np.float32).max)


def read_structs(content: bytes, name: str) -> Structs:
    """Variables of a result of SRML-1D.

    Args:
        content: of the file, all of it.
        name: of the file, for messages.

    Raises:
        DataError: not a MATLAB file.
    """
    return read_variables(content, name, NAMES)


def channels(structs: Structs) -> int:
    """Elements of the struct array RF; 0 where it is no struct."""
    rf = structs.get("RF")
    return rf.size if isinstance(rf, np.ndarray) and rf.dtype.names is not None else 0


def chosen_channel(structs: Structs, channel: int | None, name: str) -> int:
    """The channel that is meant, from 1: the one that was asked for, or the only one.

    Raises:
        DataError: there are several and none was asked for, or there is none of that number.
    """
    there = channels(structs)
    if channel is None and there > 1:
        raise DataError(f"{name}: RF has {there} channels; choose one of them by --channel, 1 to {there}")
    if channel is not None and there and not 1 <= channel <= there:
        raise DataError(f"{name}: RF has {there} channels, got --channel {channel}")
    return channel or 1


def numbers(
    structs: Structs, key: str, name: str, size: int | None = None, channel: int | None = None
) -> npt.NDArray[np.float64]:
    """Numbers of one field of a struct, or of all elements of an array of structs in order.

    Args:
        structs: of the file.
        key: struct and field, RF.V.
        name: of the file, for messages.
        size: how many numbers a row or column must have; any number and shape if left out.
        channel: the element of the array of structs to read, from 1; all if left out.

    Raises:
        DataError: no such field, no real numbers, another size, or (but for bubble.R0) NaN or infinite ones.
    """
    array, field = _field(structs, key, name)
    chosen = array.ravel() if channel is None else array.ravel()[channel - 1 : channel]
    parts = [np.asarray(part) for part in chosen]
    if any(part.dtype.kind not in "biuf" for part in parts):  # text, structs, complex numbers
        raise DataError(f"{name}: {key} does not hold real numbers")
    values = np.concatenate([np.zeros(0), *(part.ravel() for part in parts)])
    if size is not None and (len(values) != size or len(parts) != 1):
        elements = f" in {len(parts)} elements" if len(parts) > 1 else ""
        raise DataError(f"{name}: {key} expected {size} numbers, got {len(values)}{elements}")
    if size is not None and size not in (1, *parts[0].shape):
        raise DataError(f"{name}: {key} expected a row or a column, got a matrix of {parts[0].shape}")
    if field != "R0" and not (np.abs(values) < LARGEST).all():  # false for NaN, too
        raise DataError(f"{name}: {key} has NaN, infinite or too large numbers")
    return np.asarray(values)


def signal(structs: Structs, name: str, channel: int) -> npt.NDArray[np.float64]:
    """Voltage of a channel, (samples,), however many there are.

    Raises:
        DataError: see `numbers`; or a matrix.
    """
    return numbers(structs, "RF.V", name, numbers(structs, "RF.V", name, channel=channel).size, channel)


def stored_as(structs: Structs, channel: int, name: str) -> str:
    """Type of the integers that the voltage of a channel is stored as, int16; empty for floats."""
    array, _ = _field(structs, "RF.V", name)
    kept = np.asarray(array.ravel()[channel - 1]).dtype
    return str(kept) if kept.kind in "iu" else ""


def _field(structs: Structs, key: str, name: str) -> tuple[npt.NDArray[Any], str]:
    """Values of a field, one for each element of its array of structs, and its name."""
    struct, _, field = key.partition(".")
    array = structs.get(struct)
    if not isinstance(array, np.ndarray) or array.dtype.names is None or field not in array.dtype.names:
        raise DataError(f"{name}: no {key} in it; expected the structs that the SRML-1D simulator writes")
    return array[field], field
