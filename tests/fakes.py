"""Cells without training: a study from text, outcomes from numbers, and what works on it in processes of its own."""

import collections
import contextlib
import os
import shutil
import sqlite3
import subprocess
import time
from pathlib import Path
from unittest import mock

import numpy as np
import optuna
from forked import Forked, call_main
from sqlalchemy import MetaData, create_engine

from kernbench.engine.fleet.runner import Options, run
from kernbench.engine.work.storing import Job, StopFlag
from kernbench.engine.work.worker import RefusingSampler, work
from kernbench.registry import find
from kernbench.store.database.opening import open_storage, read_storage
from kernbench.store.files.artifact_entries import analysis_file
from kernbench.store.tables.result_tables import create_tables
from kernbench.study.cell import LineCounts, Observer, Outcome, SplitFacts
from kernbench.study.reading import load_study

TOLERANCES, LINES = 10, 3
DATA = "feedfeedfeed"
TEXT = "version = 1\nseeds = {seeds}\n[axes]\nkernel_size = {sizes}\n{more}\n"


# The cells of the study that `World.study` makes.
NINE, THIRTY_THREE = "kernel_size=9,seed=0", "kernel_size=33,seed=0"

# A study for the command line; the lines of its training follow. Its data are those of the smoke study.
SMALL = """
version = 1
[axes]
kernel_size = [9, 33]
[network]
channels = 4
depth = 2
[data]
train = 8
validation = 4
test = 6
window = 512
[training]
"""


class Silent(Observer):
    """An observer that shows nothing."""


class Notes(Silent):
    """An observer that remembers."""

    def __init__(self):
        self.started, self.finished, self.notes, self.told, self.crew = [], [], [], [], []

    def cell_started(self, cell, position, total):
        self.started.append((cell, position, total))

    def cell_finished(self, cell, status, summary):
        self.finished.append((cell, status, summary))

    def cell_told(self, state, position, total, worker):
        self.told.append((state.cell, position, total, worker))

    def crew_told(self, running, left):
        self.crew.append((dict(running), left))

    def note(self, text):
        self.notes.append(text)


# What draws for cells and reports, and what it gives where there is nothing to draw.
DRAWING = {
    "kernbench.ulm.cells.artifacts._pictures": [],
    "kernbench.report.page.html.study_pictures": {},
    "kernbench.report.page.html.kernel_pictures": [],
    "kernbench.report.page.html.example_picture": None,
}


@contextlib.contextmanager
def no_pictures():
    """Cells and reports draw nothing, which is most of their time; pictures have tests of their own."""
    with contextlib.ExitStack() as stack:
        for name, nothing in DRAWING.items():
            stack.enter_context(mock.patch(name, return_value=nothing))
        yield


def main_without_pictures(*words):
    """`kernbench WORDS` in a process of its own."""
    with no_pictures():
        call_main(*words)


def counts(seed=0):
    """Counts of a split that depend on the seed."""
    tp, fn, fp = np.random.default_rng(seed).integers(0, 9, (3, TOLERANCES, LINES))
    return LineCounts(np.linspace(0.1, 0.9, TOLERANCES), tp, fn, fp)


def facts():
    """Lines and floors of a split."""
    return SplitFacts(
        lines={"bubbles": [10, 20, 30], "pressure_pa": [5e3, 1e5, 2.5e5]},
        floors={"comb": [t / 20 for t in range(TOLERANCES)], "random": [t / 40 for t in range(TOLERANCES)]},
    )


def outcome(value=0.5, seed=0, artifacts=()):
    """A finished cell."""
    return Outcome(
        status="ok",
        value=value,
        data_digest=DATA,
        scores={"validation": counts(seed), "test": counts(seed + 1)},
        facts={"validation": facts(), "test": facts()},
        seeds={"order": 7},
        values={"n_params": 11},
        epochs=3,
        attributes={"f1_val": value, "nothing": None},
        summary=f"F1 {value}",
        artifacts=artifacts,
    )


def diverged():
    """A cell that met NaN."""
    return Outcome(status="diverged", value=-np.inf, data_digest=DATA, message="loss became nan")


def raises(error):
    """A compute that raises for kernel size 9 only."""

    def compute(context):
        if context.params["kernel_size"] == 9:
            raise error
        return outcome()

    return compute


