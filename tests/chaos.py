"""Workers that are killed all the time, and what must be true in the end.

`python chaos.py KILLS [URL]` does it with 4 workers and 60 cells a round, and prints what happened. A cell is a
chain of hashes, a step every few hundredths of a second with a checkpoint at each: a resumed cell that lost or repeated
a step has another score.
"""

import argparse
import collections
import hashlib
import itertools
import os
import random
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import fakes
import torch
from forked import Forked, as_children
from optuna.trial import TrialState
from sqlalchemy import select
from sqlalchemy.orm import Session

from kernbench.engine.fleet import coordinator
from kernbench.engine.fleet.children import Crew
from kernbench.engine.fleet.joining import Joined, WorkerTerms, serve
from kernbench.engine.fleet.runner import Options, run
from kernbench.host.processes import process_start
from kernbench.store.tables import cell_states
from kernbench.store.tables.result_tables import RunRow, ScoreRow
from kernbench.training.settings import Interrupted

CELLS, WORKERS = 60, 4
PACE_S = (0.5, 2.0)
STEP_S = 0.05
PATIENCE = 10**9  # a worker may be killed before it has begun, and a cell more often than a plugin deserves


def steps(cell):
    """Steps of a cell: 0.5 to 2 s of work."""
    return 10 + hashlib.sha256(cell.encode()).digest()[0] % 31


def step(link, cell):
    """The next link of a cell's chain."""
    return hashlib.sha256(f"{link} {cell}".encode()).hexdigest()


def score(link):
    """A number between 0 and 1 from the last link."""
    return int(link[:12], 16) / 16**12


def expected(cell):
    """Score of a cell that was never interrupted."""
    link = ""
    for _ in range(steps(cell)):
        link = step(link, cell)
    return score(link)


def compute(context):
    """One cell; its checkpoint holds the link and the number of steps, its artifacts the link."""
    state = context.checkpoints.newest(context.study.digest)
    link, done = ("", 0) if state is None else (state["link"], state["epoch"])
    for number in range(done, steps(context.cell)):
        time.sleep(STEP_S)
        link = step(link, context.cell)
        content = {"epoch": number + 1, "link": link, "ballast": torch.zeros(9999)}
        context.checkpoints.save({"digest": context.study.digest} | content)
        context.saved(number + 1)
        if context.stop():
            raise Interrupted("asked to leave")
    files = [context.scratch / name for name in ("kernel.png", "curve.csv")]
    for file in files:
        file.write_text(link * 1000)
    return fakes.outcome(score(link), artifacts=files)


