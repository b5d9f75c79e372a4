"""Trials read and queued by plain SQL: what Optuna itself would read and write."""

import ast
import math
from pathlib import Path

import fakes
import optuna
import pytest
from optuna.trial import TrialState

import kernbench
from kernbench.engine.queue.queueing import enqueue_all
from kernbench.store.tables.optuna_tables import read_trials

ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


def as_optuna(opened):
    """Optuna's own trials, read anew, without the learning curves that `read_trials` leaves out."""
    trials = opened.get_trials()
    for trial in trials:
        if trial.state in ENDED:
            trial.intermediate_values = {}
    return trials


def test_trials_of_every_state_are_those_of_optuna(world):
    study = world.study([9, 33, 65, 127, 255])

    def compute(context):
        context.report(0, 0.25)
        context.report(1, math.inf)
        if context.params["kernel_size"] == 33:
            raise MemoryError("too big")
        return fakes.diverged() if context.params["kernel_size"] == 65 else fakes.outcome(0.75)

    world.run(study, compute)
    opened = world.optuna_study(study)
    for value in (1, 2, 3):
        queued = {"kernel_size": 257, "seed": value, "rate": 0.5, "kind": "two"}
        opened.enqueue_trial(queued, user_attrs={"cell": "späte Zelle", "nested": [value]})
    running = optuna.Trial(opened, opened._pop_waiting_trial_id())
    running.suggest_int("kernel_size", 1, 511)
    running.suggest_float("rate", 0.1, 1, log=True)
    running.suggest_categorical("kind", ["one", "two"])
    running.report(0.5, 7)
    opened.tell(optuna.Trial(opened, opened._pop_waiting_trial_id()).number, state=TrialState.PRUNED)
    found = read_trials(opened)
    assert {trial.state for trial in found} == {*ENDED, TrialState.FAIL, TrialState.RUNNING, TrialState.WAITING}
    assert found == as_optuna(world.optuna_study(study))
    (running,) = (trial for trial in found if trial.state == TrialState.RUNNING)
    assert running.intermediate_values == {7: 0.5}
    assert found[0].value == 0.75


def test_only_the_trials_of_the_study_are_read(world):
    world.run(world.study([9]))
    world.found = fakes.find("siren")
    world.run(world.study([9, 33]))
    assert len(read_trials(world.optuna_study(world.study([9, 33])))) == 2


def test_cells_are_queued_as_optuna_queues_them(world):
    study = world.study([9, 33], seeds=2)
    world.run(study)
    opened, cells = world.optuna_study(study), list(study.cells())[::-1]
    enqueue_all(opened, study, cells)
    for cell in cells:
        opened.enqueue_trial(study.cells()[cell], user_attrs={"cell": cell})
    trials = opened.get_trials()
    assert [trial.number for trial in trials] == list(range(12))
    ours, theirs = trials[4:8], trials[8:]
    for mine, other in zip(ours, theirs, strict=True):
        other.number, other._trial_id = mine.number, mine._trial_id
        assert mine == other
    assert optuna.Trial(opened, opened._pop_waiting_trial_id()).number == 4  # the first in the queue


def test_nothing_is_queued_unless_everything_is(world, monkeypatch):
    study = world.study([9, 33])
    world.run(study)
    before = world.content()[0]
    monkeypatch.setattr("kernbench.store.tables.optuna_rows.json", None)  # fails after the trials are in
    with pytest.raises(AttributeError):
        enqueue_all(world.optuna_study(study), study, list(study.cells()))
    assert world.content()[0] == before


PRIVATE = {"_trial_id", "_study_id", "_storage", "_backend"}


def knows_optuna_inside(node):
    """Whether a piece of code imports Optuna's models or touches a private attribute that is not its own."""
    if isinstance(node, ast.ImportFrom | ast.Import):
        names = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
        return any("_rdb" in name for name in names)
    own = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    return isinstance(node, ast.Attribute) and node.attr in PRIVATE and not own


def test_one_file_knows_what_optuna_hides():
    package, found = Path(kernbench.__file__).parent, set()
    for path in package.rglob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        found |= {path.relative_to(package).as_posix() for node in nodes if knows_optuna_inside(node)}
    assert found == {"store/tables/optuna_tables.py"}  # storage.py overrides private methods, and touches none of these
