"""What enters no mean, or not the same one, is listed: one line for each kind, with counts and names."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from kernbench.cli.terminal.console import print_results
from kernbench.report.numbers.comparison import comparisons
from kernbench.report.numbers.left_out import left_out
from kernbench.report.numbers.provenance import provenance
from kernbench.report.page.csv_tables import write_tables

PROTOCOL_2 = {"protocol": 2}


def cut(run, split="test", lines=None, tolerances=None):
    """A cell whose last lines or tolerances of a split are lost."""
    scores = run.scores[split]
    parts = {name: getattr(scores, name)[:tolerances, :lines] for name in ("tp", "fp", "fn")}
    vectors = {name: getattr(scores, name)[:tolerances] for name in ("tolerances", "thresholds")}
    lost = dataclasses.replace(scores, **parts, **vectors)
    return dataclasses.replace(run, scores=run.scores | {split: lost})


def said(runs):
    (found,) = comparisons(runs)
    return left_out(found)


def means(runs):
    """Mean F1 of each point with a score, by series and place."""
    (found,) = comparisons(runs)
    return {(series.name, point.x): point.mean_f1(4) for series in found.series for point in series.scored}


def test_nothing_is_listed_where_every_cell_counts(make_run):
    assert said([make_run(family, seed=seed, asked=2) for family in ("siren", "discrete") for seed in (0, 1)]) == []


def test_cells_that_have_not_ended_are_named_also_of_families_without_any_result(make_run):
    gaps = {"k_sweep.v1.quick/siren": ("kernel_size=129,seed=1",), "k_sweep.v1.quick/log": ("kernel_size=9,seed=0",)}
    runs = [make_run("siren", asked=2, missing=gaps), make_run("discrete", asked=1, missing=gaps)]
    names = "log kernel_size=9,seed=0; siren kernel_size=129,seed=1"
    assert said(runs) == [f"2 of 4 cells missing (not run, waiting or running): {names}"]
    (text,) = said([make_run(asked=24)])  # names are not known
    assert text == "23 of 24 cells missing (not run, waiting or running)"
    many = {"k_sweep.v1.quick/siren": tuple(f"kernel_size={k},seed=0" for k in range(3, 21, 2))}
    (text,) = said([make_run(asked=10, missing=many)])
    assert text.endswith("kernel_size=13,seed=0; and 3 more")


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda run: dataclasses.replace(run, scores={}), "no scores on the test lines are stored"),
        (lambda run: cut(run, lines=63), "scores of 63 of 64 test lines are stored"),
        (lambda run: cut(run, tolerances=8), "scores at 8 of 10 tolerances are stored"),
        (lambda run: cut(run, tolerances=3), "no scores at the headline tolerance of 4 samples are stored"),
    ],
)
def test_incomplete_scores_enter_no_mean_and_are_listed_with_the_reason(harm, why, make_run, tmp_path):
    whole = [make_run(seed=seed) for seed in (0, 1)]
    runs = [*whole, harm(make_run(seed=2))]
    assert said(runs) == [f"1 cell with incomplete scores, in no mean: siren kernel_size=65,seed=2 ({why})"]
    assert means(runs) == means(whole)
    (found,) = comparisons(runs)
    assert found.points[0].status == "ok 2, incomplete 1"
    assert [run.message for run in found.not_ok] == [why]
    write_tables([found], tmp_path)
    assert any("incomplete" in path.read_text(encoding="utf-8") for path in tmp_path.glob("*cells*.csv"))


@pytest.mark.parametrize("harm", [{"lines": 31}, {"tolerances": 3}])
def test_incomplete_validation_scores_choose_no_best_point(harm, make_run):
    (found,) = comparisons([make_run(seed=0), cut(make_run(seed=1), "validation", **harm)])
    assert found.points[0].validation is None
    assert not found.best_on_validation


def test_cells_without_a_result_are_listed_by_kind_and_below_the_table_of_the_terminal(make_run, capsys, monkeypatch):
    runs = [
        make_run("siren"),
        make_run("siren", 129, status="diverged"),
        make_run("log", status="oom"),
        make_run("log", 129, status="oom"),
        make_run("log", 17, status="error", lacking=0),
        make_run("discrete", lacking=2),
    ]
    lines = [
        "1 cell diverged, a result without a score, in no mean: siren kernel_size=129,seed=0",
        "1 cell without a result (error): log kernel_size=17,seed=0",
        "2 cells without a result (oom): log kernel_size=65,seed=0; log kernel_size=129,seed=0",
        "1 cell in the means without all of their artifacts: discrete kernel_size=65,seed=0",
    ]
    assert said(runs) == lines
    monkeypatch.setattr("kernbench.store.reading.runs.load_runs", lambda *_, **__: runs)
    print_results(SimpleNamespace(key="k_sweep.v1.quick/siren"), "sqlite:///none.db")
    assert capsys.readouterr().out.splitlines()[-4:] == lines


@pytest.mark.parametrize(
    ("other", "line"),
    [
        ({"definition": PROTOCOL_2}, "protocol 1: 2 cells, protocol 2: 2 cells"),
        ({"definition": {"task": "ulm-1d.2"}}, "task ulm-1d.2: 2 cells, task unknown: 2 cells"),
        ({"data_digest": "other"}, "data ba9876543210: 2 cells, data other: 2 cells"),
    ],
)
def test_other_scores_or_lines_are_neither_averaged_nor_compared(other, line, make_run):
    families = ("siren", "discrete")
    old = [make_run(family, seed=0) for family in families]
    new = [make_run(family, seed=1, quality=0.6, **other) for family in families]
    assert said(old + new) == [f"{line}; they are neither averaged nor compared with each other"]
    assert sorted(means(old + new).values()) == pytest.approx(sorted([*means(old).values(), *means(new).values()]))
    (found,) = comparisons(old + new)
    compared = [(each.first.scored[0], each.second.scored[0]) for each in found.differences]
    assert len(compared) == 2  # a reference for each
    assert all((one in new) == (another in new) for one, another in compared)
    crossed = [old[0], new[1]]
    assert comparisons(crossed)[0].differences == []


@pytest.mark.parametrize(
    ("other", "line"),
    [
        ({"plugin": "mine 2.0"}, "plugin mine 1.0, source a: 2 cells, plugin mine 2.0, source a: 1 cell"),
        ({"plugin_source": "b"}, "plugin mine 1.0, source a: 2 cells, plugin mine 1.0, source b: 1 cell"),
        ({"digest": "another"}, "definition 0123456789ab: 2 cells, definition another: 1 cell"),
    ],
)
def test_kernels_of_another_plugin_or_definition_under_one_name_are_not_averaged(other, line, make_run):
    mine = {"plugin": "mine 1.0", "plugin_source": "a"}
    old = [make_run(seed=seed, **mine) for seed in (0, 1)]
    runs = [*old, make_run(seed=2, quality=0.5, **mine | other), make_run("discrete")]
    assert said(runs) == [f"siren: {line}; they are not averaged"]
    f1 = [mean for (name, _), mean in means(runs).items() if name.startswith("siren")]
    assert f1[0] == pytest.approx(means(old)["siren", 65])
    assert len(f1) == 2


def test_an_edited_checkout_of_kernbench_splits_no_bundled_family(make_run):
    runs = [make_run(seed=seed, plugin_source=source) for seed, source in enumerate("ab")]
    assert said(runs) == []
    assert len(means(runs)) == 1


def test_releases_of_kernbench_split_no_bundled_family_and_are_said(make_run):
    runs = [
        make_run(seed=seed, plugin=f"kernbench {v}", kernbench_version=v) for seed, v in enumerate(("0.1.0", "0.2.0"))
    ]
    assert said(runs) == []
    assert len(means(runs)) == 1
    assert "kernbench versions: 0.1.0 (1 cell), 0.2.0 (1 cell)" in provenance(runs).warnings


def test_a_failed_seed_stays_beside_the_others_of_its_family(make_run):
    runs = [make_run("discrete"), *(make_run("siren", seed=s, data_digest="other") for s in (0, 1))]
    (found,) = comparisons([*runs, make_run("siren", seed=2, status="killed", data_digest="")])
    assert [series.name for series in found.series] == ["discrete, data ba9876543210", "siren, data other"]
    assert found.series[1].points[0].status == "ok 2, killed 1"
    assert np.isfinite(found.series[1].points[0].mean_f1(4))
