"""Classical detectors on the page: found by lines and noise, drawn, and never in the way."""

import dataclasses
from itertools import pairwise

import pytest

from kernbench.report.figures.sweeps import sweep_figure
from kernbench.report.numbers.comparison import comparisons
from kernbench.report.numbers.detectors import Classical, baseline_facts, baseline_levels, baseline_table, classical
from kernbench.report.page.html import is_current
from kernbench.ulm.detectors.names import BLIND, METHODS
from kernbench.ulm.detectors.results import DetectorRow, Domain, write_rows


def make_rows(method, f1, fitted=None):
    """Ten tolerances of a method; F1 grows with the tolerance."""
    return [
        DetectorRow(
            method=method,
            tolerance_samples=tolerance,
            f1=f1 * (tolerance + 6) / 10,
            matched_f1=0.9 * f1 * (tolerance + 6) / 10,
            matched_precision=0.5,
            matched_recall=0.25,
            rmse_samples=float("nan") if method == "comb" else 1.5,
            bias_samples=0.1,
            threshold=0.3,
            matched_threshold=0.4,
            delay_samples=7,
            width_samples=float("nan") if method == "comb" else 3.0,
            setting="gain=<depth>",
            parameters=258,
            threshold_split="test" if method in BLIND else "validation",
            fitted_f1=f1 if fitted is None else fitted,
            lines=64,
            fit_seconds=1.0,
            line_ms=0.1,
        )
        for tolerance in range(10)
    ]


ROWS = [
    *make_rows("comb", 0.5),
    *make_rows("matched-filter", 0.55),
    *make_rows("fista-single", 0.7, fitted=0.6),
    *make_rows("fista-bank", 0.65, fitted=0.68),
    *make_rows("fir-257", 0.6),
]


@pytest.fixture
def runs(make_run, tmp_path):
    """Two cells with an artifact in a folder of their own, noise 8 %."""
    artifact = {"cell.npz": tmp_path / "artifacts" / "some-id"}
    definition = {"data": {"noise_percent": 8.0}, "protocol": 2}
    return [
        dataclasses.replace(make_run("siren", size, artifacts=False), artifacts=artifact, definition=definition)
        for size in (17, 65)
    ]


@pytest.fixture
def results(runs, tmp_path):
    path = Domain(runs[0].data_digest, 8.0, 8.0, "validation", 2).path(tmp_path / "artifacts")
    write_rows(ROWS, path)
    return path


def at_noise(run, percent, name="noise_percent"):
    return dataclasses.replace(run, params=run.params | {name: percent})


def only_level(runs):
    """Rows where all cells share their lines."""
    (comparison,) = comparisons(runs)
    return classical(comparison).levels.get("", [])


def test_results_are_found_by_lines_noise_and_threshold_split(runs, results):
    assert len(only_level(runs)) == len(ROWS)
    for definition in (
        {"data": {"noise_percent": 0.0}},
        {"data": {"noise_percent": 8.0, "test_noise_percent": 16.0}},
        {"data": {"noise_percent": 8.0}, "evaluation": {"threshold_split": "train"}},
        {"data": {"noise_percent": 8.0}, "protocol": 1},
    ):
        other = {"protocol": 2} | definition
        assert only_level([dataclasses.replace(run, definition=other) for run in runs]) == []
    assert only_level([dataclasses.replace(run, data_digest="another") for run in runs]) == []
    assert only_level([at_noise(run, 2.0) for run in runs]) == []  # a noise axis decides where there is one
    as_the_others = {"data": {"noise_percent": 8.0, "test_noise_percent": -1.0}, "protocol": 2}
    assert only_level([dataclasses.replace(run, definition=as_the_others) for run in runs]) != []


def test_results_of_the_first_protocol_stay_with_its_cells(runs, tmp_path):
    """Noisy lines of each protocol version have a file of their own, clean ones share theirs."""
    noisy, clean = {"noise_percent": 8.0}, {"noise_percent": 0.0}
    names = [
        [Domain.of("abc", data, "validation", protocol).path(tmp_path).stem for protocol in (1, 2)]
        for data in (noisy, clean, clean | {"test_noise_percent": 8.0})
    ]
    assert names == [["abc-8", "abc-8-noise2"], ["abc-0", "abc-0"], ["abc-0-test8", "abc-0-test8-noise2"]]
    old, new = (dataclasses.replace(run, definition={"data": noisy, "protocol": n + 1}) for n, run in enumerate(runs))
    for place, (protocol, f1) in enumerate(((1, 0.4), (2, 0.5))):
        path = Domain.of(runs[0].data_digest, noisy, "validation", protocol).path(tmp_path / "artifacts")
        write_rows(make_rows("comb", f1), path)
        assert only_level([(old, new)[place]])[0].f1 == pytest.approx(0.6 * f1)
    assert classical(comparisons([old])[0]).missing == []  # no command adds to them
    (comparison,) = comparisons([old, new])
    assert list(classical(comparison).levels) == ["noise of protocol version 1", "noise of protocol version 2"]


