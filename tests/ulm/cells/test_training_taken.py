"""Cells that differ in their test lines alone are trained once, and score as if each had been trained."""

import contextlib
import csv
import dataclasses
import json
import sqlite3

import fakes
import pytest
import torch

from kernbench.engine.work import environment
from kernbench.errors import DivergedError
from kernbench.kernels.base import KernelModule
from kernbench.kernels.conformance import check_family
from kernbench.kernels.family import KernelFamily
from kernbench.networks.weights import seal
from kernbench.registry import find_family
from kernbench.report.numbers.comparison import comparisons
from kernbench.report.numbers.setup import setup_rows
from kernbench.store.maintenance.exporting import export_tables
from kernbench.store.maintenance.superseding import choose_cells, supersede
from kernbench.store.reading.exported import read_tables
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
    def make(axis="test_noise_percent = [0.0, 8.0, 32.0]", sizes="[9]", seeds=1, family=None):
        path = tmp_path / "mine.toml"
        data = "[data]\ntrain = 8\nvalidation = 4\ntest = 6\nwindow = 512\n[network]\nchannels = 4\ndepth = 2"
        training = "[training]\nepochs = 3\nbatch_size = 4\ndecay_epoch = 2\nrate = 5e-3\nvalidate_every = 1"
        head = f"version = 1\nseeds = {seeds}\n[axes]\nkernel_size = {sizes}\n{axis}"
        path.write_text(f"{head}\n{data}\n{training}\n", encoding="utf-8")
        return load_task_study(str(path), family or find_family("discrete"), "quick")

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
    return experiment.run_cell(dataclasses.replace(context, trained_before=list))


KERNELS = 'test_rate = [31.25, 125.0]\ntest_kernels = ["evaluated", "resampled"]'


def stored(world):
    """What the cells of a world are, without their clocks."""
    columns = "cell, data_digest, n_params, epochs, f1_matched, rmse_samples, f1_edge, f1_inner, thresholds, seeds"
    with contextlib.closing(sqlite3.connect(world.database)) as connection:
        rows = connection.execute(f"SELECT {columns} FROM kernbench_run ORDER BY cell").fetchall()
        details = connection.execute("SELECT details FROM kernbench_run ORDER BY cell").fetchall()
    details = [json.loads(each) for (each,) in details]
    for each in details:
        for name in ("trained_as", "earlier_seconds"):
            each.pop(name, None)
    return rows, details, fakes.stored_scores(world.database)


@pytest.mark.parametrize(
    ("axis", "cells"),
    [("test_noise_percent = [0.0, 8.0, 32.0]", 3), ("test_rate = [31.25, 62.5, 125.0]", 3), (KERNELS, 4)],
    ids=["noise", "rate", "kernels"],
)
def test_one_training_gives_the_scores_of_many(lines, study, trainings, tmp_path, empty_database, axis, cells):
    worlds = []
    for name, compute in (("shared", experiment.run_cell), ("alone", alone)):
        (tmp_path / name).mkdir()
        worlds.append(fakes.World(tmp_path / name, empty_database))
        worlds[-1].run(study(axis), compute)
        assert len(trainings) == (1 if name == "shared" else 1 + cells)
    one, other = map(stored, worlds)
    assert len(one[0]) == len(one[1]) == cells
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
    assert {cell: run.trained_as for cell, run in runs.items()} == {FIRST: "", SECOND: FIRST, THIRD: FIRST}
    curves = [runs[cell].artifacts["curve.csv"].read_text() for cell in (FIRST, SECOND)]
    assert curves[0] == curves[1]
    training = float(curves[0].splitlines()[-1].rpartition(",")[2])
    assert runs[FIRST].own_seconds is None
    assert runs[SECOND].own_seconds == pytest.approx(runs[SECOND].seconds - training)
    assert trial.user_attrs["wall_s"] == pytest.approx(runs[SECOND].own_seconds, rel=1e-4)
    (comparison,) = comparisons(list(runs.values()))
    time = dict(setup_rows(comparison))["computing time"]
    assert "2 cells took the training of another one over, which counts once" in time


def test_exports_say_whose_training_it_was(lines, study, sqlite_world, tmp_path):
    sqlite_world.run(study(), experiment.run_cell)
    runs = load_runs(sqlite_world.url)
    export_tables(runs, tmp_path / "tables")
    again = {run.cell: run for run in read_tables(tmp_path / "tables")}
    for run in runs:
        assert (again[run.cell].trained_as, again[run.cell].own_seconds) == (run.trained_as, run.own_seconds)
    path = tmp_path / "tables" / "cells.csv"
    header, *rows = list(csv.reader(path.read_text().splitlines()))
    kept = [place for place, name in enumerate(header) if name not in ("trained_as", "own_seconds")]
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([[row[place] for place in kept] for row in (header, *rows)])
    assert {run.trained_as for run in read_tables(tmp_path / "tables")} == {""}  # older folders have no such column


def test_other_noise_in_training_is_another_training(lines, study, trainings, sqlite_world):
    sqlite_world.run(study("noise_percent = [0.0, 8.0]"), experiment.run_cell)
    assert len(trainings) == 2


def test_other_seeds_and_sizes_are_trained_each_for_itself(lines, study, trainings, sqlite_world):
    sqlite_world.run(study(sizes="[9, 33]", seeds=2), experiment.run_cell)
    first = [FIRST, FIRST.replace("seed=0", "seed=1")]
    assert trainings == [*first, *(cell.replace("=9,", "=33,") for cell in first)]


