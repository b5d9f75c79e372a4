"""One RF line as its file holds it, and the text format of SRML-1D: labels, voltage, pressure field.

Source: Blanken et al. (2022), IEEE Trans. Med. Imaging 41(9), and its code SRML-1D.
"""

import math
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kernbench.errors import DataError
from kernbench.ulm.line import DEFAULT_PULSE, SAMPLE_RATE_HZ, SAMPLES
from kernbench.ulm.srml1d.rates import (
    at_native_rate,
    field_at_native_rate,
    is_native,
    line_samples,
    nearest_samples,
)
from kernbench.ulm.srml1d.structs import LARGEST

COLUMNS = '"Bubble count","Voltage (a.u)","Pressure field (Pa)"'
COLUMNS_OF_TWO = '"Bubble count","Voltage (a.u)"'  # of a pulse whose pressure is not in the file

# Pattern of each line of the header, and what it should be.
_HEADER = (
    (r'".*"\s*', "a quoted text that names the source"),
    (r'"Number of bubbles:",\s*(\d{1,9})\s*', '"Number of bubbles:",<number>'),
    (r'"Acoustic pressure \(kPa\):",\s*(\d{1,9}(?:\.\d*)?)\s*', '"Acoustic pressure (kPa):",<number>'),
    (rf"\s*{re.escape(COLUMNS)}\s*", COLUMNS),
)
_HEADER_OF_TWO = (*_HEADER[:2], (rf"\s*{re.escape(COLUMNS_OF_TWO)}\s*", COLUMNS_OF_TWO))

_NUMBER = re.compile(r"[ \t]*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[ \t]*")
_NO_NUMBER = re.compile(r"\s*[+-]?(nan|inf|infinity)\s*", re.IGNORECASE)

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RecordedLine:
    """One RF line as its file holds it.

    Attributes:
        voltage: received signal, (8446,) float32, a.u.
        counts: bubbles that arrive in each sample, (8446,) uint8.
        field_pa: largest pressure at the depth of each sample, (8446,) float32, or None where it is not known.
        pressure_pa: amplitude of the pulse; a text file has it in its header, to 10 Pa; NaN where it is not known.
        positions: continuous z [m], x [m] and radius [m; NaN if unknown] of the bubbles, (bubbles, 3), or None.
        echo_pa: pressure of the echoes at the element, (8446,) float32, or None; only .mat files have it.
        pulse_pa: pressure of the pulse at the array, (samples,) at 250 MHz, or None; only .mat files have it.
        rate_hz: sampling rate of the file; all arrays are at 62.5 MHz.
        stored: type of the integers in the file, int16; empty for floats.
        pulse: name of the driving pulse, or None where it is not known; only .mat files say anything of it.
    """

    voltage: npt.NDArray[np.float32]
    counts: npt.NDArray[np.uint8]
    field_pa: npt.NDArray[np.float32] | None
    pressure_pa: float
    positions: FloatArray | None = None
    echo_pa: npt.NDArray[np.float32] | None = None
    pulse_pa: FloatArray | None = None
    rate_hz: float = SAMPLE_RATE_HZ
    stored: str = ""
    pulse: str | None = DEFAULT_PULSE

    @property
    def bubbles(self) -> int:
        """Number of bubbles."""
        return int(self.counts.sum(dtype=np.int64))


def parse_text(content: bytes, name: str, rate_hz: float | None = None) -> RecordedLine:
    """A line from the published text format: 4 header lines, then `count,voltage,pressure` for 8446 samples.

    Its sibling of two columns, `count,voltage`, has 3 header lines and no pressure.

    Args:
        content: of the file, all of it.
        name: of the file, for messages.
        rate_hz: of the file, 62.5 MHz if left out; else it is resampled, labels go to the nearest sample.

    Raises:
        DataError: names file and line of the first thing that is wrong: a header, a row, the length, NaN.
    """
    bubbles, pressure_pa = parse_text_header(content, name)
    rate, header = rate_hz or SAMPLE_RATE_HZ, len(_header_of(content))
    table = _table(_rows(content, name, header, line_samples(rate)), name, header)
    counts = _counts(table[:, 0], name, header)
    if total := int(counts.sum(dtype=np.int64)) - bubbles:
        raise DataError(f"{name}, line 2: the header says {bubbles} bubbles, column 1 adds up to {bubbles + total}")
    voltage = at_native_rate(table[:, 1], rate)[:SAMPLES].astype(np.float32)
    field = field_at_native_rate(table[:, 2], rate).astype(np.float32) if table.shape[1] == 3 else None
    return RecordedLine(voltage, _moved(counts, rate, name), field, pressure_pa, rate_hz=rate)


def parse_text_header(content: bytes, name: str) -> tuple[int, float]:
    """Number of bubbles and amplitude of the pulse [Pa; NaN if it has none] from the header of a text file.

    Raises:
        DataError: names the line that is missing or not as published.
    """
    header = _header_of(content)
    if not content.strip():
        raise DataError(f"{name}, line 1: the file is empty, expected {len(header) + SAMPLES} lines")
    lines = [line.decode("ascii", "replace") for line in content.split(b"\n", len(header))]
    if len(lines) <= len(header):
        raise DataError(f"{name}, line {len(lines)}: the file ends within its header of {len(header)} lines")
    found: list[str] = []
    for number, (line, (pattern, wanted)) in enumerate(zip(lines, header, strict=False), 1):
        if (match := re.fullmatch(pattern, line)) is None:
            raise DataError(f"{name}, line {number}: expected {wanted}, got {_cut(line)}")
        found += match.groups()
    return int(found[0]), round(float(found[1]) * 1e3, 3) if len(found) > 1 else math.nan


