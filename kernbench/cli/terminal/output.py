"""Standard output and error that never fail the work they report on.

What a terminal cannot encode is replaced. A pipe, a terminal or a disk that takes no more swallows the rest: what was
lost is known at the end. So nothing that prints raises in the middle of a cell, be it kernbench, a library or a plugin.
"""

import codecs
import io
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

ERRORS = "kernbench"  # how letters that cannot be encoded are replaced
ASCII = "kernbench_ascii"  # ASCII by a name that click does not take for a mistake and replace by UTF-8
SIGNS = {"…": "~", "µ": "u", "–": "-", "—": "-", "−": "-", "×": "x", "·": ".", "≤": "<", "≥": ">", "→": ">"}


@contextmanager
def steady_output() -> Iterator[Callable[[], Exception | None]]:
    """Put streams that never fail in the place of standard output and error.

    Yields:
        What standard output failed with first, None while all was written.
    """
    _open_descriptors()
    before = sys.stdout, sys.stderr
    rows = _Steady(before[0]), _Steady(before[1])
    sys.stdout, sys.stderr = ours = tuple(map(_text, rows))
    try:
        yield lambda: rows[0].failed
    finally:
        for each in ours:
            each.flush()
        sys.stdout, sys.stderr = before


class _Steady(io.RawIOBase):
    """Takes all that is written and passes on what it can.

    Attributes:
        failed: the first error.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream = stream
        self.failed: Exception | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.stream.fileno()

    def isatty(self) -> bool:
        with suppress(OSError, ValueError):
            return self.stream.isatty()
        return False

    def write(self, content: Any) -> int:  # Any: whatever holds bytes
        whole = bytes(content)
        try:
            self._pass_on(whole)
        except (OSError, ValueError) as error:  # ValueError: the stream was closed
            self.failed = self.failed or error
        return len(whole)

    def _pass_on(self, content: bytes) -> None:
        try:
            descriptor = self.stream.fileno()
        except (OSError, ValueError):  # no file, as in a test
            self.stream.buffer.write(content)
            self.stream.flush()
            return
        self.stream.flush()
        while content:  # not through the stream, which keeps what it could not write and fails again when it is closed
            try:
                content = content[os.write(descriptor, content) :]
            except BlockingIOError:
                select.select([], [descriptor], [])


def _text(row: _Steady) -> TextIO:
    if not hasattr(row.stream, "buffer"):  # text kept in memory: it takes everything
        return row.stream
    encoding = getattr(row.stream, "encoding", None) or "utf-8"
    if codecs.lookup(encoding).name == "ascii":
        encoding = ASCII
    return io.TextIOWrapper(io.BufferedWriter(row), encoding, ERRORS, line_buffering=True)


def _open_descriptors() -> None:
    """Give the null device to standard streams that are closed, before a database is opened in the place of one."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, this one
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115  # as long as the process


def _replaced(error: UnicodeError) -> tuple[str | bytes, int]:
    """One sign for one letter, so that tables stay straight; a byte of a file's name is itself."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letter = error.object[error.start]
    if "\udc80" <= letter <= "\udcff":
        return bytes([ord(letter) - 0xDC00]), error.start + 1
    return SIGNS.get(letter, "?"), error.start + 1


def _codec(name: str) -> codecs.CodecInfo | None:
    if name != ASCII:
        return None
    usual = codecs.lookup("ascii")
    return codecs.CodecInfo(
        usual.encode,
        usual.decode,
        usual.streamreader,
        usual.streamwriter,
        usual.incrementalencoder,
        usual.incrementaldecoder,
        name=ASCII,
    )


codecs.register_error(ERRORS, _replaced)
codecs.register(_codec)
