"""Whether a folder takes what is written into it, and how much more."""

import os
import shutil
import tempfile
from pathlib import Path

from kernbench.doctor.finding import Finding
from kernbench.engine.fleet.disk import size_text
from kernbench.host.cache_folder import nearest

PROBE = 2**20  # bytes that are written and removed again: quotas show only then
LEAST = 100_000_000  # a report and a small study
AMPLE = 2_000_000_000


def room(check: str, folder: Path, advice: str) -> Finding:
    """A finding about the room in a folder, or where it will be made.

    Args:
        check: name of the finding.
        folder: need not exist.
        advice: how to take another folder.
    """
    place = nearest(folder)
    advice = f"free some space, or {advice}"
    try:
        free = shutil.disk_usage(place).free
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(bytes(PROBE))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return Finding(check, "fail", f"{folder}: {size_text(PROBE)} cannot be written: {error.strerror}", advice)
    found = f"{size_text(free)} free for {folder}"
    if free < LEAST:
        return Finding(check, "fail", f"{found}, less than {size_text(LEAST)}", advice)
    return Finding(check, "ok" if free >= AMPLE else "note", found, "" if free >= AMPLE else advice)
