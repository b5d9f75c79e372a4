"""The table of when trainings begin to learn, and the file of learning curves that it reads."""

import csv
import importlib
import sys

import optuna
import pytest
from result_places import place

from kernbench.errors import KernbenchError
from kernbench.report.numbers.comparison import comparisons

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
def found(make_run):
    runs = [make_run(family, 65, seed) for family in F1 for seed in (0, 1)]
    return {each.base: each for each in comparisons(runs)}


@pytest.fixture
def storage(tmp_path):
    """A study of each family with a score after every fifth epoch, one of another profile, and a training that runs."""
    url = f"sqlite:///{tmp_path / 'kernbench.db'}"
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for family, seeds in F1.items():
        study = optuna.create_study(storage=url, study_name=f"{BASE}/{family}", direction="maximize")
        for seed, curve in enumerate(seeds):
            steps = dict(zip((4, 9, 14), curve, strict=True))
            cell = {"cell": f"kernel_size=65,seed={seed}"}
            made = optuna.trial.create_trial(value=curve[-1], user_attrs=cell, intermediate_values=steps)
            study.add_trial(made)
        study.ask().set_user_attr("cell", "kernel_size=65,seed=2")
    other = optuna.create_study(storage=url, study_name=f"{BASE}er/siren")
    other.add_trial(optuna.trial.create_trial(value=1.0, user_attrs={"cell": "x"}, intermediate_values={0: 1.0}))
    return url


def test_the_table_has_the_first_epoch_with_a_score_for_each_seed(script, curves, found, storage):
    curves.main(BASE, storage)
    with (curves.FOLDER / f"{BASE}.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    assert rows[0] == {"family": "discrete", "cell": "kernel_size=65,seed=0", "epoch": "5", "f1": "0.200000"}
    table = script.filled(place("leaving 0.3"), found)
    assert "| discrete | 10, 5 |" in table
    assert "| siren | never, 15 |" in table


def test_a_training_without_a_curve_is_refused(script, curves, found, storage, make_run):
    with pytest.raises(KernbenchError, match=r"no learning curves: .*k_sweep\.v1\.quick\.csv is not there"):
        script.filled(place("leaving 0.3"), found)
    curves.main(BASE, storage)
    more = {each.base: each for each in comparisons([*found[BASE].runs, make_run("siren", 65, 2)])}
    with pytest.raises(KernbenchError, match=r"no learning curve of k_sweep\.v1\.quick/siren kernel_size=65,seed=2"):
        script.filled(place("leaving 0.3"), more)


def test_a_study_without_a_finished_cell_writes_nothing(curves, storage):
    with pytest.raises(SystemExit, match="no finished cell of another has a learning curve"):
        curves.main("another", storage)
    assert not curves.FOLDER.exists()
