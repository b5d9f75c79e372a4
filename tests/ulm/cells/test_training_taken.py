"""Cells that differ in their test lines alone are trained once, and score as if each had been trained."""

import contextlib
import dataclasses
import sqlite3

import fakes
import pytest
import torch

from kernbench.engine.work import environment
from kernbench.errors import DivergedError
from kernbench.registry import find_family
from kernbench.store.maintenance.superseding import choose_cells, supersede
from kernbench.store.reading.runs import load_runs
from kernbench.study.selection import read_selection
from kernbench.study.task import load as load_task_study
from kernbench.ulm.cells import run as experiment

FIRST, SECOND, THIRD = (f"kernel_size=9,seed=0,test_noise_percent={level}" for level in (0.0, 8.0, 32.0))
TAKEN = "only its test lines are scored"


@pytest.fixture
def lines(smoke_lines, monkeypatch, no_pictures):
    monkeypatch.setenv("KERNBENCH_CACHE", str(smoke_lines))


@pytest.fixture
def study(tmp_path):
    def make(axis="test_noise_percent = [0.0, 8.0, 32.0]", sizes="[9]", seeds=1):
        path = tmp_path / "mine.toml"
        data = "[data]\ntrain = 8\nvalidation = 4\ntest = 6\nwindow = 512\n[network]\nchannels = 4\ndepth = 2"
        training = "[training]\nepochs = 3\nbatch_size = 4\ndecay_epoch = 2\nrate = 5e-3\nvalidate_every = 1"
        head = f"version = 1\nseeds = {seeds}\n[axes]\nkernel_size = {sizes}\n{axis}"
        path.write_text(f"{head}\n{data}\n{training}\n", encoding="utf-8")
        return load_task_study(str(path), find_family("discrete"), "quick")

    return make


@pytest.fixture
def trainings(monkeypatch):
    """Cells that were trained, in order."""
    seen = []
    train = experiment._trained

    def noted(cell):
        seen.append(cell.context.cell)
        return train(cell)

    monkeypatch.setattr(experiment, "_trained", noted)
    return seen


def alone(context):
    """A cell that knows of no other one."""
    return experiment.run_cell(dataclasses.replace(context, trained_before=lambda: None))


def stored(world):
    """What the cells of a world are, without their clocks."""
    columns = "cell, data_digest, n_params, epochs, f1_matched, rmse_samples, f1_edge, f1_inner, thresholds, seeds"
    with contextlib.closing(sqlite3.connect(world.database)) as connection:
        rows = connection.execute(f"SELECT {columns} FROM kernbench_run ORDER BY cell").fetchall()
    return rows, fakes.stored_scores(world.database)


@pytest.mark.parametrize(
    ("axis", "cells"),
    [("test_noise_percent = [0.0, 8.0, 32.0]", 3), ("test_rate = [31.25, 62.5, 125.0]", 3)],
    ids=["noise", "rate"],
)
def test_one_training_gives_the_scores_of_many(lines, study, trainings, tmp_path, empty_database, axis, cells):
    worlds = []
    for name, compute in (("shared", experiment.run_cell), ("alone", alone)):
        (tmp_path / name).mkdir()
        worlds.append(fakes.World(tmp_path / name, empty_database))
        worlds[-1].run(study(axis), compute)
        assert len(trainings) == (1 if name == "shared" else 1 + cells)
    one, other = map(stored, worlds)
    assert len(one[0]) == cells
    assert one == other
    assert sum(TAKEN in note for note in worlds[0].observer.notes) == cells - 1
    for world in worlds:
        world.close()


