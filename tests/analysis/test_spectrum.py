"""Kernel spectra against closed forms: deltas, Gaussians, Parseval."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kernbench.analysis.spectrum import layer_spectrum, power_spectrum
from kernbench.errors import KernbenchError

finite = st.floats(-1e3, 1e3, allow_subnormal=False)


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
    # one-sided: the ends have no negative frequency to add
    assert spectrum.power[1:-1] == pytest.approx(spectrum.power[1])
    assert spectrum.power[[0, -1]] == pytest.approx(spectrum.power[1] / 2)
    assert spectrum.power.sum() == pytest.approx(9)


@pytest.mark.parametrize("sigma", [2.0, 5.0, 12.0])
def test_gaussian_has_its_closed_form_spectrum(sigma):
    taps = np.exp(-(np.arange(-100, 101) ** 2) / (2 * sigma**2))
    spectrum = power_spectrum(taps)
    expected = np.exp(-((2 * np.pi * spectrum.frequency * sigma) ** 2))
    # the power at 0 has no negative frequency to add
    assert spectrum.power[1:] / (2 * spectrum.power[0]) == pytest.approx(expected[1:], abs=1e-9)


def test_layer_quantiles_ignore_scale_and_dead_kernels_which_alone_have_no_numbers():
    rng = np.random.default_rng(0)
    kernels = rng.normal(size=(4, 5, 33))
    scaled = kernels * rng.uniform(0.1, 10, (4, 5, 1))
    scaled = np.concatenate([scaled, np.zeros((1, 5, 33))])
    one, other = layer_spectrum(kernels), layer_spectrum(scaled)
    assert one.power.shape == (3, len(one.frequency))
    np.testing.assert_allclose(one.power, other.power, rtol=1e-9)
    assert (np.diff(one.power, axis=0) >= 0).all()
    assert np.isnan(layer_spectrum(np.zeros((3, 9))).power).all()


@pytest.mark.parametrize(("kernels", "message"), [([], "shape"), (1.0, "shape"), ([1.0, np.nan], "finite taps")])
def test_bad_kernels_are_refused(kernels, message):
    with pytest.raises(KernbenchError, match=message):
        power_spectrum(kernels)
