"""Where the taps lie."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kernbench.errors import KernbenchError
from kernbench.kernels.base import KernelSpec


@given(st.integers(1, 200), st.integers(1, 64), st.sampled_from(["centered", "causal", "anticausal"]))
def test_lags_are_exact_samples_within_the_extent(kernel_size, dilation, side):
    spec = KernelSpec(1, 1, kernel_size=kernel_size, dilation=dilation, side=side)
    grid = spec.grid(dtype=torch.float64)
    assert grid.lags.numel() == kernel_size
    assert (grid.lags.diff() == dilation).all()
    assert grid.lags.abs().max() == (grid.extent if kernel_size > 1 else 0)
    assert {"centered": True, "causal": grid.lags.max() <= 0, "anticausal": grid.lags.min() >= 0}[side]
    assert (grid.origin is None) == (0 not in grid.lags)
    if grid.origin is not None:
        assert grid.lags[grid.origin] == 0


@given(st.integers(2, 50), st.integers(1, 8), st.integers(2, 4))
def test_a_refined_grid_keeps_extent_and_old_lags(kernel_size, dilation, refine):
    spec = KernelSpec(1, 1, kernel_size=kernel_size, dilation=dilation)
    coarse, fine = spec.grid(dtype=torch.float64), spec.grid(refine, dtype=torch.float64)
    assert fine.extent == coarse.extent
    assert fine.spacing == pytest.approx(1 / refine)
    torch.testing.assert_close(fine.lags[::refine], coarse.lags, rtol=0, atol=1e-12)


@given(st.integers(1, 99), st.integers(1, 8), st.integers(2, 4), st.sampled_from(["centered", "causal", "anticausal"]))
def test_a_coarser_grid_is_the_inverse_of_a_refined_one(kernel_size, dilation, steps, side):
    """The refined grid is the training grid of more taps; made coarser, it is the grid that was refined."""
    wide = KernelSpec(1, 1, kernel_size=kernel_size, dilation=steps * dilation, side=side)
    many = KernelSpec(1, 1, kernel_size=steps * (kernel_size - 1) + 1, dilation=dilation, side=side)
    if side == "centered" and kernel_size % 2 == 0:  # the wide grid has no lag 0
        return
    coarse, back = many.grid(dtype=torch.float64, coarsen=steps), wide.grid(dtype=torch.float64)
    assert torch.equal(coarse.lags, back.lags)
    assert torch.equal(wide.grid(steps, dtype=torch.float64).lags, many.grid(dtype=torch.float64).lags)
    assert (coarse.origin, coarse.extent) == (back.origin, back.extent)
    assert coarse.spacing == steps


@pytest.mark.parametrize(
    ("kernel_size", "side", "lags"),
    [
        (17, "centered", range(-8, 9, 2)),
        (131, "centered", range(-64, 65, 2)),
        (3, "centered", [0]),
        (1, "centered", [0]),
        (4, "causal", [-2, 0]),
        (5, "anticausal", [0, 2, 4]),
    ],
)
def test_every_second_lag_is_counted_from_lag_0(kernel_size, side, lags):
    grid = KernelSpec(1, 1, kernel_size=kernel_size, side=side).grid(coarsen=2)
    assert grid.lags.tolist() == list(lags)
    assert grid.lags[grid.origin] == 0


def test_a_centered_kernel_without_lag_0_has_no_coarser_grid():
    with pytest.raises(KernbenchError, match="expected an odd kernel size, got 4"):
        KernelSpec(1, 1, kernel_size=4).grid(coarsen=2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_lags_are_never_below_float32(dtype):
    assert KernelSpec(1, 1, kernel_size=3).grid(dtype=dtype).lags.dtype == torch.float32


def test_a_single_tap_has_extent_one():
    assert KernelSpec(1, 1, kernel_size=1, dilation=8).extent == 1


@pytest.mark.parametrize(
    "bad",
    [{"kernel_size": 0}, {"out_channels": 0}, {"groups": 2}, {"side": "left"}, {"dilation": 0}, {"kernel_size": 2.5}],
)
def test_a_spec_that_makes_no_kernel_is_refused(bad):
    with pytest.raises(KernbenchError):
        KernelSpec(**{"out_channels": 3, "in_channels": 3, "kernel_size": 3, **bad})
