"""Measured lines without labels from files: MATLAB, NumPy and text; labels of files that have them are not read."""

import io
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kernbench.errors import DataError, close_match, first_line
from kernbench.ulm.line import SAMPLE_RATE_HZ
from kernbench.ulm.srml1d.formats import read_bytes
from kernbench.ulm.srml1d.rates import at_native_rate, checked_rate, conversion_notes, file_rate
from kernbench.ulm.srml1d.structs import LARGEST, channels, chosen_channel, numbers, read_structs, signal, stored_as

SUFFIXES = (".mat", ".npy", ".txt", ".csv")
_LABELLED = re.compile(r'\s*"Bubble count","Voltage')  # the names of columns of SRML-1D
_HEADER = 20  # lines in which a table of numbers must begin
_EVEN = 0.01  # how far steps of a column of times may be from their mean, as a share of it

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Recording:
    """One line as a network gets it.

    Attributes:
        line: name of its file, or number in its data set.
        channel: of the file, from 1.
        voltage: at 62.5 MHz, (samples,) float32.
        start: time of its first sample in samples of 62.5 MHz, whole or not.
        notes: what was done to it, for people: resampled, integers.
    """

    line: str
    channel: int
    voltage: npt.NDArray[np.float32]
    start: float = 0.0
    notes: tuple[str, ...] = ()


def read_recordings(path: Path, rate_hz: float | None = None, channel: int | None = None) -> list[Recording]:
    """Lines of one file, resampled to 62.5 MHz where it has another rate.

    Args:
        path: MATLAB file with RF.V and RF.fs, an array of structs having one line an element; NumPy array (samples,) or
            (lines, samples); text: the formats of SRML-1D, one column of voltages, or two of times [s] and voltages.
        rate_hz: sampling rate of files that do not name it, 62.5 MHz if left out; of others it must be theirs.
        channel: only this one, from 1.

    Raises:
        DataError: names the file, what was expected and what came.
    """
    readers = {".mat": _mat, ".npy": _npy, ".txt": _text, ".csv": _text}
    suffix = path.suffix.lower()
    if suffix not in readers:
        raise DataError(f"{path}: expected a file {', '.join(SUFFIXES)}{close_match(suffix, SUFFIXES)}")
    lines = readers[suffix](read_bytes(path), path.name, rate_hz, channel)
    if not lines:
        raise DataError(f"{path.name}: expected one line or more, got none")
    for line in lines:
        if len(line.voltage) < 2:
            raise DataError(f"{path.name}: expected lines of samples, got {len(line.voltage)} of them in channel 1")
    return lines


def _recording(name: str, channel: int, voltage: Floats, rate_hz: float, start_s: float, stored: str) -> Recording:
    """A line at 62.5 MHz, with what was done to it."""
    if not (np.abs(voltage) < LARGEST).all():  # false for NaN, too
        raise DataError(f"{name}: channel {channel} has NaN, infinite or too large numbers")
    there = at_native_rate(voltage, rate_hz).astype(np.float32)
    return Recording(name, channel, there, start_s * SAMPLE_RATE_HZ, conversion_notes(rate_hz, stored))


def _mat(content: bytes, name: str, rate_hz: float | None, channel: int | None) -> list[Recording]:
    structs = read_structs(content, name)
    chosen = range(1, channels(structs) + 1) if channel is None else [chosen_channel(structs, channel, name)]
    if not chosen:
        raise DataError(f"{name}: no struct RF in it; expected RF.V (voltage) and RF.fs (sampling rate in Hz)")
    lines = []
    for each in chosen:
        voltage = signal(structs, name, each)
        own = file_rate(float(numbers(structs, "RF.fs", name, 1, each)[0]), rate_hz, name)
        lines.append(_recording(name, each, voltage, own, 0.0, stored_as(structs, each, name)))
    return lines