@pytest.mark.parametrize("what", ["machine", "source"])
def test_a_training_on_another_machine_or_of_other_code_is_not_looked_at(
    lines, study, trainings, sqlite_world, monkeypatch, what
):
    machine = environment.environment("cpu")

    def compute(context):
        if context.cell == SECOND and what == "machine":
            monkeypatch.setattr(environment, "environment", lambda _device: machine | {"cpu": "another"})
        if context.cell == SECOND and what == "source":
            monkeypatch.setattr(environment, "source_digest", lambda _family: "edited")
        return experiment.run_cell(context)

    sqlite_world.run(study(), compute)
    assert trainings == [FIRST, SECOND]
    assert not [note for note in sqlite_world.observer.notes if "is not taken over" in note]


def changed_weights(paths):
    content = torch.load(paths["weights.pt"], weights_only=True)
    next(iter(content["state"].values())).mul_(1.01)
    torch.save(content, paths["weights.pt"])


def of_another_cell(paths):
    content = torch.load(paths["weights.pt"], weights_only=True)
    content["facts"]["cell"] = THIRD
    torch.save(content | {"sha256": seal(content["facts"], content["state"])}, paths["weights.pt"])


def other_weights(paths):
    """Sound in itself, and not the network of the curve."""
    content = torch.load(paths["weights.pt"], weights_only=True)
    next(iter(content["state"].values())).mul_(1.01)
    torch.save(content | {"sha256": seal(content["facts"], content["state"])}, paths["weights.pt"])


def curve_with(column, row, value):
    def damage(paths):
        rows = list(csv.reader(paths["curve.csv"].read_text().splitlines()))
        rows[row][rows[0].index(column)] = value
        paths["curve.csv"].write_text("".join(",".join(each) + "\n" for each in rows))

    return damage


def shorter_curve(paths):
    text = paths["curve.csv"].read_text()
    paths["curve.csv"].write_text(text[: text.rstrip().rindex("\n") + 1])


DAMAGE = {
    "it has no file weights.pt": lambda paths: paths["weights.pt"].unlink(),
    "its checksum does not fit": changed_weights,
    "weights.pt is of another cell": of_another_cell,
    "does not score on the validation lines as its learning curve says": other_weights,
    "expected epochs 0 to 2, got 2 rows": shorter_curve,
    "expected epochs 0 to 2, got 3 rows": curve_with("epoch", 2, "2"),
    "curve.csv lacks a number": curve_with("val_f1", -1, ""),
    "curve.csv lacks a number ": curve_with("train_loss", 1, ""),
    "curve.csv lacks a number  ": curve_with("seconds", -1, "inf"),
    "has times that go back": curve_with("seconds", -1, "-1"),
    "as its learning curve says": curve_with("val_loss", -1, "0.5"),
}


@pytest.mark.parametrize("said", DAMAGE)
def test_files_that_do_not_fit_are_noted_and_the_cell_is_trained(lines, study, trainings, sqlite_world, said):
    """The third cell then takes the training of the second one over."""

    def compute(context):
        outcome = experiment.run_cell(context)
        paths = {path.name: path for path in outcome.artifacts}
        if context.cell == FIRST:
            DAMAGE[said](paths)
        return dataclasses.replace(outcome, artifacts=[path for path in outcome.artifacts if path.exists()])

    sqlite_world.run(study(), compute)
    assert trainings == [FIRST, SECOND]
    notes = [note for note in sqlite_world.observer.notes if "is not taken over" in note]
    assert len(notes) == 2
    assert all(said.strip() in note for note in notes)
    assert {run.cell: run.trained_as for run in load_runs(sqlite_world.url)}[THIRD] == SECOND


class Counting(KernelModule):
    """A kernel that depends on the number of its steps, which no state dict holds."""

    def __init__(self, spec):
        super().__init__(spec)
        self.weight = torch.nn.Parameter(0.1 * torch.randn(spec.shape))
        self.steps = 0

    def constrain_(self):
        self.steps += 1

    def forward(self, grid):
        return self.weight * (1 + 0.1 * self.steps)


def test_a_family_with_state_that_no_file_holds_is_trained_each_time(lines, study, trainings, sqlite_world):
    family = KernelFamily("counting", Counting)
    sqlite_world.found = dataclasses.replace(sqlite_world.found, family=family)
    sqlite_world.run(study(family=family), experiment.run_cell)
    assert trainings == [FIRST, SECOND, THIRD]
    (result,) = (each for each in check_family(family) if each.name == "state-dict")
    assert result.failed


def test_a_training_that_diverged_is_none(lines, study, trainings, sqlite_world, monkeypatch):
    def diverging(cell):
        trainings.append(cell.context.cell)
        raise DivergedError("the training loss became nan in epoch 0")

    monkeypatch.setattr(experiment, "_trained", diverging)
    sqlite_world.run(study(), experiment.run_cell)
    assert trainings == [FIRST, SECOND, THIRD]


def test_a_cell_that_is_put_back_is_trained_again(lines, study, trainings, sqlite_world):
    sqlite_world.run(study(), experiment.run_cell)
    *known, (scores, _) = stored(sqlite_world)
    chosen = choose_cells(sqlite_world.optuna_study(study()), read_selection(["test_noise_percent=8"]), "redo")
    supersede(sqlite_world.url, [chosen], "redo", lambda _line: None)
    sqlite_world.run(study(), experiment.run_cell)
    assert trainings == [FIRST, SECOND]
    *again, (scored_again, _) = stored(sqlite_world)
    assert (again, scored_again) == (known, scores)
