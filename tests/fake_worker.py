"""A worker process whose cells are not trained: `python fake_worker.py URL STUDY.toml LOG DEEDS [LIMIT MARGIN]`.

It appends "cell" to LOG for each execution. DEEDS is JSON, kernel size -> what its cell does instead of ending well:
segv, exit, hang (deaf), hold (deaf, and the interpreter is never let go), slow (until it is told to leave), first-segv.
"""

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import fakes

from kernbench.engine.children import Crew
from kernbench.engine.joining import Joined, Terms, serve
from kernbench.engine.limits import Limit
from kernbench.engine.runner import Options, run
from kernbench.training import Interrupted


def crew(world, count, deeds=None, limit=None):
    """Worker processes for a study of `world`, which must have been made."""
    words = [sys.executable, __file__, world.url, str(world.folder / "mine.toml"), str(world.folder / "executed")]
    words.append(json.dumps({str(size): deed for size, deed in (deeds or {}).items()}))
    if limit is not None:
        words += [str(limit.seconds), str(limit.margin)]
    return Crew(count, lambda _place: words)


def coordinate(world, study, count=2, deeds=None, limit=None, command=None, prepare=lambda: None, **options):
    """Run a study with worker processes."""
    settings = Options(world.url, limit=limit, **options)
    chosen = crew(world, count, deeds, limit) if command is None else Crew(count, lambda _place: command)

    def compute(_context):
        raise AssertionError("a cell was run by the coordinator")

    return run(study, world.found, settings, compute, prepare, world.observer, crew=chosen)


def executed(world):
    """Cells in the order in which they were begun."""
    log = world.folder / "executed"
    return log.read_text().split() if log.exists() else []


def _compute(log, deeds):
    def compute(context):
        fakes._log(log, context.cell)
        deed = deeds.get(str(context.params["kernel_size"]))
        if deed == "segv" or (deed == "first-segv" and Path(log).read_text().split().count(context.cell) == 1):
            os.kill(os.getpid(), signal.SIGSEGV)
        if deed == "exit":
            os._exit(7)
        while deed == "hang":
            time.sleep(0.05)
        if deed == "hold":
            re.match("(a+)+$", "a" * 60 + "b")
        while deed == "slow":
            time.sleep(0.02)
            if context.stop():
                raise Interrupted("asked to leave")
        time.sleep(0.05)
        return fakes.outcome()

    return compute


def main(url, toml, log, deeds, *limit):
    """Serve the study until nothing waits, as `kernbench worker --coordinated` does."""
    world = fakes.World(Path(toml).parent)
    study = fakes.load_study(toml, world.found.family, "quick")
    joined = Joined(study, world.found, list(study.cells()), lambda: None)
    bound = Limit(float(limit[0]), float(limit[1])) if limit else None
    sys.exit(
        serve([joined], Terms(url, limit=bound, coordinated=True), _compute(log, json.loads(deeds)), fakes.Notes())
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