@dataclass(eq=False)
class Killer:
    """A thread that kills a random worker every now and then.

    Attributes:
        begun: the workers, dead ones among them.
        random: of victims and pauses.
        limit: kills in all.
        pace: seconds between two kills, shortest and longest.
        kills: (seconds since the start, process) of each.
    """

    begun: list[Forked]
    random: random.Random
    limit: int
    pace: tuple[float, float] = PACE_S
    kills: list[tuple[float, int]] = field(default_factory=list)

    def __enter__(self):
        self._over, self._begun = threading.Event(), time.monotonic()
        self._thread = threading.Thread(target=self._rage, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _rage(self):
        while len(self.kills) < self.limit and not self._over.wait(self.random.uniform(*self.pace)):
            if victims := [each.pid for each in self.begun if process_start(each.pid) is not None]:
                victim = self.random.choice(victims)
                os.kill(victim, signal.SIGKILL)
                self.kills.append((time.monotonic() - self._begun, victim))


def endure(world, kills, seed=0, pace=PACE_S, cells=CELLS, say=lambda _text: None):
    """Rounds of so many new cells with 4 workers until there were so many kills; checked after each round.

    Returns:
        The kills, and the attempts of every cell.
    """
    crew = Crew(WORKERS, lambda _place: [sys.executable, __file__, world.url, str(world.folder / "mine.toml")])
    rage, all_kills, sizes = random.Random(seed), [], []
    while not all_kills or len(all_kills) < kills:
        sizes += range(9 + 2 * len(sizes), 9 + 2 * (len(sizes) + cells), 2)
        study = world.study(sizes)
        options = Options(world.url, extend=True, heartbeat_s=1, grace_s=6)
        with as_children(__file__, serve_chain) as begun, Killer(begun, rage, kills - len(all_kills), pace) as killer:
            result = run(study, world.found, options, compute, lambda: None, world.observer, crew=crew)
        all_kills += killer.kills
        assert result.exit_code == 0, result
        attempts = verify(world, study)
        tried = sum(attempts.values())
        say(f"{len(sizes)} cells complete, once each, after {len(all_kills)} kills and {tried} attempts")
    return all_kills, attempts


def verify(world, study):
    """Every cell complete once with the score of an uninterrupted one; tables, files and trials agree.

    Returns:
        Attempts of each cell.
    """
    trials = world.optuna_study(study).get_trials(deepcopy=False)
    cells = set(study.cells())
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    assert collections.Counter(trial.user_attrs["cell"] for trial in complete) == dict.fromkeys(cells, 1)
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED}
    for trial in complete:
        assert trial.value == expected(trial.user_attrs["cell"]), trial.user_attrs["cell"]
    with Session(world.storage().engine) as session:
        runs = {row.cell: (row.trial, row.status) for row in session.scalars(select(RunRow))}
        scores = collections.Counter(session.scalars(select(ScoreRow.cell)))
    assert runs == {trial.user_attrs["cell"]: (trial.number, "ok") for trial in complete}
    assert scores == dict.fromkeys(cells, 2 * fakes.TOLERANCES * fakes.LINES)
    world.close()
    verify_files(world, trials)
    return collections.Counter(trial.user_attrs["cell"] for trial in trials if trial.state != TrialState.PRUNED)


def verify_files(world, trials):
    """No checkpoint and no scratch folder is left; every file in the artifact folder belongs to a trial."""
    left = [path.name for path in (world.folder / "kernbench.checkpoints").iterdir()]
    assert not left, left
    folder = world.folder / "kernbench.artifacts"
    entries = {
        key.removeprefix("artifacts:"): trial
        for trial in trials
        for key in trial.system_attrs
        if key.startswith("artifacts:")
    }
    files = {path.name for path in folder.iterdir()}
    assert files <= set(entries), files - set(entries)
    lost = {key for key, trial in entries.items() if trial.state == TrialState.COMPLETE and key not in files}
    assert not lost, lost


def serve_chain(url, toml):
    """Work on a study as `kernbench worker` does for its coordinator."""
    world = fakes.World(Path(toml).parent)
    study = fakes.load_study(toml, world.found.family, "quick")
    joined = Joined(study, world.found, list(study.cells()), lambda: None)
    terms = WorkerTerms(url, coordinated=True, heartbeat_s=1, grace_s=6)
    sys.exit(serve([joined], terms, compute, fakes.Notes()))


def main():
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kills", type=int)
    parser.add_argument("url", nargs="?")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kernbench-chaos-") as folder:
        os.chdir(folder)
        world = fakes.World(Path(folder))
        world.url = asked.url or world.url
        cell_states.KILLED_LIMIT = coordinator.STARTS = PATIENCE
        began = time.monotonic()
        kills, attempts = endure(
            world, asked.kills, say=lambda text: print(f"{time.monotonic() - began:6.0f} s  {text}")
        )
        gaps = [later - sooner for (sooner, _), (later, _) in itertools.pairwise(kills) if later > sooner]
        print(f"{len(kills)} kills, one every {sum(gaps) / len(gaps):.2f} s, all of them with SIGKILL")
        print(f"most attempts of one cell: {max(attempts.values())}; no file left over, tables and trials agree")


if __name__ == "__main__":
    main()
