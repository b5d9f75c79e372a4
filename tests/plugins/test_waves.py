"""Waves against PyWavelets, scipy.signal and closed forms; oracles 17, 18 and 30, and inclusions."""

import math

import numpy as np
import pytest
import pywt
import scipy.signal
import torch
from kernbench_waves.band_pass import band_pass_twin

import kernbench
from kernbench.registry import find_family


def one(family, taps=257, side="centered", hyper=None, **values):
    """One wave with these parameters in float64: its atoms before they are normalized, its bank, and the lags."""
    spec = kernbench.KernelSpec(1, 1, kernel_size=taps, side=side)
    module = find_family(family).build(spec, {"waves": 1, **(hyper or {})}).double()
    with torch.no_grad():
        for name, value in values.items():
            getattr(module, name).fill_(value)
        grid = spec.grid(dtype=torch.float64)
        return module.atoms(grid.lags).numpy()[0], module.bank(grid).numpy()[0], grid.lags.numpy()


@pytest.mark.parametrize("sigma", [2.0, 5.0, 12.0])
def test_ricker_is_the_mexican_hat_of_pywavelets(sigma):
    _, got, m = one("ricker", log_width=math.log(sigma), centre=0.0)
    psi, x = pywt.ContinuousWavelet("mexh").wavefun(length=2001)
    closed = (1 - (m / sigma) ** 2) * np.exp(-((m / sigma) ** 2) / 2) * 2 / (math.sqrt(3 * sigma) * math.pi**0.25)
    np.testing.assert_allclose(got, closed, rtol=0, atol=1e-10)
    formula = (1 - x**2) * np.exp(-(x**2) / 2) * 2 / (math.sqrt(3) * math.pi**0.25)
    np.testing.assert_allclose(psi, formula, rtol=0, atol=1e-10)


def test_a_gabor_wave_of_five_radians_is_the_morlet_of_pywavelets():
    sigma = 10.0
    atoms, _, m = one(
        "gabor", log_width=math.log(sigma), log_frequency=math.log(5 / (2 * math.pi * sigma)), centre=0, phase=0
    )
    psi, x = pywt.ContinuousWavelet("morl").wavefun(length=2001)  # without the correction of the mean

    def formula(u):
        return np.exp(-(u**2) / 2) * np.cos(5 * u)

    np.testing.assert_allclose(psi, formula(x), rtol=0, atol=1e-10)
    np.testing.assert_allclose(atoms, formula(m / sigma), rtol=0, atol=1e-10)


@pytest.mark.parametrize("radians", [2.0, 3.0, 5.0])
@pytest.mark.parametrize("phase", [0.0, 0.7, math.pi / 2])
def test_morlet_sums_to_zero_where_gabor_does_not(radians, phase):
    sigma = 10.0
    place = {"log_width": math.log(sigma), "log_frequency": math.log(radians / (2 * math.pi * sigma)), "centre": 0.0}
    morlet, unit, _ = one("morlet", phase=phase, **place)
    assert morlet.sum() == pytest.approx(0, abs=1e-6)
    assert np.linalg.norm(unit) == pytest.approx(1, abs=1e-12)
    gabor, *_ = one("gabor", phase=phase, **place)
    expected = sigma * math.sqrt(2 * math.pi) * math.cos(phase) * math.exp(-(radians**2) / 2)
    assert gabor.sum() == pytest.approx(expected, abs=1e-6)


def test_a_chirplet_without_sweep_is_a_gabor_wave_and_its_phase_is_that_of_scipys_chirp():
    place = {"log_width": math.log(30.0), "log_frequency": math.log(0.03), "centre": 10.0, "phase": 0.4}
    np.testing.assert_allclose(one("chirplet", sweep=0.0, **place)[0], one("gabor", **place)[0], rtol=0, atol=1e-12)
    atoms, _, m = one("chirplet", sweep=0.5, **place)
    u, rate = m - 10.0, 0.5 * 0.03 / 30.0
    wave = scipy.signal.chirp(u, f0=0.03, t1=1.0, f1=0.03 + rate, phi=math.degrees(0.4))
    np.testing.assert_allclose(atoms, np.exp(-(u**2) / 1800) * wave, rtol=0, atol=1e-10)


def test_a_cosine_is_a_gabor_wave_of_endless_width():
    wave = {"log_frequency": math.log(0.03), "phase": 0.4}
    endless = one("gabor", log_width=math.log(1e9), centre=0.0, **wave)[0]
    np.testing.assert_allclose(one("cosine", **wave)[0], endless, rtol=0, atol=1e-10)


