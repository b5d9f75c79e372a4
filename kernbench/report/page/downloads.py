"""What the page holds of the tables beside it, so that it can be mailed alone."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MOST_BYTES = 150_000  # of a table in the page; larger ones lie beside it
TOGETHER_BYTES = 900_000


@dataclass(frozen=True)
class Download:
    """A table.

    Attributes:
        name: of its file.
        size: for a reader.
        data: `data:` address of its content; empty where it is too large for the page.
    """

    name: str
    size: str
    data: str


def downloads(tables: Sequence[Path]) -> list[Download]:
    """Tables as downloads, the small ones within the page."""
    found, used = [], 0
    for table in tables:
        size = table.stat().st_size
        inside = size <= MOST_BYTES and used + size <= TOGETHER_BYTES
        used += size if inside else 0
        found.append(Download(table.name, _size(size), _data(table) if inside else ""))
    return found


def script_hash(script: str) -> str:
    """What the page's policy allows to run: this very text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def _data(table: Path) -> str:
    return "data:text/csv;charset=utf-8;base64," + base64.b64encode(table.read_bytes()).decode("ascii")


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{max(1, round(size / 1e3))} kB"
