"""A worker process whose cells are not trained: `python fake_worker.py URL STUDY.toml LOG DEEDS [LIMIT MARGIN]`.

It appends "cell" to LOG for each execution. DEEDS is JSON, kernel size -> what its cell does instead of ending well:
segv, exit, interrupt, hang (deaf), hold (deaf, and the interpreter is never let go), slow (until it is told to leave),
first-segv, nap (half a second), report (thirty epochs, each told to the database), held (one such epoch, then until the
file `go` stands beside LOG). With `meet,` before it, a cell waits first until a second cell has begun, so that a worker
that starts late still finds one. In the environment FAKE_TIMES is JSON with other times than usual: outage, heartbeat,
grace, lock, progress; FAKE_ALONE means that no coordinator watches it.
"""

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import fakes
from forked import as_children

from kernbench.engine.fleet.children import Crew
from kernbench.engine.fleet.joining import Joined, WorkerTerms, serve
from kernbench.engine.fleet.runner import Options, run
from kernbench.engine.work import reported
from kernbench.engine.work.time_limit import Limit
from kernbench.errors import KernbenchError
from kernbench.store.database import opening, outage
from kernbench.training.settings import Interrupted


def crew(world, count, deeds=None, limit=None, environment=None):
    """Worker processes for a study of `world`, which must have been made."""
    words = [sys.executable, __file__, world.url, str(world.folder / "mine.toml"), str(world.folder / "executed")]
    words.append(json.dumps({str(size): deed for size, deed in (deeds or {}).items()}))
    if limit is not None:
        words += [str(limit.seconds), str(limit.margin)]
    return Crew(count, lambda _place: words, environment or {})


def coordinate(
    world, study, count=2, deeds=None, limit=None, command=None, prepare=lambda: None, environment=None, **options
):
    """Run a study with worker processes."""
    settings = Options(world.url, limit=limit, **options)
    chosen = crew(world, count, deeds, limit, environment) if command is None else Crew(count, lambda _place: command)

    def compute(_context):
        raise AssertionError("a cell was run by the coordinator")

    with as_children(__file__, main):
        return run(study, world.found, settings, compute, prepare, world.observer, crew=chosen)


def executed(world):
    """Cells in the order in which they were begun."""
    log = world.folder / "executed"
    return log.read_text().split() if log.exists() else []


def _compute(log, deeds):
    def compute(context):
        fakes._log(log, context.cell)
        begun = Path(log)
        _, meet, deed = deeds.get(str(context.params["kernel_size"]), "").rpartition("meet,")
        while meet and len(begun.read_text().split()) < 2:
            time.sleep(0.05)
        if deed == "segv" or (deed == "first-segv" and begun.read_text().split().count(context.cell) == 1):
            os.kill(os.getpid(), signal.SIGSEGV)
        if deed == "exit":
            os._exit(7)
        if deed == "interrupt":
            raise KeyboardInterrupt
        while deed == "hang":
            time.sleep(0.05)
        if deed == "hold":
            re.match("(a+)+$", "a" * 60 + "b")
        while deed == "slow":
            time.sleep(0.02)
            if context.stop():
                raise Interrupted("asked to leave")
        for epoch in range({"report": 30, "held": 1}.get(deed, 0)):
            time.sleep(0.2)
            context.observer.epoch(epoch + 1, 30, 0.25, 0.1, 0.2 * (epoch + 1))
            context.report(epoch, 0.1)
            context.saved(epoch)
        while deed == "held" and not begun.with_name("go").exists():
            time.sleep(0.05)
        time.sleep(0.5 if deed == "nap" else 0.05)
        return fakes.outcome()

    return compute


class Said(fakes.Notes):
    """An observer whose notes stand in the log."""

    def note(self, text):
        """One line."""
        print(text, flush=True)


def main(url, toml, log, deeds, *limit):
    """Serve the study until nothing waits, as `kernbench worker --coordinated` does."""
    world = fakes.World(Path(toml).parent)
    study = fakes.load_study(toml, world.found.family, "quick")
    joined = Joined(study, world.found, list(study.cells()), lambda: None)
    bound = Limit(float(limit[0]), float(limit[1])) if limit else None
    times = json.loads(os.environ.get("FAKE_TIMES", "{}"))
    outage.OUTAGE_S = times.get("outage", outage.OUTAGE_S)
    opening.LOCK_TIMEOUT_S = times.get("lock", opening.LOCK_TIMEOUT_S)
    reported.BETWEEN_S = times.get("progress", reported.BETWEEN_S)
    beats = (times.get("heartbeat", 60), times.get("grace", 240))
    terms = WorkerTerms(url, "cpu", bound, *beats, coordinated="FAKE_ALONE" not in os.environ)
    try:
        sys.exit(serve([joined], terms, _compute(log, json.loads(deeds)), Said()))
    except KernbenchError as error:  # as the command line does
        print(f"kernbench: {error}", flush=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:  # the same
        sys.exit(130)


def coordinate_slow_cells(url, folder):
    """Two workers whose cells last until they are told to leave, and their coordinator, to be killed."""
    world = fakes.World(Path(folder), url=url)
    study = fakes.load_study(str(world.folder / "mine.toml"), world.found.family, "quick")
    coordinate(world, study, 2, {9: "slow", 33: "slow"})


if __name__ == "__main__":
    main(*sys.argv[1:])