@pytest.mark.parametrize("order", [2, 4, 8])
def test_gammatone_has_its_closed_form_energy_and_peak(order):
    decay, frequency = 0.005, 0.08
    peak = (order - 1) / (2 * math.pi * decay)
    values = {"log_width": math.log(peak), "log_frequency": math.log(frequency), "centre": 0.0, "phase": 0.3}
    atoms, _, n = one("gammatone", 4001, "anticausal", {"order": order}, **values)
    formula = n ** (order - 1) * np.exp(-2 * math.pi * decay * n) * np.cos(2 * math.pi * frequency * n + 0.3)
    scale = peak ** (order - 1) * math.exp(-(order - 1))
    np.testing.assert_allclose(atoms * scale, formula, rtol=0, atol=1e-9 * np.abs(formula).max())
    envelope = math.factorial(2 * order - 2) / (4 * math.pi * decay) ** (2 * order - 1)
    assert (formula**2).sum() == pytest.approx(envelope / 2, rel=1e-2 if order == 2 else 1e-3)


def test_a_damped_oscillation_is_the_impulse_response_of_its_resonance():
    ratio, frequency = 0.1, 0.03
    damping = math.log((ratio - 0.02) / (0.9 - ratio))
    atoms, _, n = one("damped", 400, "anticausal", log_frequency=math.log(frequency), damping=damping, centre=0.0)
    w = 2 * math.pi * frequency  # damped frequency; natural one w / sqrt(1 - z^2)
    natural = w / math.sqrt(1 - ratio**2)
    _, response = scipy.signal.impulse(([w], [1, 2 * ratio * natural, natural**2]), T=n)
    np.testing.assert_allclose(atoms, response, rtol=0, atol=1e-6)


def test_sinc_is_scipys_windowed_band_pass_and_passes_its_band_with_gain_one_and_its_twin_is_odd():
    centre, band = 0.05, 0.6
    values = {"log_frequency": math.log(centre), "band": math.log(band / (1 - band)), "centre": 0.0}
    atoms, _, m = one("sinc", 401, **values)
    low, high = centre * (1 - band / 2), centre * (1 + band / 2)
    expected = scipy.signal.firwin(401, [low, high], pass_zero=False, window="hamming", scale=False, fs=1)
    np.testing.assert_allclose(atoms, expected, rtol=0, atol=1e-12)
    response = np.abs(np.exp(-2j * np.pi * np.outer([centre, low, high], m)) @ atoms)
    assert response[0] == pytest.approx(1, abs=1e-2)
    assert 20 * np.log10(response[1:]) == pytest.approx(-6.02, abs=0.1)
    twin = band_pass_twin(torch.from_numpy(m), torch.tensor(low), torch.tensor(high)).numpy()
    np.testing.assert_allclose(twin, -twin[::-1], rtol=0, atol=1e-12)
    with np.errstate(invalid="ignore"):
        closed = np.nan_to_num((np.cos(2 * np.pi * low * m) - np.cos(2 * np.pi * high * m)) / (np.pi * m))
    np.testing.assert_allclose(twin, closed, rtol=0, atol=1e-7)


@pytest.mark.parametrize("family", ["gabor", "morlet", "chirplet", "ricker"])
def test_the_scale_law(family):
    """Twice the width at half the frequency is the same wave at half the lags, times 1 / sqrt(2)."""
    spec = kernbench.KernelSpec(1, 1, kernel_size=513)
    rows = []
    for factor in (1.0, 2.0):
        values = {"log_width": math.log(8 * factor), "centre": 0.0}
        if family != "ricker":
            values |= {"log_frequency": math.log(0.05 / factor), "phase": 0.4}
        if family == "chirplet":
            values["sweep"] = 0.3
        rows.append(one(family, spec.kernel_size, **values)[1])
    middle = 256
    half = rows[0][middle - 128 : middle + 129]
    np.testing.assert_allclose(rows[1][middle - 256 : middle + 257 : 2], half / math.sqrt(2), rtol=0, atol=1e-6)


@pytest.mark.parametrize("family", ["gammatone", "damped"])
def test_a_wave_that_begins_needs_two_taps(family):
    with pytest.raises(kernbench.KernbenchError, match="at least 2 taps, got K = 1"):
        find_family(family).build(kernbench.KernelSpec(1, 1, kernel_size=1))


def test_waves_are_put_back_where_a_gradient_reaches_them():
    spec = kernbench.KernelSpec(1, 1, kernel_size=65)
    module = find_family("gabor").build(spec, {"waves": 3})
    start = {name: value.clone() for name, value in module.named_parameters()}
    with torch.no_grad():
        module.constrain_()
        assert all(torch.equal(value, start[name]) for name, value in module.named_parameters())
        module.log_frequency.fill_(5.0), module.log_width.fill_(-9.0), module.centre.fill_(99.0)
        module.constrain_()
    assert module.log_frequency.exp().flatten().tolist() == pytest.approx([0.5] * 3)
    assert module.log_width.exp().flatten().tolist() == pytest.approx([0.5] * 3)
    assert module.centre.flatten().tolist() == [32.0] * 3
    with torch.no_grad():
        module.log_width.fill_(2.0)
    module(spec.grid()).square().sum().backward()
    assert (module.log_frequency.grad != 0).all()  # at a bound, not beyond it
