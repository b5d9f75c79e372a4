"""F1 against the sampling rate of the test lines: a series a family, floors of each rate, change on the same lines."""

import dataclasses

import numpy as np
import pytest
from html_page import f1_of

from kernbench.report.figures.rates import rate_figure
from kernbench.report.numbers.comparison import comparisons
from kernbench.report.numbers.detectors import baseline_levels, classical
from kernbench.report.numbers.rates import rate_table, varies_rate
from kernbench.report.numbers.sentences import cautions

RATES = (31.25, 62.5, 125.0)


@pytest.fixture
def runs(make_run):
    """Two families at three rates, whose lines and floors are named after the rate."""
    found = []
    for family in ("discrete", "siren"):
        for place, rate in enumerate(RATES):
            params = {"kernel_size": 65, "test_rate": rate, "seed": 0}
            run = make_run(family, params=params, quality=0.6 + 0.1 * place, base="rate_transfer.v1.quick")
            floors = {name: floor - 0.05 * place for name, floor in run.lines.floors.items()}
            digest = "d" * 12 + ("" if rate == 62.5 else f"@{rate:g}MHz")
            lines = dataclasses.replace(run.lines, floors=floors)
            found.append(dataclasses.replace(run, data_digest=digest, lines=lines))
    return found


def test_rates_make_one_series_of_a_family_and_no_warning(runs):
    (comparison,) = comparisons(runs)
    assert varies_rate(comparison)
    assert [series.name for series in comparison.series] == ["discrete", "siren"]
    assert comparison.floors == ()
    assert not any("different data sets" in said for said in cautions(comparison))


def test_lines_of_other_bubbles_still_are_a_series_of_their_own(runs):
    other = dataclasses.replace(runs[0], data_digest="e" * 12)
    (comparison,) = comparisons([other, *runs[1:]])
    assert len(comparison.series) > 2
    assert any("different data sets" in said for said in cautions(comparison))


def test_the_table_has_the_floors_of_each_rate_and_the_change_on_the_same_lines(runs):
    (comparison,) = comparisons(runs)
    table = rate_table(comparison)
    assert [row["rate"] for row in table] == ["31.25", "62.5", "125"] * 2
    usual = f1_of(runs[1], 4)
    for row, run in zip(table, runs, strict=True):
        assert float(row["f1"].split()[0]) == pytest.approx(f1_of(run, 4).mean(), abs=5.1e-4)
        assert float(row["comb"]) == pytest.approx(run.lines.floors["comb"][4], abs=5.1e-4)
    assert float(table[0]["change"].split()[0]) == pytest.approx((f1_of(runs[0], 4) - usual).mean(), abs=5.1e-4)
    assert [row["change"] for row in table[1::3]] == ["–", "–"]
    assert {row["matched"] for row in table} == {"–"}
    paired = [dataclasses.replace(run, matched={"f1": [0.1 * t for t in range(10)]}) for run in runs]
    assert {row["matched"] for row in rate_table(comparisons(paired)[0])} == {"0.400"}


def test_the_figure_stands_rates_side_by_side_with_their_floor(runs):
    (comparison,) = comparisons(runs)
    panel = rate_figure(comparison).axes[0]
    drawn = [np.asarray(line.get_ydata(), float) for line in panel.lines]
    for tolerance in (0, 4, 8):
        means = [f1_of(run, tolerance).mean() for run in runs[:3]]
        assert any(len(each) == 3 and np.allclose(each, means) for each in drawn)
    floors = [run.lines.floors["comb"][4] for run in runs[:3]]
    assert any(len(each) == 3 and np.allclose(each, floors) for each in drawn)
    assert [label.get_text() for label in panel.get_xticklabels()] == ["31.25", "62.5", "125"]


def test_the_page_says_what_was_resampled(runs, page_of):
    page = page_of(runs)
    assert "Sampling rate of the test lines" in page.text
    assert "Lines were resampled, noise included" in page.text


def test_classical_detectors_stand_beside_the_rate_that_they_met(runs, tmp_path, monkeypatch):
    there = [dataclasses.replace(run, artifacts={"weights.pt": tmp_path / "weights.pt"}) for run in runs]
    (comparison,) = comparisons(there)
    asked = []
    monkeypatch.setattr("kernbench.report.numbers.detectors.stored_rows", lambda path: asked.append(path.name) or [])
    assert baseline_levels(classical(comparison), 4) == {}
    assert asked == ["dddddddddddd-0.csv"]


@pytest.fixture
def delays(make_run):
    """Runs of one family, trained on labels of two delays; the name of their lines says which."""
    found = []
    for delay in (0, 85):
        run = make_run("discrete", params={"kernel_size": 65, "delay": delay, "seed": 0}, base="size_or_delay.v1.quick")
        found.append(dataclasses.replace(run, data_digest="d" * 12 + (f"@delay{delay}" if delay else "")))
    return found


def test_delays_are_compared_along_their_axis_without_a_warning(delays):
    (comparison,) = comparisons(delays)
    assert [series.name for series in comparison.series] == ["discrete"]
    assert not any("different data sets" in said for said in cautions(comparison))


def test_delays_of_different_definitions_are_series_of_their_own(delays):
    apart = []
    for run, delay in zip(delays, (0, 85), strict=True):
        data = dict(run.definition.get("data", {})) | ({"delay": delay} if delay else {})
        params = {name: value for name, value in run.params.items() if name != "delay"}
        apart.append(dataclasses.replace(run, definition=dict(run.definition) | {"data": data}, params=params))
    (comparison,) = comparisons(apart)
    assert [series.name for series in comparison.series] == ["discrete, delay 0", "discrete, delay 85"]


def test_rates_are_the_axis_also_where_kernels_are_read_in_as_many_ways(make_run):
    params = [
        {"kernel_size": 65, "test_rate": rate, "test_kernels": kernels, "seed": 0}
        for rate in (31.25, 62.5)
        for kernels in ("evaluated", "resampled")
    ]
    (comparison,) = comparisons([make_run("siren", params=each) for each in params])
    assert comparison.axis == "test_rate"
    assert len(rate_table(comparison)) == 4
