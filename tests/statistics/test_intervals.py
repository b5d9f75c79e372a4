"""Bootstrap intervals against scipy, normal theory and pairing by construction."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from kernbench.errors import KernbenchError
from kernbench.statistics.intervals import bootstrap_difference, bootstrap_mean


def test_interval_agrees_with_scipy():
    values = np.random.default_rng(0).beta(8, 2, 128)
    got = bootstrap_mean(values, resamples=20000)
    low, high = bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert got.mean == pytest.approx(values.mean())
    assert (got.low, got.high) == pytest.approx((low, high), abs=0.02 * (high - low) + 2e-4)


def test_published_interval_of_the_per_line_scores(reference):
    f1 = np.load(reference / "srml1d/Statistics_HS_001/F1_matrix.npy")
    at_0, at_4 = bootstrap_mean(f1[0]), bootstrap_mean(f1[4])
    assert (at_0.low, at_0.high) == pytest.approx((0.4198, 0.4336), abs=5e-4)
    assert (at_4.low, at_4.high) == pytest.approx((0.9413, 0.9465), abs=3e-4)


def test_same_seed_same_interval():
    values = np.random.default_rng(0).random(50)
    assert bootstrap_mean(values) == bootstrap_mean(values)
    assert bootstrap_mean(values) != bootstrap_mean(values, seed=1)


def test_one_line_has_no_interval():
    got = bootstrap_mean([0.5])
    assert got.mean == 0.5
    assert np.isnan([got.low, got.high]).all()


def test_seeds_are_an_outer_level():
    rng = np.random.default_rng(0)
    per_seed = np.array([0.6, 0.7, 0.8])[:, None] + rng.normal(0, 0.01, (3, 400))
    with_seeds, lines_only = bootstrap_mean(per_seed), bootstrap_mean(per_seed.mean(axis=0))
    assert with_seeds.seeds == 3
    # Lines hardly vary, so the spread is that of a mean of three draws with replacement.
    assert with_seeds.high - with_seeds.low > 0.1
    assert lines_only.high - lines_only.low < 0.005


def test_pairing_removes_what_lines_share():
    difficulty = np.random.default_rng(0).uniform(0.2, 0.9, 200)
    got = bootstrap_difference(difficulty + 0.01, difficulty)
    assert (got.mean, got.low, got.high) == pytest.approx((0.01, 0.01, 0.01))


def test_bad_values_are_refused():
    with pytest.raises(KernbenchError, match="finite"):
        bootstrap_mean([0.1, np.nan])
    with pytest.raises(KernbenchError, match="shape"):
        bootstrap_mean([])
    with pytest.raises(KernbenchError, match="same seeds and lines"):
        bootstrap_difference([0.1, 0.2], [0.1])
