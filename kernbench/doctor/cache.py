"""The cache folder of simulated data and fitted constants."""

from collections.abc import Iterator

from kernbench.doctor.finding import Asked, Checks, Finding
from kernbench.doctor.room import room
from kernbench.errors import DataError
from kernbench.host.cache_folder import cache_folder, check_writable

ADVICE = "set KERNBENCH_CACHE to a folder that can be written"


def checks(_asked: Asked) -> Checks:
    """The folder and its room."""
    return {"cache": _cache}


def _cache() -> Iterator[Finding]:
    try:
        folder = cache_folder()
        check_writable(folder, DataError, ADVICE)
    except DataError as error:
        yield Finding("cache", "fail", str(error).partition(";")[0], ADVICE)
        yield Finding("cache room", "skip", "the folder cannot be used")
        return
    yield Finding("cache", "ok", f"{folder} {'can be written' if folder.is_dir() else 'can be made'}")
    yield room("cache room", folder, "set KERNBENCH_CACHE to a folder on another disk")
