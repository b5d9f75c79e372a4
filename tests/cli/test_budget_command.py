"""`run` of a study with a budget: what is solved for is shown and stored; what cannot be met leaves nothing behind."""

import contextlib
import json
import sqlite3

import fakes
import pytest

from kernbench.store.reading.runs import load_runs
from kernbench.ulm.evaluation.trained import load_trained

STUDY = fakes.SMALL.replace("[9, 33]", "[3, 33]").replace("channels = 4", "channels = 8")
RUN = ("run", "--profile", "quick", "--no-baselines", "--study", "mine.toml", "--plugin")


@pytest.fixture
def study(bench):
    (bench.folder / "mine.toml").write_text(f'{STUDY}[budget]\nlike = "discrete"\n')


def test_a_size_at_which_the_budget_cannot_be_met_is_refused_and_the_others_run(bench, study, quick_cells, refused):
    said = refused(*RUN, "siren", said=["mine.toml: budget", "family 'siren' cannot have 273 parameters at K = 3"])
    assert "nearest: none below, or " in said
    assert "--only kernel_size=" in said
    ended = bench.run(*RUN, "siren", "--only", "kernel_size=33")
    assert ended.code == 0, ended
    assert quick_cells == ["mine.v1.quick/siren kernel_size=33,seed=0"]
    assert bench.run("storage", "check").code == 0


def test_a_family_of_a_fixed_size_is_refused_by_name(refused, bench):
    (bench.folder / "mine.toml").write_text(f"{STUDY}[budget]\ntotal = 1000\n")
    said = "family 'longconv' cannot have 1,000 parameters at K = 3: its size is fixed, at 273"
    refused(*RUN, "longconv", said=[said])


def test_a_dry_run_shows_what_is_solved_for_at_each_point(bench, study):
    ended = bench.run(*RUN, "siren", "--only", "kernel_size=33", "--dry-run")
    assert "budget: as many parameters as discrete within 2 %, by hidden" in ended.out, ended
    assert "kernel_size = 33: hidden = 19: 2,481 of 2,433 parameters, ratio 1.020" in ended.out, ended
    assert "kernel_size = 3:" not in ended.out, ended
    assert bench.files() == ["mine.toml"]


def test_a_trained_cell_keeps_what_was_solved_for(plain_bench):
    (plain_bench.folder / "mine.toml").write_text(f'{STUDY}epochs = 1\nbatch_size = 4\n[budget]\nlike = "discrete"\n')
    ended = plain_bench.run(*RUN, "siren", "--only", "kernel_size=33")
    assert ended.code == 0, ended
    (run,) = load_runs(plain_bench.url)
    with contextlib.closing(sqlite3.connect(plain_bench.database)) as database:
        ((details,),) = database.execute("SELECT details FROM kernbench_run")
        attributes = dict(database.execute("SELECT key, value_json FROM trial_user_attributes"))
    assert json.loads(details)["budget"] == {"solved": {"hidden": 19}, "count": 2481, "target": 2433}
    assert (attributes["hidden"], run.values["n_params"]) == ("19", 2481)
    assert load_trained(run.artifacts["weights.pt"]).facts["family"]["hyper"]["hidden"] == 19
