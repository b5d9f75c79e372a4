"""Relative changes and dead lags on numbers whose answers are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kernbench.analysis.movement import dead_lags, relative_change, unmoved_share
from kernbench.errors import KernbenchError

finite = st.floats(-1e3, 1e3, width=32, allow_subnormal=False)


@given(arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=finite), st.floats(-3, 3))
def test_a_scaled_array_changed_by_the_distance_of_its_factor_from_one(before, factor):
    change = relative_change(before, factor * before)
    assert change == pytest.approx(abs(factor - 1), abs=1e-9) if before.any() else np.isnan(change)


def test_the_share_that_did_not_move_counts_kernels_by_their_own_norm():
    before = np.array([[1.0, 0.0], [0.0, 1e-6], [3.0, 4.0], [0.0, 0.0]])
    after = before + np.array([[5e-4, 0.0], [1e-6, 0.0], [0.0, 0.0], [1.0, 1.0]])
    assert unmoved_share(before, after) == pytest.approx(2 / 3)  # the one of zeros has no norm
    assert np.isnan(unmoved_share(np.zeros((2, 3)), np.ones((2, 3))))


def test_a_lag_is_dead_where_no_kernel_of_the_layer_has_weight():
    kernels = np.array([[1.0, 0.0, 9e-4, 0.0], [0.0, 2e-3, -9e-4, 0.0]])
    assert dead_lags(kernels).tolist() == [False, False, True, True]
    assert dead_lags(np.zeros((2, 3))).all()


@pytest.mark.parametrize(("before", "after"), [([1.0], [1.0, 2.0]), ([], []), ([np.nan], [1.0]), ([1.0], [np.inf])])
def test_what_has_no_change_is_refused(before, after):
    with pytest.raises(KernbenchError, match=r"two arrays of one shape|finite numbers"):
        relative_change(before, after)
