"""Kernel spectra against closed forms: deltas, Gaussians, Parseval."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kernbench.analysis.spectrum import layer_spectrum, power_spectrum, spectral_facts
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


def test_a_sampled_cosine_has_its_frequency_and_all_bands_there():
    taps = np.cos(2 * np.pi * 0.1 * np.arange(400)) * np.hanning(400)
    found = spectral_facts(taps)
    assert found.centroid == pytest.approx([0.1], abs=1e-4)
    assert [band.item() for band in found.bandwidth.values()] == pytest.approx([0.1] * 3, abs=0.005)
    assert found.above_half == pytest.approx([0], abs=1e-6)


def test_white_taps_fill_the_band_evenly_and_a_constant_one_has_its_energy_in_the_mean():
    noise = spectral_facts(np.random.default_rng(0).normal(size=(500, 65)))
    assert np.median(noise.centroid) == pytest.approx(0.25, abs=0.01)
    assert np.median(noise.bandwidth[0.9]) == pytest.approx(0.45, abs=0.02)
    assert np.mean(noise.above_half) == pytest.approx(0.5, abs=0.02)
    assert np.mean(noise.constant) == pytest.approx(1 / 65, rel=0.15)
    flat = spectral_facts(np.full(65, 0.3))
    assert flat.constant == pytest.approx([1])
    assert flat.centroid < 0.05


@given(arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 40)), elements=finite), st.floats(0.01, 100))
def test_spectral_facts_are_in_their_ranges_and_do_not_depend_on_scale(kernels, factor):
    found, scaled = spectral_facts(kernels), spectral_facts(factor * kernels)
    if not kernels.any():
        assert np.isnan(found.centroid).all()
        assert all(np.isnan(band).all() for band in found.bandwidth.values())
        return
    bands = [found.bandwidth[share] for share in (0.5, 0.9, 0.95)]
    assert ((found.centroid >= 0) & (found.centroid <= 0.5 + 1e-12)).all()
    assert (np.diff(bands, axis=0) >= 0).all()
    assert (found.constant <= 1 + 1e-9).all()
    assert (found.above_half <= 1 + 1e-9).all()
    np.testing.assert_allclose(found.centroid, scaled.centroid, rtol=1e-6)
    np.testing.assert_allclose(found.constant, scaled.constant, rtol=1e-6, atol=1e-12)