def test_each_level_of_a_noise_axis_shows_its_own(runs, results, tmp_path):
    loud = Domain(runs[0].data_digest, 32.0, 32.0, "validation", 2).path(tmp_path / "artifacts")
    write_rows(make_rows("comb", 0.4), loud)
    (comparison,) = comparisons([at_noise(run, percent) for run in runs for percent in (8.0, 16.0, 32.0)])
    found = classical(comparison)
    assert {name: len(rows) for name, rows in found.levels.items()} == {"noise 8 %": len(ROWS), "noise 32 %": 10}
    assert baseline_levels(found, 4) == {}
    table = [row["method"] for row in baseline_table(found, 4)]
    assert table[0] == "noise 8 %"
    assert table[6:8] == ["noise 32 %", "comb (blind)"]
    assert set(METHODS) == set(found.missing)  # at 16 % there is nothing at all


def test_noise_of_the_test_lines_alone_and_several_data_sets_are_named(runs, results, tmp_path):
    other = Domain(runs[0].data_digest, 8.0, 32.0, "validation", 2).path(tmp_path / "artifacts")
    write_rows(make_rows("comb", 0.4), other)
    loud = [at_noise(run, percent, "test_noise_percent") for run in runs for percent in (8.0, 32.0)]
    names = ["noise of the test lines 8 %", "noise of the test lines 32 %"]
    assert list(classical(comparisons(loud)[0]).levels) == names
    (comparison,) = comparisons([runs[0], dataclasses.replace(runs[1], data_digest="another")])
    assert list(classical(comparison).levels) == [f"data {runs[0].data_digest}"]


def test_what_was_not_run_is_named_with_the_command_that_runs_it(runs, results):
    definition = {"data": {"noise_percent": 8.0, "window": 2048}, "protocol": 2}
    (comparison,) = comparisons([dataclasses.replace(run, definition=definition) for run in runs])
    found = classical(comparison)
    stored = {row.method for row in ROWS}
    assert found.missing == [name for name in METHODS if name not in stored and name != "fir-4097"]
    last = baseline_table(found, 4)[-1]
    assert last["method"] == "not run"
    assert last["setting"].startswith("random, envelope, wiener, ")
    command = f"kernbench baselines --study k_sweep --profile quick --methods {','.join(found.missing)}"
    assert last["setting"].endswith(f"`{command}`, with the --storage of this report")


def test_the_command_names_the_family_that_an_axis_belongs_to(runs):
    (comparison,) = comparisons([dataclasses.replace(run, params=run.params | {"omega_0": 30.0}) for run in runs])
    assert classical(comparison).command.endswith(" --plugin siren")


def test_with_every_method_there_is_nothing_left_to_run(runs, results):
    write_rows([row for name in METHODS for row in make_rows(name, 0.5)], results)
    (comparison,) = comparisons(runs)
    assert classical(comparison).missing == []
    assert baseline_table(classical(comparison), 4)[-1]["method"] == "fir-4097"


def test_of_each_group_the_one_that_was_fitted_best_is_drawn():
    found = Classical({"": ROWS}, [], "")
    assert baseline_levels(found, 4) == {"matched-filter": 0.55, "fista-bank": 0.65, "fir-257": 0.6}


def test_the_table_has_every_method_and_no_nan():
    table = baseline_table(Classical({"": ROWS}, [], ""), 4)
    assert [row["method"] for row in table][:2] == ["comb (blind)", "matched-filter"]
    assert table[0]["rmse"] == "–"
    assert list(table[1].items()) == [
        *zip(("method", "f1", "matched_f1"), ("matched-filter", "0.550", "0.495"), strict=True),
        *zip(("precision", "recall", "rmse", "rmse_um"), ("0.500", "0.250", "1.50", "17.8"), strict=True),
        *zip(("delay", "width", "parameters", "setting"), ("7", "3", "258", "gain=<depth>"), strict=True),
    ]


def test_lines_and_labels_are_drawn_apart(runs):
    (comparison,) = comparisons(runs)
    levels = {"wiener": 0.600, "fista-bank": 0.601, "fir-257": 0.602}
    figure = sweep_figure(comparison, levels)
    texts = [text for text in figure.axes[0].texts if any(name in text.get_text() for name in levels)]
    places = sorted(text.get_position()[1] for text in texts)
    assert len(places) == 3
    low, high = figure.axes[0].get_ylim()
    assert min(b - a for a, b in pairwise(places)) > 0.04 * (high - low)
    drawn = [line.get_ydata()[0] for line in figure.axes[0].lines if len(set(line.get_ydata())) == 1]
    assert set(levels.values()) <= set(drawn)


def test_the_page_shows_them_and_is_out_of_date_when_they_change(runs, results, page_of, tmp_path):
    page = page_of(runs)
    assert "Classical detectors on the same lines" in page.text
    assert "gain=&lt;depth&gt;" in page.html
    assert is_current(runs, tmp_path)
    write_rows(make_rows("wiener", 0.7), results)
    assert not is_current(runs, tmp_path)


def test_a_page_without_them_names_what_was_not_run(runs, page_of):
    page = page_of(runs)
    assert "Not run:" in page.text
    assert "kernbench baselines --study k_sweep --profile quick --methods random,comb," in page.text
    assert baseline_facts(runs) == []


def test_a_damaged_file_is_named_and_the_page_made(runs, results, page_of):
    results.write_text("nonsense\n1\n")
    assert "is no file of baseline results" in page_of(runs).text
