"""Holm, priors, ranks, matrices, profiles and calibration against other programs and simulated truth."""

import numpy as np
import pytest
import scikit_posthocs
import scipy
from crossed import crossed
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from kernbench.errors import KernbenchError
from kernbench.statistics.calibration import calibrate
from kernbench.statistics.contrast import spread_of
from kernbench.statistics.matrix import comparison_matrix
from kernbench.statistics.moderation import fit_prior, seed_prior
from kernbench.statistics.multiplicity import holm
from kernbench.statistics.profiles import largest_against_others, profile, slope
from kernbench.statistics.ranks import ranks


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_is_that_of_statsmodels(p_values):
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


@pytest.mark.parametrize(("df0", "df"), [(4, 2), (10, 4), (20, 9)])
def test_prior_of_simulated_variances_is_found(df0, df):
    rng = np.random.default_rng(0)
    true = df0 * 0.013**2 / rng.chisquare(df0, 8000)
    got = fit_prior(true * rng.chisquare(df, 8000) / df, [df] * 8000)
    assert got.variance == pytest.approx(0.013**2, rel=0.05)
    assert got.df == pytest.approx(df0, rel=0.15)


def test_prior_solves_the_equations_of_moments():
    # Smyth (2004), section 6.2: mean and variance of log(s^2) under the fitted F distribution are those of the sample.
    variances, df = np.array([0.3, 1.1, 2.9, 0.05, 0.8, 6.0]) * 1e-4, np.array([9, 12, 8, 15, 11, 10])
    got = fit_prior(variances, df)
    logs = np.log(variances) - scipy.special.digamma(df / 2) + np.log(df / 2)
    half = got.df / 2
    assert logs.mean() == pytest.approx(np.log(got.variance) - scipy.special.digamma(half) + np.log(half))
    assert logs.var(ddof=1) == pytest.approx(
        scipy.special.polygamma(1, half) + scipy.special.polygamma(1, df / 2).mean()
    )


def test_equal_variances_give_half_of_all_degrees_of_freedom_and_none_gives_no_prior():
    assert fit_prior([1e-4] * 5, [3] * 5) == pytest.approx((1e-4, 7.5))
    assert fit_prior([0, 0], [1, 1]) == (0, 1)
    assert seed_prior([np.zeros((1, 5)), np.ones((1, 5))]) is None
    with pytest.raises(KernbenchError, match="variances of at least 0"):
        fit_prior([-1.0], [2])


def test_a_matrix_of_seeds_alone_is_students_test_with_holm():
    rng = np.random.default_rng(0)
    seeds = rng.normal([[0.8], [0.79], [0.77], [0.8]], 0.01, (4, 6))
    pairs = comparison_matrix([np.tile(row[:, None], 3) for row in seeds])
    want = scikit_posthocs.posthoc_ttest(list(seeds), p_adjust="holm", equal_var=True).to_numpy()
    assert len(pairs) == 6
    for pair in pairs:
        assert pair.comparison.p_value == pytest.approx(want[pair.row, pair.column], rel=1e-6)


def test_entries_of_a_matrix_do_not_depend_on_the_other_families():
    cells = crossed(np.random.default_rng(1), (0.8, 0.7, 0.75), [0.01] * 3, (3, 4, 5), 50)
    three, two = comparison_matrix(cells), comparison_matrix(cells[:2])
    assert three[0].comparison.difference == two[0].comparison.difference
    assert (three[0].wins, three[0].ties, three[0].losses) == (two[0].wins, two[0].ties, two[0].losses)
    assert three[0].wins + three[0].ties + three[0].losses == 50
    assert three[0].wins == (cells[0].mean(axis=0) > cells[1].mean(axis=0)).sum()


def test_ranks_are_sure_of_large_differences_and_unsure_of_none():
    rng = np.random.default_rng(2)
    clear = ranks(crossed(rng, (0.6, 0.9, 0.75), [0.01] * 3, [4] * 3, 100))
    assert [(one.rank, one.low, one.high) for one in clear] == [(3, 3, 3), (1, 1, 1), (2, 2, 2)]
    same = ranks(crossed(rng, [0.8] * 4, [0.013] * 4, [3] * 4, 100))
    assert sum(one.first for one in same) == pytest.approx(1)
    assert all(one.high - one.low >= 2 for one in same)


def test_a_family_that_is_no_better_is_rarely_surely_first():
    rng = np.random.default_rng(3)
    sure = [
        max(one.first for one in ranks(crossed(rng, [0.8] * 2, [0.013] * 2, [2] * 2, 60))) > 0.975 for _ in range(150)
    ]
    assert np.mean(sure) <= 0.1  # drawing from the two seeds themselves says it of one pair in three


def test_profile_and_interquartile_mean():
    rng = np.random.default_rng(4)
    runs = [rng.normal(0.8, 0.02, 5), np.array([0.1, 0.8, 0.81, 0.79, 0.8])]
    got = profile(runs, [0.0, 0.5, 0.99])
    assert got.above == pytest.approx([1, 0.9, 0])
    assert got.middle == pytest.approx(scipy.stats.trim_mean(np.concatenate(runs), 0.25))
    assert (got.low <= got.above).all()
    assert (got.above <= got.high).all()
    assert got.middle_low < got.middle < got.middle_high
    with pytest.raises(KernbenchError, match="finite score"):
        profile([[np.nan]], [0.5])


def test_trend_over_kernel_sizes():
    rng, sizes = np.random.default_rng(5), [33, 65, 129, 257]
    cells = crossed(rng, [0.6, 0.65, 0.7, 0.75], [0.005] * 4, [4] * 4, 200)
    got = slope(cells, sizes)
    steps = np.log2(sizes)
    assert got.value == pytest.approx(np.polyfit(steps, [cell.mean() for cell in cells], 1)[0])
    low, high = got.interval(0.95)
    assert low < 0.05 < high
    assert low > 0.03
    against = largest_against_others(cells, sizes)
    assert list(against) == [33, 65, 129]
    assert against[33].verdict == "better"
    with pytest.raises(KernbenchError, match="at least two kernel sizes"):
        slope(cells[:2], [65, 65])


def test_calibration_of_a_family_against_itself():
    rng = np.random.default_rng(6)
    rates = [calibrate(crossed(rng, [0.8], [0.013], [6], 60)[0]).rate for _ in range(15)]
    assert np.mean(rates) <= 0.07
    assert calibrate(np.zeros((3, 5))) is None
    # Half of the seeds are another family: a test that trusts the split would be wrong often.
    assert calibrate(np.repeat([[0.5], [0.9]], 2, axis=0) + rng.normal(0, 0.001, (4, 30))).rate > 0.2


def test_networks_on_other_lines_are_no_further_sample_of_the_spread():
    rng = np.random.default_rng(8)
    cells = crossed(rng, [0.8] * 4, [0.01, 0.02, 0.015, 0.01], [5] * 4, 60)
    prior = seed_prior(cells)
    twice = seed_prior([*cells, *cells], [*range(4), *range(4)])
    assert twice.variance == pytest.approx(prior.variance)
    assert twice.df == pytest.approx(prior.df)
    assert seed_prior([*cells, *cells]).df > prior.df  # as if they had been trained twice
    means = seed_prior([cells[0], cells[1], cells[2]], ["a", "a", "b"])
    apart = [spread_of(cell).seed_variance for cell in cells[:3]]
    expected = fit_prior([(apart[0] + apart[1]) / 2, apart[2]], [4, 4])
    assert (means.variance, means.df) == pytest.approx((expected.variance, expected.df))
