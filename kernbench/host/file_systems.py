"""Which file system holds a folder, as Linux lists its mounts."""

import os
import re
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")


def file_system(folder: Path) -> str | None:
    """Type of the file system that holds the folder; None where it is not known (no Linux)."""
    try:
        lines = MOUNTS.read_bytes().splitlines()  # a mount point is any bytes, not text
    except OSError:
        return None
    place = folder.resolve()  # a link may lead to another file system
    holding = [
        (len(point), number, os.fsdecode(kind))
        for number, (_, point, kind, *_) in enumerate(line.split(b" ") for line in lines if line.count(b" ") > 1)
        if place.is_relative_to(os.fsdecode(_unescaped(point)))
    ]
    return max(holding)[2] if holding else None  # of two on one point, the later one hides the other


def _unescaped(point: bytes) -> bytes:
    r"""A mount point as it is: the list writes space, tab, newline, # and backslash in octal, `\040`."""
    return re.sub(rb"\\([0-3][0-7]{2})", lambda found: bytes([int(found[1], 8)]), point)
