"""F1 of single lines in the report against numpy and scipy, and the figure of it."""

import dataclasses

import numpy as np
import pytest
from html_page import f1_of
from scipy.stats import binned_statistic, spearmanr

from kernbench.report.figures.spreads import density_figure
from kernbench.report.numbers.comparison import comparisons
from kernbench.report.numbers.lines import line_statistics, point_bins
from kernbench.study.reference import Reference

BUBBLES = tuple(range(0, 1001, 100))
PRESSURE = (5, *range(25, 251, 25))


def known(run):
    return {"bubbles": run.lines.facts["bubbles"], "pressure_kpa": run.lines.facts["pressure_pa"] / 1e3}


def test_statistics_over_lines_are_means_over_seeds(make_run):
    runs = [make_run(seed=seed, lines=100) for seed in (0, 1)]
    found = {tolerance: values for _, tolerance, values in line_statistics(comparisons(runs)[0])}
    assert list(found) == [0, 4, 9]
    assert [t for _, t, _ in line_statistics(comparisons([make_run(tolerance=2)])[0])] == [0, 2, 4, 9]
    for tolerance, values in found.items():
        f1 = np.array([f1_of(run, tolerance) for run in runs])
        assert values["sd"] == pytest.approx(f1.std(axis=1).mean())
        assert values["q05"] == pytest.approx(np.percentile(f1, 5, axis=1).mean())
        assert (values["min"], values["max"]) == pytest.approx((f1.min(axis=1).mean(), f1.max(axis=1).mean()))
        for name, by in known(runs[0]).items():
            expected = np.mean([spearmanr(row, by).statistic for row in f1])
            assert values[f"spearman_{name}"] == pytest.approx(expected)


@pytest.mark.parametrize(("axis", "edges"), [("bubbles", BUBBLES), ("pressure_kpa", PRESSURE)])
def test_bins_are_the_published_ones(make_run, axis, edges):
    run = make_run(lines=200)
    (point,) = comparisons([run])[0].points
    expected = binned_statistic(known(run)[axis], f1_of(run, 4), bins=edges).statistic
    assert point_bins(point, axis, 4).mean == pytest.approx(expected)


def test_bins_in_the_table_are_those_of_the_lines(page_of, make_run):
    run = make_run(lines=120)
    page = page_of([run])
    mine = [row for row in page.table("bins") if (row["axis"], row["tolerance_samples"]) == ("bubbles", "9")]
    assert [float(row["low"]) for row in mine] == list(BUBBLES[:-1])
    assert sum(int(row["lines"]) for row in mine) == 120
    last = run.lines.facts["bubbles"] >= 900
    assert float(mine[-1]["f1_mean"]) == pytest.approx(f1_of(run, 9)[last].mean())
    assert "F1 of single lines in numbers" in page.text


def test_unknown_lines_leave_correlations_and_bins_out(page_of, make_run):
    run = dataclasses.replace(make_run(lines=30), lines=None)
    _, _, found = next(line_statistics(comparisons([run])[0]))
    assert np.isnan(found["spearman_bubbles"])
    assert not np.isnan(found["median"])
    page = page_of([run])
    assert page.table("bins") == []
    assert "with no blind floor stored beside it" in page.text
    assert "below the blind floor" not in page.text


def test_figure_draws_bins_lines_and_published_means(make_run):
    values = tuple(np.linspace(0.9, 0.8, 10))
    row = Reference("A, Fig. 2", "discrete", "test", "mean", "bubbles", BUBBLES, values, tolerance=4)
    run = make_run("discrete", lines=200, references=(row,))
    figure = density_figure(comparisons([run])[0])
    upper, _, lower, _ = figure.axes
    squares = [line.get_xydata() for line in lower.lines if line.get_marker() == "s"]
    assert squares[0][:, 0].tolist() == [50.0 + 100 * place for place in range(10)]
    assert squares[0][:, 1] == pytest.approx(values)
    assert not [line for line in upper.lines if line.get_marker() == "s"]
    dots = next(line.get_xydata() for line in upper.lines if line.get_marker() == ".")
    assert np.array_equal(dots, np.column_stack([run.lines.facts["bubbles"], f1_of(run, 0)]))
    means = next(line.get_xydata() for line in lower.lines if line.get_marker() == "o")
    (point,) = comparisons([run])[0].points
    assert means[:, 1] == pytest.approx(point_bins(point, "bubbles", 4).mean)
