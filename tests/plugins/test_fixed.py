"""Gaussian, Laplacian and Laplacian of Gaussian against scipy and closed forms; oracles 12, 13 and 25."""

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import kernbench
from kernbench.errors import KernbenchError
from kernbench.registry import find_family

FAMILIES = ("gaussian", "laplacian", "log")


def atoms(family, radius, width=None, **hyper):
    """The bank of a family in float64 on lags -radius .. radius, shape (R, 2 radius + 1), and the lags."""
    spec = kernbench.KernelSpec(1, 1, kernel_size=2 * radius + 1)
    module = find_family(family).build(spec, {"scales": 1, "centres": 1, "learn_width": True, **hyper}).double()
    with torch.no_grad():
        if width is not None:
            module.log_width.fill_(float(np.log(width)))
        return module.bank(spec.grid(dtype=torch.float64)).numpy(), np.arange(-radius, radius + 1)


@pytest.mark.parametrize("sigma", [1.0, 1.7, 3.0])
@pytest.mark.parametrize("truncate", [4.0, 6.0])
def test_gaussian_is_scipys_filter(sigma, truncate):
    radius = int(truncate * sigma + 0.5)
    kernel = atoms("gaussian", radius, sigma)[0][0]
    impulse = np.zeros(2 * radius + 1)
    impulse[radius] = 1
    expected = scipy.ndimage.gaussian_filter1d(impulse, sigma, truncate=truncate, mode="constant")
    np.testing.assert_allclose(kernel / kernel.sum(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("sigma", [1.5, 3.0])
def test_log_is_the_second_derivative_of_a_gaussian(sigma):
    radius = int(8 * sigma)
    kernel = atoms("log", radius, sigma)[0][0]
    impulse = np.zeros(2 * radius + 1)
    impulse[radius] = 1
    expected = scipy.ndimage.gaussian_filter1d(impulse, sigma, order=2, radius=radius, mode="constant")
    np.testing.assert_allclose(kernel, expected / np.linalg.norm(expected), rtol=0, atol=1e-5)


@settings(max_examples=30)
@given(st.integers(3, 60), st.integers(1, 8), st.integers(1, 16), st.integers(1, 4))
def test_every_log_atom_sums_to_zero(kernel_size, scales, centres, dilation):
    spec = kernbench.KernelSpec(1, 1, kernel_size=kernel_size, dilation=dilation)
    module = find_family("log").build(spec, {"scales": scales, "centres": centres}).double()
    bank = module.bank(spec.grid(dtype=torch.float64))
    assert bank.sum(-1).abs().max() < 1e-10
    torch.testing.assert_close(bank.norm(dim=-1), torch.ones(len(bank), dtype=torch.float64))


@pytest.mark.parametrize("kernel_size", [1, 2])
def test_log_refuses_kernels_that_could_only_be_zero(kernel_size):
    with pytest.raises(KernbenchError, match="at least 3 taps"):
        find_family("log").build(kernbench.KernelSpec(1, 1, kernel_size=kernel_size))


@pytest.mark.parametrize("b", [2.0, 5.0])
def test_laplacian_has_its_closed_form_response(b):
    radius = int(40 * b)
    kernel, m = atoms("laplacian", radius, b)
    a = np.exp(-1 / b)
    weight = kernel[0] / kernel[0][radius] * (1 - a) / (1 + a)
    for w in (0.0, 0.1, 0.7, 3.0):
        response = (weight * np.cos(w * m)).sum()
        assert response == pytest.approx((1 - a) ** 2 / (1 - 2 * a * np.cos(w) + a**2), abs=1e-12)
    assert (m**2 * weight).sum() == pytest.approx(2 * a / (1 - a) ** 2, rel=1e-10)


def test_laplacian_is_a_first_order_smoother_forward_and_backward():
    radius, b = 200, 4.0
    kernel = atoms("laplacian", radius, b)[0][0]
    a = np.exp(-1 / b)
    impulse = np.zeros(6 * radius + 1)
    impulse[3 * radius] = 1
    forward = scipy.signal.lfilter([1 - a], [1, -a], impulse)
    both = scipy.signal.lfilter([1 - a], [1, -a], forward[::-1])[::-1][2 * radius : 4 * radius + 1]
    np.testing.assert_allclose(kernel / kernel[radius] * (1 - a) / (1 + a), both, rtol=0, atol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_one_centre_gives_symmetric_kernels(family):
    spec = kernbench.KernelSpec(3, 2, kernel_size=33)
    kernel = find_family(family).build(spec, {"centres": 1})(spec.grid())
    torch.testing.assert_close(kernel, kernel.flip(-1))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_default_centres_can_look_to_one_side(family):
    """A pulse in the echo band, 20 samples ahead, on 65 taps: least squares on the bank."""
    spec = kernbench.KernelSpec(1, 1, kernel_size=65)
    lags = spec.grid(dtype=torch.float64)
    m = lags.lags.numpy()
    target = np.exp(-0.5 * ((m - 20) / 10) ** 2) * np.sin(2 * np.pi * 0.0272 * (m - 20))  # without a mean, for log
    left = {}
    for centres in (1, 8):
        bank = find_family(family).build(spec, {"centres": centres}).double().bank(lags).detach().numpy().T
        fit = bank @ np.linalg.lstsq(bank, target, rcond=1e-6)[0]
        left[centres] = ((fit - target) ** 2).sum() / (target**2).sum()
    assert left[1] > 0.3
    assert left[8] < 0.01


@pytest.mark.parametrize("family", FAMILIES)
def test_learned_widths_are_counted_and_move(family):
    spec = kernbench.KernelSpec(2, 2, kernel_size=17)
    module = find_family(family).build(spec, {"scales": 3, "centres": 5, "learn_width": True})
    assert sum(p.numel() for p in module.parameters()) == 3 * 5 * 4 + 3
    module(spec.grid())[..., :5].square().sum().backward()
    assert module.log_width.grad.abs().min() > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_a_width_learned_towards_zero_stays_finite(family):
    bank = atoms(family, 8, 1e-6, centres=4)[0]
    assert np.isfinite(bank).all()
    np.testing.assert_allclose(np.linalg.norm(bank, axis=1), 1)


def test_widths_run_from_one_tap_step_to_a_third_of_the_extent():
    spec = kernbench.KernelSpec(1, 1, kernel_size=61, dilation=4)
    widths = find_family("gaussian").build(spec, {"scales": 3}).fixed_log_width.exp().flatten()
    torch.testing.assert_close(widths, torch.tensor([4.0, (4 * 40.0) ** 0.5, 40.0]))
