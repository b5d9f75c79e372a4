"""Linear bases against numpy.polynomial, scipy and closed forms; oracles 12 to 16 and the inclusions of section 9."""

import numpy as np
import pytest
import scipy.interpolate
import scipy.linalg
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kernbench_basis.compact import b_spline
from kernbench_basis.spectral import hankel_filters

import kernbench
from kernbench.registry import find_family


def built(family, taps, **hyper):
    """A module in float64, and its training grid."""
    spec = kernbench.KernelSpec(1, 1, kernel_size=taps)
    return find_family(family).build(spec, hyper).double(), spec.grid(dtype=torch.float64)


@pytest.mark.parametrize(
    ("family", "fit"),
    [("legendre", np.polynomial.legendre.legvander), ("chebyshev", np.polynomial.chebyshev.chebvander)],
)
def test_polynomials_are_those_of_numpy(family, fit):
    module, _ = built(family, 65, order=12)
    t = np.linspace(-1, 1, 41)
    np.testing.assert_allclose(module.polynomials(torch.from_numpy(t)).numpy(), fit(t, 12).T, rtol=0, atol=1e-10)


@settings(max_examples=30)
@given(
    st.sampled_from(["legendre", "chebyshev"]),
    st.integers(2, 150),
    st.integers(1, 24),
    st.sampled_from(["hann", "none"]),
)
def test_polynomials_are_orthonormal_on_the_taps_and_the_same_functions_between_them(family, taps, order, window):
    torch.set_default_dtype(torch.float64)
    try:
        module, grid = built(family, taps, order=order, window=window)
    finally:
        torch.set_default_dtype(torch.float32)
    atoms = module.bank(grid)
    torch.testing.assert_close(atoms @ atoms.T, torch.eye(len(atoms), dtype=torch.float64), rtol=0, atol=1e-10)
    finer = module.bank(module.spec.grid(2, dtype=torch.float64))
    torch.testing.assert_close(finer[:, ::2], atoms, rtol=0, atol=1e-10)


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5])
def test_b_splines_are_those_of_scipy(degree):
    knots = np.arange(degree + 2) - (degree + 1) / 2
    expected = scipy.interpolate.BSpline.basis_element(knots, extrapolate=False)
    x = np.linspace(-4, 4, 321)
    got = b_spline(torch.from_numpy(x), degree).numpy()
    np.testing.assert_allclose(got, np.nan_to_num(expected(x)), rtol=0, atol=1e-12)


@settings(max_examples=50)
# binary fractions, so that no subtraction below rounds a place onto a knot, where degree 0 jumps; knots are among them
@given(st.integers(0, 5), st.integers(-512, 511).map(lambda place: place / 1024))
def test_shifted_b_splines_sum_to_one_and_are_sums_of_narrower_ones(degree, x):
    shifts = torch.arange(-5, 6, dtype=torch.float64)
    assert b_spline(x - shifts, degree).sum().item() == pytest.approx(1, abs=1e-12)
    if degree:
        k = torch.arange(degree + 2, dtype=torch.float64)
        weight = torch.tensor(scipy.special.binom(degree + 1, k.numpy()))
        finer = (weight * b_spline(2 * x - k + (degree + 1) / 2, degree)).sum() / 2**degree
        assert finer.item() == pytest.approx(b_spline(torch.tensor(x, dtype=torch.float64), degree).item(), abs=1e-12)


def test_linear_b_splines_at_every_tap_are_free_taps():
    module, grid = built("bspline", 17, knots=17, degree=1)
    torch.testing.assert_close(module.bank(grid), torch.eye(17, dtype=torch.float64), rtol=0, atol=1e-12)


@settings(max_examples=25)
@given(st.integers(2, 80), st.integers(2, 64), st.floats(1, 8))
def test_wendlands_support_is_compact_and_its_place_the_largest(taps, knots, reach):
    module, grid = built("wendland", taps, knots=knots, radius=reach)
    atoms = module.atoms(grid.lags)
    distance = (grid.lags - module.centre).abs() / module.gap
    assert not atoms[distance >= reach].any()
    assert (atoms[distance < reach * (1 - 1e-6)] > 0).all()
    assert atoms.max() <= 1 + 1e-12


def test_a_gaussian_radial_basis_is_a_gaussian_of_that_width():
    module, grid = built("rbf", 65, knots=5, width=0.5)
    impulse = np.zeros(65)
    impulse[32] = 1
    expected = scipy.ndimage.gaussian_filter1d(impulse, 0.5 * module.gap, radius=32, mode="constant")
    np.testing.assert_allclose(module.bank(grid)[2], expected / np.linalg.norm(expected), rtol=0, atol=1e-12)


