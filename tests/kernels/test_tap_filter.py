"""Taps at other lags by a filter, against scipy's polyphase filter and what a filter must keep."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.signal import resample_poly
from scipy.signal.windows import kaiser

from kernbench.kernels.base import KernelSpec
from kernbench.kernels.tap_filter import BETA, CROSSINGS, filter_reach, filter_weights

TAPS = st.sampled_from([9, 17, 33]).flatmap(  # the lags of a coarser grid begin at the first of these
    lambda size: arrays(np.float64, size, elements=st.floats(-1, 1, width=32))
)


def grids(size, up, down, dilation=1):
    spec = KernelSpec(1, 1, kernel_size=size, dilation=dilation)
    return spec.grid(dtype=torch.float64), spec.grid(up, torch.float64, coarsen=down)


def moved(taps, up, down, dilation=1, tails=0):
    return (torch.from_numpy(taps) @ filter_weights(*grids(len(taps), up, down, dilation), tails, tails)).numpy()


@settings(max_examples=40, deadline=None)
@given(taps=TAPS, dilation=st.sampled_from([1, 3]))
@pytest.mark.parametrize(("up", "down"), [(1, 2), (2, 1), (3, 1)])
def test_it_is_the_filter_that_scipy_applies_with_its_tails(taps, dilation, up, down):
    steps = np.arange(-CROSSINGS * max(up, down), CROSSINGS * max(up, down) + 1)
    low_pass = np.sinc(steps / max(up, down)) / max(up, down) * kaiser(len(steps), BETA)
    reach = filter_reach(down / up)
    ends = np.zeros(down * reach)
    expected = resample_poly(np.concatenate([ends, taps, ends]), up, down, window=low_pass)
    skipped = (len(ends) * up - reach * down) // down  # zeros by which scipy's output begins earlier
    found = moved(taps, up, down, dilation, reach)
    np.testing.assert_allclose(found, expected[skipped : skipped + len(found)], atol=1e-12)
    inner = moved(taps, up, down, dilation)
    np.testing.assert_allclose(inner, found[reach : len(found) - reach], atol=1e-15)


@settings(max_examples=40, deadline=None)
@given(taps=TAPS)
def test_a_finer_grid_keeps_the_taps(taps):
    np.testing.assert_allclose(moved(taps, 2, 1)[::2], taps, atol=1e-15)


def test_a_coarser_grid_folds_nothing():
    lags = np.arange(-64, 65)
    fast, slow = (np.cos(2 * np.pi * f * lags) for f in (0.4, 0.1))
    inner = slice(12, -12)  # beyond the ends the taps are 0
    assert np.abs(moved(fast, 1, 2)[inner]).max() < 2e-4
    np.testing.assert_allclose(moved(slow, 1, 2)[inner], slow[::2][inner], atol=2e-4)