def _npy(content: bytes, name: str, rate_hz: float | None, channel: int | None) -> list[Recording]:
    try:
        array = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    except Exception as error:  # numpy has several types for what a damaged file may raise
        raise DataError(f"{name} is not a complete NumPy array: {first_line(error)}") from error
    if array.dtype.kind not in "biuf" or array.ndim not in (1, 2):
        got = f"{array.dtype} {array.shape}"
        raise DataError(f"{name}: expected real numbers (samples,) or (lines, samples), got {got}")
    lines = np.atleast_2d(array)
    if channel is not None and not 1 <= channel <= len(lines):
        raise DataError(f"{name}: {len(lines)} lines in it, got --channel {channel}")
    stored = str(array.dtype) if array.dtype.kind in "iu" else ""
    chosen = range(1, len(lines) + 1) if channel is None else [channel]
    rate = rate_hz or SAMPLE_RATE_HZ
    return [_recording(name, each, lines[each - 1].astype(np.float64), rate, 0.0, stored) for each in chosen]


def _text(content: bytes, name: str, rate_hz: float | None, channel: int | None) -> list[Recording]:
    if channel not in (None, 1):
        raise DataError(f"{name}: a text file has one line, got --channel {channel}")
    header, table = _table(content, name)
    rate, start = rate_hz or SAMPLE_RATE_HZ, 0.0
    columns = table.shape[1]
    if any(map(_LABELLED.match, header)) and columns > 1:
        voltage = table[:, 1]
    elif columns == 1:
        voltage = table[:, 0]
    elif columns == 2 and _are_times(table[:, 0]):
        time, voltage = table.T
        rate, start = _rate_of(time, rate_hz, name), float(time[0])
    else:
        raise DataError(
            f"{name}: expected one column (voltage), two (time in s, at even steps, and voltage) or the columns of "
            f"SRML-1D with their names, got {columns} columns"
        )
    return [_recording(name, 1, voltage, rate, start, "")]


def _table(content: bytes, name: str) -> tuple[list[str], Floats]:
    """Lines before the first row of numbers, and the numbers, (samples, columns)."""
    lines = [line.strip() for line in content.decode("utf-8-sig", "replace").splitlines()]
    rows = [re.sub(r"[,;\t]", " ", line) for line in lines]
    first = next((place for place, row in enumerate(rows[:_HEADER]) if _are_numbers(row)), None)
    if first is None:
        raise DataError(f"{name}: no row of numbers among its first {_HEADER} lines")
    width = len(rows[first].split())
    last = len(rows) - next(place for place, row in enumerate(reversed(rows)) if row)  # blank lines at the end
    for number, row in enumerate(rows[first:last], first + 1):
        if len(row.split()) != width:
            raise DataError(f"{name}, line {number}: expected {width} numbers as in line {first + 1}, got {row!r:.60}")
    try:
        return lines[:first], np.array([row.split() for row in rows[first:last]], np.float64)
    except ValueError as error:
        wrong = next(number for number, row in enumerate(rows[first:], first + 1) if not _are_numbers(row))
        raise DataError(f"{name}, line {wrong}: expected numbers, got {lines[wrong - 1]!r:.60}") from error


def _are_numbers(row: str) -> bool:
    try:
        return bool([float(cell) for cell in row.split()])
    except ValueError:
        return False


def _are_times(column: Floats) -> bool:
    """Whether a column rises at even steps."""
    steps = np.diff(column)
    return bool(len(steps) and steps.min() > 0 and np.abs(steps / steps.mean() - 1).max() < _EVEN)


def _rate_of(time_s: Floats, given_hz: float | None, name: str) -> float:
    """Sampling rate of a column of times, to five digits: times are often written with few."""
    rate = float(f"{(len(time_s) - 1) / (time_s[-1] - time_s[0]):.5g}")
    if given_hz is not None and not np.isclose(given_hz, rate, rtol=1e-4):
        raise DataError(f"{name}: its times say {rate / 1e6:g} MHz, --rate {given_hz / 1e6:g}; leave --rate out")
    return checked_rate(given_hz or rate, f"{name}: column of times in s")
