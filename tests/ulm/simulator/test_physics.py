"""The bubble against scipy's integrator, an analytic resonance and published constants."""

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.interpolate import CubicSpline

from kernbench.ulm.simulator import embedded_fits
from kernbench.ulm.simulator.physics import (
    C4F10,
    REST_TENSION,
    WATER,
    bubble_equation,
    integrate,
    shell_viscosity,
    surface_tension,
    tension_table,
    thermal_damping,
)

STEP_S = 4e-9
STEPS = 1424


def burst(time_s, amplitude_pa, frequency_hz=2.2e6):
    return amplitude_pa * np.exp(-(((time_s - 1.2e-6) / 0.4e-6) ** 2)) * np.sin(2 * np.pi * frequency_hz * time_s)


def motion(radius_m, amplitude_pa):
    """x = R/R0 - 1 of one bubble on the 4 ns grid, by the project."""
    half_steps = np.arange(2 * STEPS - 1) * STEP_S / 2
    drive = torch.as_tensor(burst(half_steps, amplitude_pa), dtype=torch.float32)[:, None]
    x, _, _ = integrate(bubble_equation(np.array([radius_m]), STEP_S), drive)
    return x[:, 0].double().numpy()


def dimensional_motion(radius_m, amplitude_pa):
    """The same by scipy, from the equation as it is printed, in SI units and float64."""
    thermal, kappa = (float(v[0]) for v in thermal_damping(np.array([radius_m])))
    shell = float(shell_viscosity(np.array([radius_m]))[0])
    p0 = WATER.pressure

    def derivative(t, state):
        R, v = state
        gas = (
            (p0 + 2 * REST_TENSION / radius_m) * (radius_m / R) ** (3 * kappa) * (1 - 3 * kappa * v / WATER.sound_speed)
        )
        tension = surface_tension(embedded_fits.AREA_AT_REST * (R / radius_m) ** 2)
        stress = 2 * tension / R + 4 * (WATER.viscosity + thermal) * v / R + 4 * shell * v / R**2
        acceleration = ((gas - p0 - burst(t, amplitude_pa) - stress) / WATER.density - 1.5 * v**2) / R
        return [v, acceleration]

    time = np.arange(STEPS) * STEP_S
    solution = solve_ivp(
        derivative, (0, time[-1]), [radius_m, 0.0], t_eval=time, rtol=1e-8, atol=[1e-14, 1e-7], max_step=2e-8
    )
    return solution.y[0] / radius_m - 1


@pytest.mark.parametrize(("radius_um", "kilopascal"), [(2.4, 150), (0.8, 60)])
def test_motion_agrees_with_scipy_integrating_the_dimensional_equation(radius_um, kilopascal):
    ours = motion(radius_um * 1e-6, kilopascal * 1e3)
    theirs = dimensional_motion(radius_um * 1e-6, kilopascal * 1e3)
    assert np.abs(ours - theirs).max() < 2e-3 * np.abs(theirs).max()


@pytest.mark.parametrize("radius_um", [1.5, 2.4, 3.3])
def test_small_oscillation_follows_the_linear_transfer_function(radius_um):
    R0 = radius_um * 1e-6
    (thermal,), (kappa,) = thermal_damping(np.array([R0]))
    (shell,) = shell_viscosity(np.array([R0]))
    slope = (
        2
        * embedded_fits.AREA_AT_REST
        * np.gradient(surface_tension(embedded_fits.AREA_AT_REST + np.array([-1e-4, 0, 1e-4])), 1e-4)[1]
    )
    rho, p0 = WATER.density, WATER.pressure
    gas = p0 + 2 * REST_TENSION / R0
    stiffness = 3 * kappa * gas + 2 * (slope - REST_TENSION) / R0
    damping = 3 * kappa * gas * R0 / WATER.sound_speed + 4 * (WATER.viscosity + thermal) + 4 * shell / R0
    time = np.arange(STEPS) * STEP_S
    omega = 2 * np.pi * np.fft.rfftfreq(8 * STEPS, STEP_S)
    transfer = -1 / (stiffness - rho * R0**2 * omega**2 + 1j * omega * damping)
    expected = np.fft.irfft(np.fft.rfft(burst(time, 100.0), n=8 * STEPS) * transfer)[:STEPS]
    assert np.linalg.norm(motion(R0, 100.0) - expected) < 0.01 * np.linalg.norm(expected)


def test_bubble_at_rest_stays_at_rest():
    x, u, a = integrate(bubble_equation(np.array([1e-6, 2.4e-6]), 16e-9), torch.zeros(399, 2))
    assert max(x.abs().max(), u.abs().max(), a.abs().max()) < 1e-6


def test_halving_the_step_hardly_moves_the_motion():
    coarse = integrate(bubble_equation(np.array([2.4e-6]), 16e-9), torch.full((401, 1), -5e4))[0]
    fine = integrate(bubble_equation(np.array([2.4e-6]), 8e-9), torch.full((801, 1), -5e4))[0]
    assert (coarse - fine[::2]).abs().max() < 1e-3 * fine.abs().max()


def test_surface_tension_is_the_clamped_cubic_spline_through_the_knots():
    knots = 0.92 + 0.015 * np.arange(14)
    assert surface_tension(knots) == pytest.approx(embedded_fits.TENSION_KNOTS, abs=1e-12)
    area = np.linspace(0.92, 1.115, 997)
    ends = ((1, embedded_fits.TENSION_END_SLOPES[0]), (1, embedded_fits.TENSION_END_SLOPES[1]))
    assert surface_tension(area) == pytest.approx(
        CubicSpline(knots, embedded_fits.TENSION_KNOTS, bc_type=ends)(area), abs=1e-12
    )
    assert surface_tension([0.1, 0.92, 1.115, 9.0]) == pytest.approx([0, 0, 0.072, 0.072])


def test_tension_at_rest_balances_the_gas_pressure():
    assert float(surface_tension(embedded_fits.AREA_AT_REST)) == pytest.approx(REST_TENSION, abs=1e-8)


def test_table_follows_the_spline():
    x = np.linspace(-0.5, 1.0, 20_001)
    table = tension_table("cpu", embedded_fits.AREA_AT_REST)(torch.as_tensor(x, dtype=torch.float32)).double().numpy()
    assert table == pytest.approx(surface_tension(embedded_fits.AREA_AT_REST * (1 + x) ** 2), abs=2e-7)


def test_nan_passes_through_the_table():
    values = tension_table("cpu", embedded_fits.AREA_AT_REST)(torch.tensor([float("nan"), 0.0]))
    assert torch.isnan(values[0])
    assert float(values[1]) == pytest.approx(REST_TENSION, abs=1e-6)


def test_thermal_constants_have_the_published_values():
    viscosity, kappa = thermal_damping(np.array([2.0e-6, 2.4e-6, 2.8e-6]))
    assert viscosity == pytest.approx([1.661e-4, 1.4625e-4, 1.303e-4], rel=5e-4)
    assert kappa == pytest.approx([1.0589, 1.0623, 1.0642], abs=1e-4)
    assert (kappa < C4F10.polytropic).all()