def test_a_cell_that_takes_a_training_over_has_its_costs_and_says_whose(lines, study, trainings, sqlite_world):
    sqlite_world.run(study(), experiment.run_cell)
    runs = {run.cell: run for run in load_runs(sqlite_world.url)}
    assert trainings == [FIRST]
    trial = next(each for each in sqlite_world.trials() if each.user_attrs["cell"] == SECOND)
    (before,) = (each for each in sqlite_world.trials() if each.user_attrs["cell"] == FIRST)
    assert trial.intermediate_values == before.intermediate_values
    assert runs[SECOND].values["peak_memory_mb"] >= runs[FIRST].values["peak_memory_mb"]
    assert runs[SECOND].epochs == 3
    with contextlib.closing(sqlite3.connect(sqlite_world.database)) as connection:
        found = connection.execute("SELECT cell FROM kernbench_run WHERE details LIKE '%\"trained_as\"%'").fetchall()
    assert set(found) == {(SECOND,), (THIRD,)}
    curves = [runs[cell].artifacts["curve.csv"].read_text() for cell in (FIRST, SECOND)]
    assert curves[0] == curves[1]
    assert runs[SECOND].seconds >= float(curves[0].splitlines()[-1].rpartition(",")[2])


def test_other_noise_in_training_is_another_training(lines, study, trainings, sqlite_world):
    sqlite_world.run(study("noise_percent = [0.0, 8.0]"), experiment.run_cell)
    assert len(trainings) == 2


def test_other_seeds_and_sizes_are_trained_each_for_itself(lines, study, trainings, sqlite_world):
    sqlite_world.run(study(sizes="[9, 33]", seeds=2), experiment.run_cell)
    first = [FIRST, FIRST.replace("seed=0", "seed=1")]
    assert trainings == [*first, *(cell.replace("=9,", "=33,") for cell in first)]


@pytest.mark.parametrize("what", ["machine", "source", "file gone", "file damaged", "curve cut"])
def test_a_training_that_may_be_another_one_is_not_taken(lines, study, trainings, sqlite_world, monkeypatch, what):
    def compute(context):
        if context.cell == SECOND and what == "machine":
            machine = environment.environment("cpu")
            monkeypatch.setattr(environment, "environment", lambda _device: machine | {"cpu": "another"})
        if context.cell == SECOND and what == "source":
            monkeypatch.setattr(environment, "source_digest", lambda _family: "edited")
        outcome = experiment.run_cell(context)
        paths = {path.name: path for path in outcome.artifacts}
        if context.cell == FIRST and what == "file gone":
            return dataclasses.replace(outcome, artifacts=[paths["curve.csv"]])
        if context.cell == FIRST and what == "file damaged":
            content = torch.load(paths["weights.pt"], weights_only=True)
            next(iter(content["state"].values())).mul_(1.01)
            torch.save(content, paths["weights.pt"])
        if context.cell == FIRST and what == "curve cut":
            text = paths["curve.csv"].read_text()
            paths["curve.csv"].write_text(text[: text.rstrip().rindex("\n") + 1])
        return outcome

    sqlite_world.run(study(), compute)
    assert trainings[:2] == [FIRST, SECOND]
    said = [note for note in sqlite_world.observer.notes if "is not taken over" in note]
    assert bool(said) == (what in ("file gone", "file damaged", "curve cut"))


def test_a_training_that_diverged_is_none(lines, study, trainings, sqlite_world, monkeypatch):
    def diverging(cell):
        trainings.append(cell.context.cell)
        raise DivergedError("the training loss became nan in epoch 0")

    monkeypatch.setattr(experiment, "_trained", diverging)
    sqlite_world.run(study(), experiment.run_cell)
    assert trainings == [FIRST, SECOND, THIRD]


def test_a_cell_that_is_put_back_is_trained_again(lines, study, trainings, sqlite_world):
    sqlite_world.run(study(), experiment.run_cell)
    runs, (scores, _) = stored(sqlite_world)
    chosen = choose_cells(sqlite_world.optuna_study(study()), read_selection(["test_noise_percent=8"]), "redo")
    supersede(sqlite_world.url, [chosen], "redo", lambda _line: None)
    sqlite_world.run(study(), experiment.run_cell)
    assert trainings == [FIRST, SECOND]
    again, (scored_again, _) = stored(sqlite_world)
    assert (again, scored_again) == (runs, scores)
