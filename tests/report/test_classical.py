"""Classical detectors on the page: found by lines and noise, drawn, and never in the way."""

import dataclasses
from itertools import pairwise

import pytest

from kernbench.report.baselines import baseline_facts, baseline_levels, baseline_rows, baseline_table
from kernbench.report.gather import comparisons
from kernbench.report.html import is_current, write_report
from kernbench.report.sweeps import sweep_figure
from kernbench.ulm.baselines.results import Row, results_path, write_rows


def make_rows(method, f1, fitted=None):
    """Ten tolerances of a method; F1 grows with the tolerance."""
    return [
        Row(
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
            threshold_split="validation",
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
    definition = {"data": {"noise_percent": 8.0}}
    return [
        dataclasses.replace(make_run("siren", size, artifacts=False), artifacts=artifact, definition=definition)
        for size in (17, 65)
    ]


@pytest.fixture
def results(runs, tmp_path):
    path = results_path(tmp_path / "artifacts", runs[0].data_digest, 8.0)
    write_rows(ROWS, path)
    return path


def test_results_are_found_by_lines_and_noise(runs, results):
    (comparison,) = comparisons(runs)
    assert len(baseline_rows(comparison)) == len(ROWS)
    quiet = [dataclasses.replace(run, definition={"data": {"noise_percent": 0.0}}) for run in runs]
    assert baseline_rows(comparisons(quiet)[0]) == []
    others = [runs[0], dataclasses.replace(runs[1], data_digest="another")]
    assert baseline_rows(comparisons(others)[0]) == []


def test_a_noise_axis_decides_where_there_is_one(runs, results):
    noisy = [dataclasses.replace(run, params=run.params | {"noise_percent": 2.0}) for run in runs]
    assert baseline_rows(comparisons(noisy)[0]) == []


def test_of_each_group_the_one_that_was_fitted_best_is_drawn():
    assert baseline_levels(ROWS, 4) == {"matched-filter": 0.55, "fista-bank": 0.65, "fir-257": 0.6}


def test_the_table_has_every_method_and_no_nan():
    table = baseline_table(ROWS, 4)
    assert [row["method"] for row in table][:2] == ["comb (blind)", "matched-filter"]
    assert table[0]["rmse"] == "–"
    assert table[1] | {"setting": ""} == {
        "method": "matched-filter",
        "f1": "0.550",
        "matched_f1": "0.495",
        "precision": "0.500",
        "recall": "0.250",
        "rmse": "1.50",
        "rmse_um": "17.8",
        "delay": "7",
        "width": "3",
        "parameters": "258",
        "setting": "",
    }


def test_lines_and_labels_are_drawn_apart(runs):
    (comparison,) = comparisons(runs)
    levels = {"wiener": 0.600, "fista-bank": 0.601, "fir-257": 0.602}
    figure = sweep_figure(comparison, levels)
    texts = [text for text in figure.axes[0].texts if any(name in text.get_text() for name in levels)]
    places = sorted(text.get_position()[1] for text in texts)
    assert len(places) == 3
    assert min(b - a for a, b in pairwise(places)) > 0.04
    drawn = [line.get_ydata()[0] for line in figure.axes[0].lines if len(set(line.get_ydata())) == 1]
    assert set(levels.values()) <= set(drawn)


def test_the_page_shows_them_and_is_made_anew_when_they_change(runs, results, tmp_path):
    out = tmp_path / "report"
    page = write_report(runs, out).read_text(encoding="utf-8")
    assert "Classical detectors on the same lines" in page
    assert "gain=&lt;depth&gt;" in page
    assert is_current(runs, out)
    write_rows(make_rows("wiener", 0.7), results)
    assert not is_current(runs, out)


def test_a_page_without_them_says_nothing(runs, tmp_path):
    page = write_report(runs, tmp_path / "report").read_text(encoding="utf-8")
    assert "Classical detectors on the same lines" not in page
    assert baseline_facts(runs) == []


def test_a_damaged_file_is_named_and_the_page_made(runs, results, tmp_path):
    results.write_text("nonsense\n1\n")
    page = write_report(runs, tmp_path / "report").read_text(encoding="utf-8")
    assert "is no file of baseline results" in page