class World:
    """A database in a folder or on a server, and studies that run on it with a given compute."""

    def __init__(self, folder, empty=None, url=None):
        self.folder = folder
        self._empty = empty  # a database with tables only: making them takes longer than a cell
        self.database = folder / "kernbench.db"
        self.url = url or f"sqlite:///{self.database}"
        self.found = find("discrete")
        self.observer = Notes()
        self.executed = []
        self._opened = []

    def study(self, sizes=(9, 33), seeds=1, more="", profile="quick"):
        """A study with these kernel sizes."""
        path = self.folder / "mine.toml"
        path.write_text(TEXT.format(sizes=list(sizes), seeds=seeds, more=more), encoding="utf-8")
        return load_study(str(path), self.found.family, profile)

    def run(self, study=None, compute=None, **options):
        """Run missing cells; each execution is noted in `executed`."""

        def noted(context):
            self.executed.append(context.cell)
            return (compute or (lambda _context: outcome()))(context)

        if self._empty is not None and not self.database.exists():
            shutil.copy(self._empty, self.database)
        settings = Options(self.url, **options)
        return run(study or self.study(), self.found, settings, noted, lambda: None, self.observer)

    def storage(self, **timing):
        """The open storage."""
        self._opened.append(open_storage(self.url, **timing))
        return self._opened[-1]

    def content(self):
        """Every row of every table, and the file where there is one, to see that nothing changed."""
        engine = create_engine(self.url)
        tables = MetaData()
        with engine.connect() as connection:
            tables.reflect(connection)
            found = {name: connection.execute(table.select()) for name, table in tables.tables.items()}
            rows = {
                name: sorted(repr(sorted(row.items())) for row in result.mappings()) for name, result in found.items()
            }
        engine.dispose()
        return rows, self.database.read_bytes() if self.database.exists() else b""

    def close(self):
        """Close what was opened to look at."""
        for opened in self._opened:
            opened.remove_session()
            opened.engine.dispose()

    def optuna_study(self, study=None, storage=None):
        """The Optuna study, to look at or to meddle with."""
        name = (study or self.study()).key
        return optuna.load_study(study_name=name, storage=storage or self.storage(), sampler=RefusingSampler())

    def trials(self, *states):
        """All trials, or those of these states; looking takes no lock, however often."""
        reader = read_storage(self.url)
        trials = self.optuna_study(storage=reader).get_trials(deepcopy=False)
        reader.remove_session()
        return [trial for trial in trials if not states or trial.state in states]

    def states(self, result):
        """Cell -> state of a result."""
        return {state.cell: state.state for state in result.states}

    def job(self, study, storage, compute, stop=None):
        """What a worker needs."""
        return Job(
            study=study,
            found=self.found,
            storage=storage,
            artifacts=self.folder / "kernbench.artifacts",
            checkpoints=self.folder / "kernbench.checkpoints",
            device="cpu",
            compute=compute,
            observer=self.observer,
            stop=stop or StopFlag(),
            total=len(study.cells()),
            cells=study.cells(),
        )


def stored_scores(database):
    """Everything in a SQLite file that is a result: counts of all lines, and what the trials were told."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT * FROM kernbench_score ORDER BY 1, 2, 3, 4, 5").fetchall()
        told = connection.execute(
            "SELECT value FROM trial_values JOIN trials USING (trial_id) WHERE state = 'COMPLETE' ORDER BY value"
        ).fetchall()
    return rows, told


def _log(path, word):
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{word}\n".encode())
    os.close(descriptor)


def main(url, tomls, log, kind):
    """Work on the queues of the studies, one after the other, until each is empty; begins when LOG.go exists.

    It appends "cell" to LOG for each execution. KIND is "steady" or "plain" (Optuna's own storage, to see that ours is
    needed).
    """
    paths = tomls.split(os.pathsep)
    world = World(Path(paths[0]).parent)
    studies = [load_study(path, world.found.family, "quick") for path in paths]
    if kind == "steady":
        storage = open_storage(url)
    else:
        storage = optuna.storages.RDBStorage(
            url, engine_kwargs={"connect_args": {"timeout": 60}}, skip_table_creation=True, heartbeat_interval=60
        )

    def compute(context):
        _log(log, context.cell)
        time.sleep(0.05)  # the cell's work
        return outcome()

    _log(f"{log}.ready", os.getpid())
    while not Path(f"{log}.go").exists():
        time.sleep(0.01)
    for study in studies:
        work(world.optuna_study(study, storage), world.job(study, storage, compute))


def _run_when_told(folder, url):
    world = World(Path(folder), url=url)
    study = load_study(str(world.folder / "mine.toml"), world.found.family, "quick")
    (world.folder / f"ready{os.getpid()}").touch()
    while not (world.folder / "go").exists():
        time.sleep(0.01)

    def compute(context):
        _log(world.folder / "executed", context.cell)
        time.sleep(0.05)
        return outcome()

    world.run(study, compute)


def run_at_once(world, count):
    """Let so many processes run the study of `world` from the same moment; how often each cell was begun."""
    processes = [Forked(_run_when_told, [world.folder, world.url], stderr=subprocess.PIPE) for _ in range(count)]
    while len(list(world.folder.glob("ready*"))) < count and all(each.poll() is None for each in processes):
        time.sleep(0.05)
    (world.folder / "go").touch()
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * count, errors
    return collections.Counter((world.folder / "executed").read_text().split())


def prepared_rounds(world, sizes, rounds):
    """Files and studies with full queues, that differ in their version only."""
    found = []
    for number in range(1, rounds + 1):
        folder = world.folder / f"round{number}"
        folder.mkdir()
        path = folder / "mine.toml"
        path.write_text(TEXT.format(sizes=list(sizes), seeds=1, more="").replace("version = 1", f"version = {number}"))
        found.append((path, load_study(str(path), world.found.family, "quick")))
        world.run(found[-1][1], queue_only=True)
    return found


def prepared(world, sizes, kind="steady"):
    """A study with a full queue, made by one process as the rules ask."""
    study = world.study(sizes)
    world.run(study, queue_only=True)
    assert kind in ("steady", "plain")
    create_tables(world.storage().engine)
    (world.folder / "kernbench.artifacts").mkdir(exist_ok=True)
    return study


def analysed(artifacts, *studies):
    """Leave a table of an analysis of each study among the artifacts."""
    for study in studies:
        path = analysis_file(artifacts, study, "spectrum")
        path.parent.mkdir(exist_ok=True)
        path.write_text("study,cell\n")