def _header_of(content: bytes) -> tuple[tuple[str, str], ...]:
    """Patterns of the header that a file has: of two columns if its third line names them."""
    third = content.split(b"\n", 3)[2:3]
    two = bool(third) and third[0].strip() == COLUMNS_OF_TWO.encode()
    return _HEADER_OF_TWO if two else _HEADER


def _moved(counts: npt.NDArray[np.uint8], rate_hz: float, name: str) -> npt.NDArray[np.uint8]:
    """Labels of a line at 62.5 MHz: each at the nearest sample, those that meet there added up."""
    if is_native(rate_hz):
        return counts
    samples = nearest_samples(np.repeat(np.arange(len(counts)), counts), rate_hz, SAMPLES)
    moved = np.bincount(samples, minlength=SAMPLES)
    if moved.max() > 255:
        raise DataError(f"{name}: {moved.max()} bubbles in one sample at 62.5 MHz, at most 255 can be stored")
    return moved.astype(np.uint8)


def write_text(path: Path, line: RecordedLine, source: str) -> None:
    """Write a line in the published text format.

    The format keeps ten decimals of the voltage, which gives float32 back bit for bit from 0.001 a.u. up, and whole
    Pa; a line that came from text comes back as it was. A line of unknown pressure gets two columns.

    Args:
        path: where to.
        line: with its pressure field.
        source: named in the first header line.

    Raises:
        DataError: no pressure field, but a known pressure.
        OSError: the file cannot be written.
    """
    bubbles = f'"Number of bubbles:",{line.bubbles}'
    first = f'"Generated with {source.replace(chr(34), "")}"'
    pairs = zip(line.counts.tolist(), line.voltage.tolist(), strict=True)
    if math.isnan(line.pressure_pa):
        two = [first, bubbles, COLUMNS_OF_TWO, *(f"{count},{voltage:.10f}" for count, voltage in pairs), ""]
        path.write_text("\n".join(two), encoding="ascii", errors="replace", newline="\n")
        return
    if line.field_pa is None:
        raise DataError(f"{path.name}: the text format needs the pressure field, this line has none")
    header = [
        first,
        bubbles,
        f'"Acoustic pressure (kPa):",{line.pressure_pa / 1e3:.2f}',
        COLUMNS,
    ]
    rows = (f"{c},{v:.10f},{field:.0f}" for (c, v), field in zip(pairs, line.field_pa.tolist(), strict=True))
    path.write_text("\n".join([*header, *rows, ""]), encoding="ascii", errors="replace", newline="\n")


def _rows(content: bytes, name: str, header: int, samples: int) -> list[str]:
    """The rows after the header, exactly as many as a line has samples."""
    expected = header + samples
    lines = content.decode("ascii", "replace").replace("\r\n", "\n").split("\n")
    complete = len(lines) - 1  # what follows the last line end is not a line
    if complete > expected or (complete == expected and lines[-1]):
        raise DataError(f"{name}, line {expected + 1}: the file goes on, expected {expected} lines")
    if complete < expected:
        # A row without its line end may have lost digits, also where it is the last one.
        raise DataError(
            f"{name}, line {len(lines) if lines[-1] else complete}: the file is cut here, expected {expected} "
            f"complete lines, got {complete}"
        )
    return lines[header:expected]


def _table(rows: list[str], name: str, header: int) -> FloatArray:
    """Numbers of the rows, (samples, 3), or 2 columns after a header of 3 lines, all finite."""
    columns = 3 if header == len(_HEADER) else 2
    try:
        with warnings.catch_warnings():  # numpy warns where all rows are blank
            warnings.simplefilter("ignore")
            table = np.loadtxt(rows, delimiter=",", comments=None, ndmin=2)
    except ValueError:
        table = np.empty((0, 0))
    if table.shape == (len(rows), columns) and (np.abs(table) < LARGEST).all():  # false for NaN, too
        return table
    for number, row in enumerate(rows, header + 1):
        if problem := _problem(row, columns):
            raise DataError(f"{name}, line {number}: {problem}")
    raise DataError(f"{name}: its rows cannot be read as numbers")


def _problem(row: str, columns: int) -> str:
    """What is wrong with a row, or the empty string."""
    cells = row.split(",")
    if len(cells) != columns:
        return f"expected {','.join(('count', 'voltage', 'pressure')[:columns])}, got {_cut(row)}"
    for cell in cells:
        if _NO_NUMBER.fullmatch(cell):
            return f"expected finite numbers, got {_cut(row)}"
        if not _NUMBER.fullmatch(cell):
            return f"{_cut(cell)} is not a number"
        if not abs(float(cell)) < LARGEST:
            return f"{_cut(cell)} is too large"
    return ""


def _counts(column: FloatArray, name: str, header: int) -> npt.NDArray[np.uint8]:
    """Labels: integers from 0 to 255."""
    wrong = np.flatnonzero((column < 0) | (column > 255) | (column != np.floor(column)))
    if len(wrong):
        row = wrong[0]
        raise DataError(f"{name}, line {row + header + 1}: expected a bubble count of 0 to 255, got {column[row]:g}")
    return column.astype(np.uint8)


def _cut(text: str) -> str:
    """Text in quotes, short enough for a message of one line."""
    return repr(text if len(text) <= 40 else text[:37] + "...")
