"""Figures of large comparisons: a spread of values and the best series, said in the caption; small ones stay whole."""

import itertools
import re

import pytest

from kernbench.report.figures.layout import axis_places
from kernbench.report.figures.thinning import MOST_SERIES, MOST_VALUES, fewer_series, fewer_values, left_out
from kernbench.report.numbers.comparison import comparisons
from kernbench.report.page.html import write_report


@pytest.fixture(scope="module")
def long_axis(make_run):
    """60 kernel sizes, the best one off the even spread."""
    sizes = [2 * n + 3 for n in range(60)]
    return comparisons([make_run(kernel_size=size, quality=0.9 if size == 7 else 0.6, lines=16) for size in sizes])[0]


@pytest.fixture(scope="module")
def many_series(make_run):
    """20 depths of two families; those of the first are all better."""
    qualities = {"siren": 0.9, "discrete": 0.5}
    return comparisons(
        make_run(
            family,
            quality=quality - depth / 1000,
            params={"kernel_size": size, "depth": depth, "seed": 0},
            kernel_size=size,
            lines=16,
        )
        for family, quality in qualities.items()
        for depth in range(20)
        for size in range(3, 47, 2)
    )[0]


def test_a_small_comparison_stays_whole(make_run):
    comparison = comparisons([make_run(kernel_size=2 * n + 3) for n in range(MOST_VALUES)])[0]
    assert fewer_values(fewer_series(comparison)) is comparison
    assert left_out(comparison, comparison) == ""


def test_values_are_spread_over_the_axis_and_hold_the_best(long_axis):
    drawn = list(axis_places(fewer_values(long_axis)))
    assert MOST_VALUES <= len(drawn) <= MOST_VALUES + 1
    assert (drawn[0], drawn[-1]) == (3, 121)
    assert 7 in drawn
    assert max(b - a for a, b in itertools.pairwise(drawn)) <= 12
    assert fewer_values(long_axis).series[0].best is long_axis.series[0].best
    assert left_out(long_axis, fewer_values(long_axis)).startswith(
        f"The figure shows {len(drawn)} of 60 values of kernel_size"
    )


def test_every_family_keeps_its_best_series(many_series):
    drawn = fewer_series(many_series)
    assert len(many_series.series) == 40
    assert len(drawn.series) == MOST_SERIES
    assert {series.family for series in drawn.series} == {"siren", "discrete"}
    assert sum(series.family == "siren" for series in drawn.series) == 20  # better than any of the others
    assert [series.name for series in drawn.series] == [s.name for s in many_series.series if s in drawn.series]
    assert left_out(many_series, drawn).startswith(f"The figure shows {MOST_SERIES} of 40 series")


def test_the_page_says_what_its_figures_leave_out_and_tables_have_all(tmp_path, long_axis):
    page = write_report(long_axis.runs, tmp_path).read_text(encoding="utf-8")
    assert len(re.findall(r"The figure shows 1\d of 60 values of kernel_size", page)) >= 2
    assert len((tmp_path / "summary.csv").read_text().splitlines()) == 61
    assert page.count("<td>siren</td>") >= 60
