"""A small disk of a test's own, to be filled."""

import contextlib
import os
import subprocess

import pytest


@contextlib.contextmanager
def small_disk(place, kilobytes):
    """Mount a disk of this size on a new folder; skip where that is not allowed."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "kernbench-test", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True, timeout=150)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"no small disk can be made here: {error}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True, timeout=150)


def fill(place, kilobytes=0):
    """Take all the room of a disk but so many kilobytes."""
    free = os.statvfs(place)
    with (place / "ballast").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - 1024 * kilobytes)