@settings(max_examples=25)
@given(st.integers(0, 20).map(lambda n: 2 * n + 1), st.integers(0, 2**31))
def test_a_full_fourier_series_is_any_kernel(taps, seed):
    module, grid = built("fourier", taps, modes=max(1, taps // 2))
    wanted = torch.randn(taps, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    atoms = module.bank(grid)
    assert len(atoms) == taps
    found = torch.linalg.solve(atoms.T, wanted)
    torch.testing.assert_close(found @ atoms, wanted, rtol=0, atol=1e-10)


def test_fourier_atoms_are_an_inverse_transform_of_their_coefficients():
    module, grid = built("fourier", 33, modes=5)
    spectrum = np.zeros(17, complex)
    spectrum[3] = 1
    wave = np.fft.irfft(spectrum, 33)
    np.testing.assert_allclose(module.bank(grid)[3], wave / np.linalg.norm(wave), rtol=0, atol=1e-12)


@pytest.mark.parametrize("order", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("sigma", [1.0, 1.7, 3.0])
def test_jets_are_the_gaussian_derivatives_of_scipy(order, sigma):
    radius = int(8 * sigma)
    module, grid = built("njet", 2 * radius + 1, order=4, centres=1)
    with torch.no_grad():
        module.log_sigma.fill_(float(np.log(sigma)))
    impulse = np.zeros(2 * radius + 1)
    impulse[radius] = 1
    got = module.atoms(grid.lags).detach()[order].numpy() / sigma**order
    expected = scipy.ndimage.gaussian_filter1d(impulse, sigma, order=order, radius=radius, mode="constant")
    if order == 0:  # scipy divides by the sum of the taps
        got = got / got.sum()
    # scipy's derivatives are of the Gaussian whose taps sum to 1, ours of the one whose integral is 1
    share = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2).sum() / (sigma * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(got, expected * (1 if order == 0 else share), rtol=0, atol=1e-12)


@pytest.mark.parametrize("sigma", [1.5, 3.0])
def test_jets_have_the_moments_of_derivatives(sigma):
    radius = int(9 * sigma)
    module, grid = built("njet", 2 * radius + 1, order=4, centres=1)
    with torch.no_grad():
        module.log_sigma.fill_(float(np.log(sigma)))
    m = np.arange(-radius, radius + 1)
    rows = module.atoms(grid.lags).detach().numpy() / sigma ** np.arange(5)[:, None]
    assert rows[0].sum() == pytest.approx(1, abs=1e-5)
    assert np.abs(rows[1:].sum(1)).max() < 1e-5
    assert (m * rows[1]).sum() == pytest.approx(-1, abs=1e-5)
    assert (m**2 * rows[2]).sum() / 2 == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("taps", [8, 65, 200])
def test_spectral_filters_are_the_eigenvectors_of_the_hankel_matrix(taps):
    total = np.add.outer(np.arange(1.0, taps + 1), np.arange(1.0, taps + 1))
    matrix = 2 / (total**3 - total)
    values, rows = hankel_filters(taps, 12)
    every = scipy.linalg.eigh(matrix, eigvals_only=True)[::-1]
    np.testing.assert_allclose(values, every[: len(values)], rtol=0, atol=1e-14)
    np.testing.assert_allclose(matrix @ rows.T, rows.T * values, rtol=0, atol=1e-13)
    np.testing.assert_allclose(rows @ rows.T, np.eye(len(rows)), rtol=0, atol=1e-12)
    assert (rows[np.arange(len(rows)), np.abs(rows).argmax(1)] > 0).all()
    assert values.min() > 1e-12 * values.max()


@pytest.mark.parametrize("side", ["centered", "causal", "anticausal"])
def test_one_tap_has_spectral_filters_too(side):
    spec = kernbench.KernelSpec(2, 2, kernel_size=1, side=side)
    assert find_family("stu").build(spec)(spec.grid()).abs().min() > 0


@pytest.mark.parametrize(("side", "sign"), [("anticausal", 1), ("causal", -1)])
def test_spectral_filters_of_one_side_go_away_from_lag_0(side, sign):
    spec = kernbench.KernelSpec(1, 1, kernel_size=20, side=side)
    module = find_family("stu").build(spec, {"filters": 3}).double()
    rows = module.bank(spec.grid(dtype=torch.float64)).numpy()[:, ::sign]
    np.testing.assert_allclose(rows, hankel_filters(20, 3)[1], rtol=0, atol=1e-6)
