"""What a page says was trained, and the table of families against the axis."""

import dataclasses

import numpy as np
import pytest

from kernbench.report.numbers.comparison import comparisons
from kernbench.report.numbers.matrix import matrix
from kernbench.report.numbers.setup import setup_rows
from kernbench.study.durations import duration

DEFINITION = {
    "network": {"name": "dilated", "depth": 12, "channels": 16, "gain": "unit"},
    "data": {"train": 128, "validation": 64, "test": 100, "window": 2048, "population": "mono", "test_population": ""},
    "training": {"epochs": 60, "rate": 0.002, "update": "per-batch"},
    "evaluation": {"tolerance": 4},
    "kernel": {"family": "siren", "hyper": {"omega_0": 30.0}},
    "task": "ulm-1d.1",
    "protocol": 2,
}


def test_setup_says_network_lines_training_seeds_and_hyperparameters(make_run):
    plain = DEFINITION | {"kernel": {"family": "discrete", "hyper": {}}}
    runs = [make_run("siren", size, seed, definition=DEFINITION) for size in (65, 129) for seed in (0, 1)]
    runs.append(make_run("discrete", definition=plain))
    (found,) = comparisons(runs)
    rows = dict(setup_rows(found))
    assert rows["families"] == "discrete, siren"
    assert (rows["kernel_size"], rows["seeds"]) == ("65, 129", "1 to 2")
    assert rows["network"] == "dilated, 12 layers, 16 channels, gain = unit"
    lines = "128 train, 64 validation, 100 test; windows of 2048 samples (32.8 µs); population = mono"
    assert rows["lines"] == lines
    assert rows["training"] == "epochs = 60, rate = 0.002, update = per-batch"
    assert rows["hyper-parameters of siren"] == "omega_0 = 30.0"
    assert rows["hyper-parameters of discrete"] == "no hyper-parameters"
    assert rows["protocol"] == "ulm-1d.1, version 2 of the scores"
    assert "siren 0123456789ab" in rows["digests"]
    assert rows["digests"].endswith("lines: ba9876543210")


def test_setup_of_old_and_failed_cells_says_what_is_known(make_run):
    (found,) = comparisons([make_run(status="diverged")])
    rows = dict(setup_rows(found))
    assert rows["families"] == "siren"
    assert rows["digests"].endswith("lines: none")
    assert "network" not in rows


def test_matrix_has_a_row_a_family_and_a_column_a_size(make_run):
    runs = [make_run(family, size, seed) for family in ("discrete", "siren") for size in (129, 65) for seed in (0, 1)]
    runs.append(make_run("gaussian", 65, status="diverged"))
    (found,) = comparisons(runs)
    table = matrix(found)
    assert table.columns == (65, 129)
    assert list(table.rows) == ["discrete", "gaussian", "siren"]
    assert [point and point.x for point in table.rows["siren"]] == [65, 129]
    assert table.rows["gaussian"][1] is None
    assert table.difference(table.rows["siren"][0]).second is table.rows["discrete"][0]
    assert table.difference(table.rows["discrete"][0]) is None
    assert table.difference(None) is None


def test_page_shows_question_setup_and_shaded_verdicts(make_run, page_of):
    def at(family, level, size, seed):
        run = make_run(family, size, seed, definition=DEFINITION, question="Which <kernel> size?")
        hits = np.full((10, 64), int(1000 * level) + seed)
        test = dataclasses.replace(run.scores["test"], tp=hits, fn=1000 - hits, fp=1000 - hits)
        return dataclasses.replace(run, scores=run.scores | {"test": test})

    levels = {"discrete": (0.6, 0.7), "siren": (0.8, 0.5)}
    runs = [
        at(family, level, size, seed)
        for family, both in levels.items()
        for level, size in zip(both, (65, 129), strict=True)
        for seed in (0, 1, 2)
    ]
    page = page_of(runs)
    assert "<h1>Which &lt;kernel&gt; size?</h1>" in page.html
    assert ["network", "dilated, 12 layers, 16 channels, gain = unit"] in page.rows
    assert page.html.count('<td class="number better"') == 1
    assert page.html.count('<td class="number worse"') == 1
    row = next(row for row in page.rows if row[0] == "siren" and row[1].startswith("0.801"))
    assert row[1].endswith(", better")
    assert row[2].endswith(", worse")


def test_setup_says_what_all_cells_cost(make_run):
    runs = [
        dataclasses.replace(make_run("siren", size), seconds=each)
        for size, each in ((65, 12.5), (129, 90.0), (257, None))
    ]
    (found,) = comparisons(runs)
    time = dict(setup_rows(found))["computing time"]
    assert time == "1 min 42 s for 2 cells on cpu; 12.5 s to 1 min 30 s each (wall time, training and evaluation)"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.52, "0.52 s"), (59.9, "59.9 s"), (60, "1 min"), (599, "9 min 59 s"), (1975, "33 min"), (9000, "2 h 30 min")],
)
def test_a_time_has_two_units_at_most(seconds, text):
    assert duration(seconds) == text


def test_many_families_share_a_row_of_hyperparameters(make_run):
    runs = [make_run(name, definition=DEFINITION) for name in "abcdefg"]
    (few,), (many,) = comparisons(runs[:6]), comparisons(runs)
    assert [name for name, _ in setup_rows(few) if name.startswith("hyper")] == [
        f"hyper-parameters of {c}" for c in "abcdef"
    ]
    rows = dict(setup_rows(many))
    assert rows["hyper-parameters"].startswith("a: omega_0 = 30.0. b: omega_0 = 30.0. c: ")
    assert rows["hyper-parameters"].count("omega_0 = 30.0") == 7
