"""Families over all kernel sizes, and what their scores cost."""

import dataclasses

import numpy as np
import pytest
import scipy.stats
from crossed import crossed
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from kernbench.report.numbers import fronts
from kernbench.report.numbers.comparison import comparisons
from kernbench.report.numbers.fronts import SECONDS, costs, front
from kernbench.report.numbers.over_sizes import over_sizes
from kernbench.statistics.profiles import slope
from kernbench.study.columns import Column

SIZES = (9, 33, 129)
ROUNDED = 1e-3  # of an F1 that is made from whole counts


@pytest.fixture
def runs_of(make_run):
    """Runs of a family with the given F1: one table (seeds, lines) a kernel size."""

    def make(family, tables, **fields):
        runs = []
        for size, table in zip(SIZES, tables, strict=True):
            for seed, row in enumerate(table):
                run = make_run(family, size, seed, lines=len(row), **fields)
                hits = np.tile(np.round(np.clip(row, 0, 1) * 10_000).astype(int), (10, 1))
                test = dataclasses.replace(run.scores["test"], tp=hits, fn=10_000 - hits, fp=10_000 - hits)
                runs.append(dataclasses.replace(run, scores=run.scores | {"test": test}))
        return runs

    return make


def test_a_family_over_its_sizes_is_what_scipy_and_statsmodels_say(runs_of):
    rng, families = np.random.default_rng(3), {"discrete": 0.0, "siren": 0.02, "gaussian": -0.006}
    tables = {
        family: crossed(rng, [0.5 + place * step for place in range(3)], [0.01] * 3, [5] * 3, 40)
        for family, step in families.items()
    }
    runs = [run for family, made in tables.items() for run in runs_of(family, made)]
    (comparison,) = comparisons(runs)
    rows = {row.name: row for row in over_sizes(comparison)}
    alone = {name: slope(tables[name], SIZES, comparison.spread.prior) for name in rows}
    together = multipletests([each.p_value() for each in alone.values()], method="holm")[1]
    for (name, row), p_value in zip(rows.items(), together, strict=True):
        means = np.concatenate([table.mean(axis=1) for table in tables[name]])
        assert row.middle == pytest.approx(scipy.stats.trim_mean(means, 0.25), abs=ROUNDED)
        assert row.low < row.middle < row.high
        assert row.change == pytest.approx(alone[name].value, abs=ROUNDED)
        assert (row.change_low, row.change_high) == pytest.approx(alone[name].interval(0.95), abs=ROUNDED)
        assert row.p_value == pytest.approx(p_value, rel=0.05, abs=1e-9)
    assert (rows["siren"].trend, rows["discrete"].trend) == ("rises on average", "not decided")


@pytest.mark.parametrize(("seeds", "interval"), [(1, False), (4, False), (5, True)])
def test_few_seeds_have_no_interval_and_one_has_no_trend(runs_of, seeds, interval):
    tables = crossed(np.random.default_rng(0), (0.5, 0.6, 0.7), [0.01] * 3, [seeds] * 3, 30)
    (row,) = over_sizes(comparisons(runs_of("siren", tables))[0])
    assert np.isfinite(row.low) == interval
    assert (row.trend == "rises on average") == (seeds > 1)
    assert np.isfinite(row.change) == (seeds > 1)


def test_sizes_have_the_same_weight_whatever_their_seeds(runs_of):
    levels, seeds = (0.3, 0.8, 0.5), (10, 2, 5)
    tables = [np.full((count, 30), level) for level, count in zip(levels, seeds, strict=True)]
    (row,) = over_sizes(comparisons(runs_of("siren", tables))[0])
    assert row.middle == pytest.approx(scipy.stats.trim_mean(np.repeat(levels, 10), 0.25), abs=ROUNDED)


def test_one_line_has_no_trend(runs_of):
    (row,) = over_sizes(comparisons(runs_of("siren", [np.full((3, 1), level) for level in (0.2, 0.5, 0.8)]))[0])
    assert (row.trend, row.middle) == ("not decided", pytest.approx(0.5, abs=ROUNDED))


def test_another_axis_has_no_sizes(make_run):
    runs = [make_run(params={"omega_0": value, "kernel_size": 65, "seed": 0}) for value in (1, 2)]
    assert over_sizes(comparisons(runs)[0]) == []


class Cheap:
    """A point with a mean and a cost."""

    tolerance, interval = 4, True

    def __init__(self, mean, cost):
        self.f1, self.cost = mean, cost

    def mean_f1(self, _tolerance):
        return self.f1

    def value(self, _name):
        return self.cost


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6)), max_size=12))
def test_the_front_is_what_no_point_beats(pairs):
    points = [Cheap(mean, cost or np.nan) for mean, cost in pairs]
    known = [point for point in points if point.cost > 0]
    best = front(points, Column("n_params", "parameters", ""))
    expected = {
        (point.f1, point.cost)
        for point in known
        if not any(
            (other.f1 >= point.f1 and other.cost < point.cost) or (other.f1 > point.f1 and other.cost <= point.cost)
            for other in known
        )
    }
    assert {(point.f1, point.cost) for point in best} == expected
    assert len(best) == len(expected)


def test_only_costs_that_differ_are_drawn(make_run):
    runs = [make_run("siren", size, values={"n_params": 100 * size, "flops": 7.0}, seconds=5.0) for size in SIZES]
    found = costs(comparisons(runs)[0])
    assert [column.name for column in found] == ["n_params"]
    timed = [dataclasses.replace(run, seconds=run.params["kernel_size"]) for run in runs]
    assert costs(comparisons(timed)[0])[-1] is SECONDS
    assert fronts.cost_of(comparisons(timed)[0].points[1], SECONDS) == 33
