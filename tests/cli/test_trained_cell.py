"""Networks by study, family and values: `evaluate --study`, the order of `data weights`, the studies of `data info`."""

import re

import fakes
import numpy as np
import pytest

from kernbench.registry import find
from kernbench.report.numbers.searches import validation_f1
from kernbench.store.reading.runs import load_runs
from kernbench.ulm.scoring.scores import f1_scores

SHORT = "epochs = 1\nbatch_size = 4\ndecay_epoch = 1\nrate = 0.005\nvalidate_every = 1\n"
GRID = fakes.SMALL.replace("version = 1", "version = 1\nseeds = 2") + SHORT
TUNED = fakes.SMALL.replace("[9, 33]", "[9]") + SHORT.replace("epochs = 1\n", "epochs = 3\n", 1)
TUNED += "[tuning]\ntrials = 3\n"


@pytest.fixture(scope="module")
def kept(tmp_path_factory, smoke_lines):
    """Folder of a database: a grid for two families, and a search, trained for a moment."""
    from kernbench.engine.fleet import runner
    from kernbench.study.task import load
    from kernbench.ulm.cells.run import run_cell

    folder = tmp_path_factory.mktemp("trained")
    (folder / "grid.toml").write_text(GRID)
    (folder / "search.toml").write_text(TUNED)
    with pytest.MonkeyPatch.context() as patch, fakes.no_pictures():
        patch.setenv("KERNBENCH_CACHE", str(smoke_lines))
        options = runner.Options(f"sqlite:///{folder}/kernbench.db", "cpu")
        for name, family in (("grid", "siren"), ("grid", "discrete"), ("search", "siren")):
            found = find(family)
            study = load(str(folder / f"{name}.toml"), found.family, "quick")
            runner.run(study, found, options, run_cell, lambda: None, fakes.Silent())
    return folder


@pytest.fixture
def stored(smoke_bench, kept, monkeypatch):
    """The command line with that database; its cells."""
    url = f"sqlite:///{kept}/kernbench.db"
    monkeypatch.setenv("KERNBENCH_STORAGE", url)
    runs = load_runs(url)
    assert {run.status for run in runs} == {"ok"}
    return {f"{run.study} {run.cell}": run for run in runs}


def evaluated(bench, *words):
    """What was trained, and the mean F1 at the headline tolerance."""
    ended = bench.run("evaluate", *words, "--metric", "dilation")
    assert ended.code == 0, ended
    label = re.search(r"trained as (.*)", ended.out)[1]
    row = next(line for line in ended.out.splitlines() if re.match(r"\W*4\W", line))
    return label, row.split()[4]


def f1(run, split="test"):
    scores = run.scores[split]
    return f"{np.mean(f1_scores(scores.tp, scores.fn, scores.fp)[run.tolerance]):.4f}"


@pytest.mark.parametrize(
    "words",
    [
        ("--kernel-size", "33", "--only", "seed=1"),
        ("--only", "kernel_size=33", "--only", "seed=1"),
    ],
)
def test_the_network_of_a_cell_is_found_and_scored_on_the_lines_of_its_study(smoke_bench, stored, words):
    label = "grid.v1.quick/siren kernel_size=33,seed=1"
    assert evaluated(smoke_bench, "--study", "grid", "--plugin", "siren", *words) == (label, f1(stored[label]))
    words = ("--study", "grid.v1.quick/siren", *words, "--split", "validation")
    assert evaluated(smoke_bench, *words) == (label, f1(stored[label], "validation"))


def test_of_a_search_it_is_the_best_draw_unless_one_is_named(smoke_bench, stored):
    draws = {label: run for label, run in stored.items() if label.startswith("search")}
    best = max(draws, key=lambda label: validation_f1(draws[label]))
    assert evaluated(smoke_bench, "--study", "search") == (best, f1(draws[best]))
    other = next(label for label in draws if label != best)
    number = str(draws[other].params["draw"])
    assert evaluated(smoke_bench, "--study", "search", "--only", f"draw={number}")[0] == other


def test_the_best_draw_is_listed_first(smoke_bench, stored):
    draws = {label: run for label, run in stored.items() if label.startswith("search")}
    best = max(draws, key=lambda label: validation_f1(draws[label]))
    ended = smoke_bench.run("data", "weights", "--study", "search,grid.v1.quick/discrete")
    assert ended.code == 0, ended
    *grid, first, second, third = ended.out.splitlines()
    assert [line.partition("  ")[0] for line in grid] == [each for each in stored if each.startswith("grid.v1.quick/d")]
    assert first.startswith(f"{best}  best of 3 draws  "), ended
    assert {line.partition("  ")[0] for line in (second, third)} == set(draws) - {best}
    assert ended.out.count("best of") == 1


def test_data_info_names_the_studies_that_use_each_set(smoke_bench, stored, monkeypatch):
    ended = smoke_bench.run("data", "info")
    assert ended.code == 0, ended
    assert ended.out.count("grid.v1.quick") == 1, ended
    assert "used by grid.v1.quick (discrete, siren), search.v1.quick (siren)\n" in ended.out, ended
    monkeypatch.delenv("KERNBENCH_STORAGE")
    assert "used by" not in smoke_bench.run("data", "info").out  # no database here


def test_data_info_needs_no_database(bench, refused, monkeypatch, empty_database):
    from kernbench.ulm.data.recipe import Recipe, load_split

    load_split(Recipe({"test": 1}, window=512), "test")
    assert "used by" not in bench.run("data", "info").out
    refused("data", "info", "--storage", "sqlite:///none.db", said=["no database there yet"])
    assert (
        "used by no study of the database" in bench.run("data", "info", "--storage", f"sqlite:///{empty_database}").out
    )
    monkeypatch.setenv("KERNBENCH_STORAGE", "postgresql+psycopg://me:secret@127.0.0.1:1/name")
    ended = bench.run("data", "info")
    assert ended.code == 0, ended
    assert ended.err.startswith("kernbench: warning: studies are not named: "), ended
    assert "secret" not in ended.err


def test_what_is_not_one_cell_is_refused_in_one_line(smoke_bench, stored, refused):
    def no(*words, said):
        refused("evaluate", *words, said=said)

    no(
        "--study",
        "grid",
        "--kernel-size",
        "9",
        said=["expected one cell, got 4 cells", "kernel_size=9,seed=0"],
    )
    no("--study", "grid", "--plugin", "siren", "--kernel-size", "9", said=["got 2 cells", "or --only seed=0"])
    no("--study", "gird", said=["no study 'gird'", "did you mean 'grid'?"])
    no("--study", "grid", "--plugin", "log", said=["no study of kernel family 'log'", "stored: discrete, siren"])
    no("--study", "grid", "--kernel-size", "65", said=["kernel_size=65: selects nothing; kernel_size is 9, 33"])
    no("--study", "search", "--split", "none", said=["has no 'none' lines; expected one of train, validation, test"])
    no("--study", "grid", "--weights", "x.pt", said=["--weights and --study exclude each other"])
    no("--weights", "x.pt", "--data", "x", "--kernel-size", "9", said=["--kernel-size and --only go with --study"])
    no("--study", "grid", "--published", "x", said=["--published goes without --study"])
    no(said=["expected --weights and --data, or --study, or --published"])


def test_lines_that_are_not_in_the_cache_come_with_the_command_that_makes_them(stored, refused, own_cache, monkeypatch):
    monkeypatch.setenv("KERNBENCH_CACHE", str(own_cache))
    said = ["are not in the cache", "`kernbench data simulate --study search --profile quick` makes them"]
    refused("evaluate", "--study", "search", said=said)
