"""Where kernbench keeps what it can make again."""

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """Folder of simulated data and fitted constants: KERNBENCH_CACHE, or `kernbench` in the user's cache folder.

    It need not exist.
    """
    if chosen := os.environ.get("KERNBENCH_CACHE"):
        return Path(chosen).expanduser()
    # as platformdirs has it, but for a relative XDG_CACHE_HOME, which that ignores: caches lie there already
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "kernbench"
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "kernbench"
