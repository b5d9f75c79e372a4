"""The table of when trainings begin to learn, and the file of learning curves that it reads."""

import csv
import dataclasses
import importlib
import sys

import pytest
from result_places import place

from kernbench.errors import KernbenchError
from kernbench.report.numbers.comparison import comparisons
from kernbench.training.settings import Epoch
from kernbench.ulm.cells.artifacts import write_curve

BASE = "k_sweep.v1.quick"
F1 = {"discrete": ([0.2, 0.3, 0.6], [0.5, 0.6, 0.7]), "siren": ([0.1, 0.2, 0.29], [0.2, 0.2, 0.3])}  # of seeds 0 and 1


@pytest.fixture
def curves(script, tmp_path, monkeypatch):
    """The script that writes the file; it and the reader have it in a folder of their own."""
    monkeypatch.syspath_prepend(str(script.DOCS))
    module = importlib.import_module("learning_curves")
    for each in (module, sys.modules["result_learning"]):
        monkeypatch.setattr(each, "FOLDER", tmp_path / "learning")
    return module


@pytest.fixture
def runs(make_run, tmp_path):
    """Trainings of 15 epochs with a score after every fifth one, and one that diverged."""

    def trained(family, seed, scores):
        folder = tmp_path / f"{family}{seed}"
        folder.mkdir()
        found = dict(zip((4, 9, 14), scores, strict=True))
        terms = {"soft": 0.5, "hard": 0.5}
        rows = [Epoch(e, 1.0, terms, 1.0 if e in found else None, found.get(e), 5e-3, e) for e in range(15)]
        return dataclasses.replace(make_run(family, 65, seed), artifacts={"curve.csv": write_curve(folder, rows)[0]})

    ended = [trained(family, seed, scores) for family, both in F1.items() for seed, scores in enumerate(both)]
    return [*ended, make_run("siren", 65, 2, status="diverged")]


@pytest.fixture
def database(curves, runs, monkeypatch):
    """What the script reads instead of a database: these cells, and one of another study."""
    other = dataclasses.replace(runs[0], base=f"{BASE}er", study=f"{BASE}er/siren")
    monkeypatch.setattr(curves, "load_several", lambda *_: [*runs, other])
    monkeypatch.setattr(curves, "resolve_source", lambda storage: storage)
    return "sqlite:///kernbench.db"


def compared(runs):
    return {each.base: each for each in comparisons(runs)}


def test_the_table_has_the_first_epoch_with_a_score_for_each_seed(script, curves, runs, database):
    assert curves.main([BASE, database]) == 0
    with (curves.FOLDER / f"{BASE}.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    assert rows[0] == {"family": "discrete", "cell": "kernel_size=65,seed=0", "epoch": "5", "f1": "0.200000"}
    table = script.filled(place("learning 0.3"), compared(runs))
    assert "| discrete | 10, 5 |" in table
    assert "| siren | never, 15 |" in table


def test_a_training_without_a_curve_is_refused(script, curves, runs, database, make_run):
    with pytest.raises(KernbenchError, match=r"no learning curves: .*k_sweep\.v1\.quick\.csv is not there"):
        script.filled(place("learning 0.3"), compared(runs))
    curves.main([BASE, database])
    with pytest.raises(KernbenchError, match=r"no learning curve of k_sweep\.v1\.quick/siren kernel_size=65,seed=3"):
        script.filled(place("learning 0.3"), compared([*runs, make_run("siren", 65, 3)]))


def test_what_cannot_be_read_is_one_line_and_writes_nothing(curves, runs, database, monkeypatch, capsys):
    exported = [dataclasses.replace(run, artifacts={}) for run in runs]
    for words, cells, said in (
        ([BASE], runs, "expected a study and a storage, got k_sweep.v1.quick"),
        (["another", database], runs, "no finished cell of another"),
        ([BASE, database], exported, "k_sweep.v1.quick/discrete kernel_size=65,seed=0: no curve.csv"),
    ):
        monkeypatch.setattr(curves, "load_several", lambda *_, cells=cells: cells)
        assert curves.main(words) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert not curves.FOLDER.exists()
