"""The published world of SRML-1D: its line files, networks and thresholds, in and out.

Blanken et al. (2022), IEEE Trans. Med. Imaging 41(9); code and weights under the MIT licence. Sets of line files are in
`kernbench.ulm.data.imported`, the reproduction of the published scores in `kernbench.published`.
"""

from pathlib import Path

from kernbench.errors import DataError, close_match
from kernbench.ulm.srml1d.mat import parse_mat, write_mat
from kernbench.ulm.srml1d.networks import (
    THRESHOLDS_NAME,
    WEIGHTS_NAME,
    load_network,
    load_thresholds,
    save_network,
    save_thresholds,
    weights_path,
)
from kernbench.ulm.srml1d.text import RecordedLine, parse_text, write_text

__all__ = [
    "LINE_FORMATS",
    "THRESHOLDS_NAME",
    "WEIGHTS_NAME",
    "RecordedLine",
    "load_network",
    "load_thresholds",
    "parse_line",
    "save_network",
    "save_thresholds",
    "weights_path",
    "write_line",
]

LINE_FORMATS = {"text": ".txt", "mat": ".mat"}
_PARSERS = {".txt": parse_text, ".mat": parse_mat}


def parse_line(content: bytes, name: str) -> RecordedLine:
    """A line from the content of a file.

    Args:
        content: the whole file.
        name: of the file, whose suffix is the format.

    Raises:
        DataError: another suffix, or a malformed file.
    """
    suffix = Path(name).suffix.lower()
    if suffix not in _PARSERS:
        raise DataError(f"{name}: expected a file .txt or .mat{close_match(suffix, _PARSERS)}")
    return _PARSERS[suffix](content, name)


def write_line(path: Path, line: RecordedLine, source: str) -> None:
    """Write a line file, text or MATLAB by its suffix; see `write_text` and `write_mat`."""
    if path.suffix.lower() == ".mat":
        write_mat(path, line, source)
    else:
        write_text(path, line, source)


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
