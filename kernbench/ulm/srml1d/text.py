"""One RF line as its file holds it, and the text format of SRML-1D: labels, voltage, pressure field.

Source: Blanken et al. (2022), IEEE Trans. Med. Imaging 41(9), and its code SRML-1D.
"""

import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kernbench.errors import DataError
from kernbench.ulm.line import SAMPLES
from kernbench.ulm.srml1d.structs import LARGEST

HEADER_LINES = 4
TEXT_LINES = HEADER_LINES + SAMPLES
COLUMNS = '"Bubble count","Voltage (a.u)","Pressure field (Pa)"'

# Pattern of each line of the header, and what it should be.
_HEADER = (
    (r'".*"\s*', "a quoted text that names the source"),
    (r'"Number of bubbles:",\s*(\d{1,9})\s*', '"Number of bubbles:",<number>'),
    (r'"Acoustic pressure \(kPa\):",\s*(\d{1,9}(?:\.\d*)?)\s*', '"Acoustic pressure (kPa):",<number>'),
    (rf"\s*{re.escape(COLUMNS)}\s*", COLUMNS),
)

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
        pressure_pa: amplitude of the pulse; a text file has it in its header, to 10 Pa.
        positions: continuous z [m], x [m] and radius [m; NaN if unknown] of the bubbles, (bubbles, 3), or None.
        echo_pa: pressure of the echoes at the element, (8446,) float32, or None; only .mat files have it.
        pulse_pa: pressure of the pulse at the array, (1424,) at 250 MHz, or None; only .mat files have it.
    """

    voltage: npt.NDArray[np.float32]
    counts: npt.NDArray[np.uint8]
    field_pa: npt.NDArray[np.float32] | None
    pressure_pa: float
    positions: FloatArray | None = None
    echo_pa: npt.NDArray[np.float32] | None = None
    pulse_pa: FloatArray | None = None

    @property
    def bubbles(self) -> int:
        """Number of bubbles."""
        return int(self.counts.sum(dtype=np.int64))


def parse_text(content: bytes, name: str) -> RecordedLine:
    """A line from the published text format: 4 header lines, then `count,voltage,pressure` for 8446 samples.

    Args:
        content: of the file, all of it.
        name: of the file, for messages.

    Raises:
        DataError: names file and line of the first thing that is wrong: a header, a row, the length, NaN.
    """
    bubbles, pressure_pa = parse_text_header(content, name)
    table = _table(_rows(content, name), name)
    counts, voltage, field = _counts(table[:, 0], name), table[:, 1].astype(np.float32), table[:, 2].astype(np.float32)
    if total := int(counts.sum(dtype=np.int64)) - bubbles:
        raise DataError(f"{name}, line 2: the header says {bubbles} bubbles, column 1 adds up to {bubbles + total}")
    return RecordedLine(voltage, counts, field, pressure_pa)


def parse_text_header(content: bytes, name: str) -> tuple[int, float]:
    """Number of bubbles and amplitude of the pulse [Pa] from the header of a text file.

    Raises:
        DataError: names the line that is missing or not as published.
    """
    if not content.strip():
        raise DataError(f"{name}, line 1: the file is empty, expected {TEXT_LINES} lines")
    lines = [line.decode("ascii", "replace") for line in content.split(b"\n", HEADER_LINES)]
    if len(lines) <= HEADER_LINES:
        raise DataError(f"{name}, line {len(lines)}: the file ends within its header of {HEADER_LINES} lines")
    found: list[str] = []
    for number, (line, (pattern, wanted)) in enumerate(zip(lines, _HEADER, strict=False), 1):
        if (match := re.fullmatch(pattern, line)) is None:
            raise DataError(f"{name}, line {number}: expected {wanted}, got {_cut(line)}")
        found += match.groups()
    bubbles, kilopascal = found
    return int(bubbles), round(float(kilopascal) * 1e3, 3)


def write_text(path: Path, line: RecordedLine, source: str) -> None:
    """Write a line in the published text format.

    The format keeps ten decimals of the voltage, which gives float32 back bit for bit from 0.001 a.u. up, and whole
    Pa; a line that came from text comes back as it was.

    Args:
        path: where to.
        line: with its pressure field.
        source: named in the first header line.

    Raises:
        DataError: no pressure field.
        OSError: the file cannot be written.
    """
    if line.field_pa is None:
        raise DataError(f"{path.name}: the text format needs the pressure field, this line has none")
    header = [
        f'"Generated with {source.replace(chr(34), "")}"',
        f'"Number of bubbles:",{line.bubbles}',
        f'"Acoustic pressure (kPa):",{line.pressure_pa / 1e3:.2f}',
        COLUMNS,
    ]
    columns = zip(line.counts.tolist(), line.voltage.tolist(), line.field_pa.tolist(), strict=True)
    rows = (f"{count},{voltage:.10f},{field:.0f}" for count, voltage, field in columns)
    path.write_text("\n".join([*header, *rows, ""]), encoding="ascii", errors="replace", newline="\n")


def _rows(content: bytes, name: str) -> list[str]:
    """The rows after the header, exactly 8446 of them."""
    lines = content.decode("ascii", "replace").replace("\r\n", "\n").split("\n")
    complete = len(lines) - 1  # what follows the last line end is not a line
    if complete > TEXT_LINES or (complete == TEXT_LINES and lines[-1]):
        raise DataError(f"{name}, line {TEXT_LINES + 1}: the file goes on, expected {TEXT_LINES} lines")
    if complete < TEXT_LINES:
        # A row without its line end may have lost digits, also where it is the last one.
        raise DataError(
            f"{name}, line {len(lines) if lines[-1] else complete}: the file is cut here, expected {TEXT_LINES} "
            f"complete lines, got {complete}"
        )
    return lines[HEADER_LINES:TEXT_LINES]


def _table(rows: list[str], name: str) -> FloatArray:
    """Numbers of the rows, (8446, 3), all finite."""
    try:
        with warnings.catch_warnings():  # numpy warns where all rows are blank
            warnings.simplefilter("ignore")
            table = np.loadtxt(rows, delimiter=",", comments=None, ndmin=2)
    except ValueError:
        table = np.empty((0, 0))
    if table.shape == (SAMPLES, 3) and (np.abs(table) < LARGEST).all():  # false for NaN, too
        return table
    for number, row in enumerate(rows, HEADER_LINES + 1):
        if problem := _problem(row):
            raise DataError(f"{name}, line {number}: {problem}")
    raise DataError(f"{name}: its rows cannot be read as numbers")


def _problem(row: str) -> str:
    """What is wrong with a row, or the empty string."""
    cells = row.split(",")
    if len(cells) != 3:
        return f"expected count,voltage,pressure, got {_cut(row)}"
    for cell in cells:
        if _NO_NUMBER.fullmatch(cell):
            return f"expected finite numbers, got {_cut(row)}"
        if not _NUMBER.fullmatch(cell):
            return f"{_cut(cell)} is not a number"
        if not abs(float(cell)) < LARGEST:
            return f"{_cut(cell)} is too large"
    return ""


def _counts(column: FloatArray, name: str) -> npt.NDArray[np.uint8]:
    """Labels: integers from 0 to 255."""
    wrong = np.flatnonzero((column < 0) | (column > 255) | (column != np.floor(column)))
    if len(wrong):
        row = wrong[0]
        raise DataError(
            f"{name}, line {row + HEADER_LINES + 1}: expected a bubble count of 0 to 255, got {column[row]:g}"
        )
    return column.astype(np.uint8)


def _cut(text: str) -> str:
    """Text in quotes, short enough for a message of one line."""
    return repr(text if len(text) <= 40 else text[:37] + "...")
