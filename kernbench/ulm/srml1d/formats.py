"""Line files of SRML-1D by their suffix: text or MATLAB, in and out.

Source: Blanken et al. (2022), IEEE Trans. Med. Imaging 41(9), and its code SRML-1D, under the MIT licence.
"""

from pathlib import Path

from kernbench.errors import DataError, close_match
from kernbench.ulm.srml1d.mat import parse_mat, write_mat
from kernbench.ulm.srml1d.text import RecordedLine, parse_text, write_text

__all__ = ["LINE_FORMATS", "RecordedLine", "parse_line", "read_bytes", "write_line"]

LINE_FORMATS = {"text": ".txt", "mat": ".mat"}


def parse_line(content: bytes, name: str, rate_hz: float | None = None, channel: int | None = None) -> RecordedLine:
    """A line from the content of a file.

    Args:
        content: of the file, all of it.
        name: of the file, whose suffix is the format.
        rate_hz: sampling rate, see `parse_text` and `parse_mat`.
        channel: from 1, of a MATLAB file with several.

    Raises:
        DataError: another suffix, or a malformed file.
    """
    suffix = Path(name).suffix.lower()
    if suffix == LINE_FORMATS["mat"]:
        return parse_mat(content, name, rate_hz, channel)
    if suffix != LINE_FORMATS["text"]:
        raise DataError(f"{name}: expected a file .txt or .mat{close_match(suffix, LINE_FORMATS.values())}")
    if channel not in (None, 1):
        raise DataError(f"{name}: a text file has one line, got channel {channel}")
    return parse_text(content, name, rate_hz)


def write_line(path: Path, line: RecordedLine, source: str) -> None:
    """Write a line file, text or MATLAB by its suffix; see `write_text` and `write_mat`.

    Raises:
        DataError: the file cannot be written, or a text file lacks its pressure field.
    """
    write = write_mat if path.suffix.lower() == ".mat" else write_text
    try:
        write(path, line, source)
    except OSError as error:
        raise DataError(f"line file {path} cannot be written: {error.strerror}") from error


def read_bytes(path: Path) -> bytes:
    """Content of a line file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"line file {path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # a name from a manifest with a null byte or half a character in it
        raise DataError(f"line file {str(path)!r} cannot be read: no file has such a name") from error
