"""F1 by density and pressure against the published statistics and scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binned_statistic, spearmanr

from kernbench.errors import DataError
from kernbench.ulm.scoring.by_line import (
    BUBBLE_EDGES,
    PRESSURE_EDGES_KPA,
    bin_numbers,
    binned,
    rank_correlation,
)

# Protocol 8.4, HS_001: lines in each bin, and their mean F1 at t = 0 and 4.
BY_BUBBLES = (
    [67, 79, 107, 100, 94, 92, 107, 102, 107, 105],
    [0.6874, 0.5264, 0.4577, 0.4164, 0.3910, 0.3796, 0.3770, 0.3794, 0.3804, 0.3798],
    [0.9747, 0.9741, 0.9595, 0.9463, 0.9373, 0.9304, 0.9336, 0.9349, 0.9343, 0.9305],
)
BY_PRESSURE = (
    [73, 109, 92, 110, 97, 87, 112, 90, 90, 100],
    [0.3348, 0.3683, 0.3456, 0.3837, 0.4388, 0.4629, 0.4684, 0.4942, 0.4716, 0.4875],
    [0.8839, 0.9158, 0.8911, 0.9218, 0.9532, 0.9659, 0.9711, 0.9767, 0.9751, 0.9753],
)
SPEARMAN = {0: (-0.521, 0.672), 4: (-0.437, 0.745), 9: (-0.175, 0.792)}


@pytest.fixture(scope="module")
def statistics(reference):
    folder = reference / "srml1d/Statistics_HS_001"
    return {name: np.load(folder / f"{name}_matrix.npy") for name in ("F1", "num_bub", "press_acc")}


@pytest.mark.parametrize(
    ("by", "edges", "published"),
    [("num_bub", BUBBLE_EDGES, BY_BUBBLES), ("press_acc", PRESSURE_EDGES_KPA, BY_PRESSURE)],
)
def test_published_bins(statistics, by, edges, published):
    number, *means = published
    for tolerance, mean in zip((0, 4), means, strict=True):
        got = binned(statistics["F1"][tolerance], statistics[by][0], edges)
        assert got.number.tolist() == number
        assert got.mean == pytest.approx(mean, abs=5.1e-5)
        assert got.outside == 0


@pytest.mark.parametrize("tolerance", SPEARMAN)
def test_published_rank_correlations(statistics, tolerance):
    f1 = statistics["F1"][tolerance]
    got = [rank_correlation(f1, statistics[name][0]) for name in ("num_bub", "press_acc")]
    assert got == pytest.approx(SPEARMAN[tolerance], abs=5.1e-4)


def test_bins_agree_with_scipy_and_leave_out_empty_lines():
    rng = np.random.default_rng(0)
    f1, place = rng.random(300), rng.integers(0, 12, 300)
    expected = binned_statistic(place, f1, bins=[1, 4, 9, 10]).statistic
    got = binned(np.append(f1, np.nan), np.append(place, 5), [1, 4, 9, 10])
    assert got.mean == pytest.approx(expected)
    assert got.outside == ((place < 1) | (place > 10)).sum()
    assert np.isnan(binned([0.5], [2], [1, 2, 3]).mean[0])


@given(st.lists(st.tuples(st.integers(-3, 14), st.integers(0, 3)), min_size=1, max_size=30))
def test_bin_numbers_are_those_that_the_means_are_taken_over(lines):
    place, f1 = np.array(lines, float).T
    edges = [0, 1, 4, 9, 10]
    numbers, expected = bin_numbers(place, edges), binned(f1, place, edges)
    assert np.bincount(numbers[numbers >= 0], minlength=4).tolist() == expected.number.tolist()
    for number in set(numbers.tolist()) - {-1}:
        assert f1[numbers == number].mean() == pytest.approx(expected.mean[number])
    assert (numbers == -1).sum() == expected.outside


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=40))
def test_rank_correlation_agrees_with_scipy_where_values_repeat(lines):
    f1, place = np.array(lines, float).T
    if np.ptp(f1) and np.ptp(place):
        assert rank_correlation(f1, place) == pytest.approx(spearmanr(f1, place).statistic, abs=1e-12)
    else:
        assert np.isnan(rank_correlation(f1, place))


def test_correlation_of_what_does_not_vary_is_not_a_number():
    assert np.isnan(rank_correlation([0.5, np.nan], [1, 2]))
    assert rank_correlation([0.1, 0.2, np.nan], [5, 9, 0]) == pytest.approx(1)


def test_bad_arguments_are_refused():
    with pytest.raises(DataError, match="one value per line"):
        binned([1, 2], [1], [0, 1])
    for edges in ([0], [0, 0], [2, 1]):
        with pytest.raises(DataError, match="rising edges"):
            binned([1], [1], edges)


def test_lines_of_unknown_pressure_are_in_no_bin_and_in_no_correlation():
    nan = float("nan")
    found = binned([0.1, 0.2, 0.3, 0.4], [10, nan, 20, nan], [0, 15, 30])
    assert found.number.tolist() == [1, 1]
    assert found.outside == 2
    assert rank_correlation([0.1, 0.9, 0.3, 0.4], [10, nan, 20, 30]) == pytest.approx(1)
    assert np.isnan(rank_correlation([0.1, 0.2], [nan, nan]))
