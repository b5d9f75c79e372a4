"""Kernel spectra against closed forms: deltas, Gaussians, cosines, Parseval."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import erfinv

from kernbench.analysis.spectrum import (
    bandwidth,
    centroid,
    dc_share,
    energy_above,
    layer_spectrum,
    megahertz,
    power_spectrum,
    summarize,
)
from kernbench.errors import KernbenchError

finite = st.floats(-1e3, 1e3, allow_subnormal=False)


@settings(deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 70)), elements=finite))
def test_power_sums_to_the_energy_of_the_taps(kernels):
    spectrum = power_spectrum(kernels)
    assert spectrum.frequency[0] == 0
    assert spectrum.frequency[-1] == 0.5
    assert 2 * (len(spectrum.frequency) - 1) >= 8 * kernels.shape[1]
    assert spectrum.power.sum(axis=1) == pytest.approx((kernels**2).sum(axis=1), rel=1e-9)


def test_a_single_tap_is_flat():
    taps = np.zeros(65)
    taps[20] = -3
    spectrum = power_spectrum(taps)
    step = spectrum.frequency[1]
    assert centroid(spectrum) == pytest.approx(0.25, abs=step)
    for share in (0.5, 0.9, 0.95):
        assert bandwidth(spectrum, share) == pytest.approx(share / 2, abs=2 * step)
    assert energy_above(spectrum) == pytest.approx(0.5, abs=2 * step)


@pytest.mark.parametrize("sigma", [2.0, 5.0, 12.0])
def test_gaussian_has_its_closed_form_bandwidth(sigma):
    taps = np.exp(-(np.arange(-100, 101) ** 2) / (2 * sigma**2))
    spectrum = power_spectrum(taps)
    step = spectrum.frequency[1]
    # Power is exp(-(2 pi f sigma)^2), so the share below f is erf(2 pi f sigma).
    for share in (0.5, 0.9, 0.95):
        assert bandwidth(spectrum, share) == pytest.approx(erfinv(share) / (2 * np.pi * sigma), abs=step)
    assert centroid(spectrum) == pytest.approx(1 / (2 * np.pi**1.5 * sigma), abs=step)


def test_windowed_cosine_sits_at_its_frequency():
    lags = np.arange(-128, 129)
    taps = np.cos(2 * np.pi * 1.7 / 62.5 * lags) * np.hanning(257)
    summary = summarize(taps)
    assert megahertz(summary.centroid) == pytest.approx(1.7, abs=0.02)
    assert megahertz(summary.bandwidth_50) == pytest.approx(1.7, abs=0.03)
    assert summary.above_half_nyquist < 1e-6


def test_share_of_the_mean():
    assert dc_share(np.ones(9)) == pytest.approx(1)
    assert dc_share(np.array([1.0, -1.0, 1.0, -1.0])) == pytest.approx(0)
    kernel = np.random.default_rng(0).normal(size=50) + 0.3
    without = kernel - kernel.mean()
    assert dc_share(kernel) == pytest.approx(1 - (without**2).sum() / (kernel**2).sum())


def test_layer_quantiles_ignore_scale_and_dead_kernels():
    rng = np.random.default_rng(0)
    kernels = rng.normal(size=(4, 5, 33))
    scaled = kernels * rng.uniform(0.1, 10, (4, 5, 1))
    scaled = np.concatenate([scaled, np.zeros((1, 5, 33))])
    one, other = layer_spectrum(kernels), layer_spectrum(scaled)
    assert one.power.shape == (3, len(one.frequency))
    np.testing.assert_allclose(one.power, other.power, rtol=1e-9)
    assert (np.diff(one.power, axis=0) >= 0).all()


def test_a_zero_kernel_has_no_numbers():
    summary = summarize(np.zeros((2, 9)))
    assert np.isnan(summary.centroid).all()
    assert np.isnan(summary.bandwidth_95).all()
    assert np.isnan(layer_spectrum(np.zeros((3, 9))).power).all()


@pytest.mark.parametrize(("kernels", "message"), [([], "shape"), (1.0, "shape"), ([1.0, np.nan], "finite taps")])
def test_bad_kernels_are_refused(kernels, message):
    with pytest.raises(KernbenchError, match=message):
        power_spectrum(kernels)
