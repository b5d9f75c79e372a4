"""The bubble against jbubble, an engine by other authors, and against linear theory, which needs no engine.

`jbubble.npz` holds what jbubble 0.1.1 (MIT licence) gave; benchmarks/jbubble_traces.py made it.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from kernbench.ulm.simulator import embedded_fits
from kernbench.ulm.simulator.physics import (
    C4F10,
    REST_TENSION,
    WATER,
    bubble_equation,
    integrate,
    shell_viscosity,
    surface_tension,
    thermal_damping,
)
from kernbench.ulm.simulator.simulate import simulate_bubbles

DEPTH_M = 0.05
HARD = (1.5e-6, 250e3)  # compressed to 0.42 of its radius: the one that 16 ns are too long for


@pytest.fixture(scope="module")
def theirs():
    with np.load(Path(__file__).with_name("jbubble.npz"), allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


@pytest.fixture(scope="module")
def ours(theirs):
    """Step in ns -> the nine bubbles, on the grid of 16 ns."""
    radius, amplitude = theirs["radius_m"], theirs["amplitude_pa"]
    return {ns: simulate_bubbles(DEPTH_M, radius, amplitude, time_step_s=ns * 1e-9) for ns in (1, 2, 8, 16)}


def excursion(trace, theirs, ns):
    return trace.radius_m[:, :: 16 // ns].double().numpy() / theirs["radius_m"][:, None] - 1


def apart(mine, other):
    """Largest difference of each trace over the peak of the other."""
    return np.abs(mine - other).max(axis=-1) / np.abs(other).max(axis=-1)


def is_hard(theirs):
    return np.isclose(theirs["radius_m"], HARD[0]) & np.isclose(theirs["amplitude_pa"], HARD[1])


def test_nine_bubbles_move_as_those_of_jbubble(ours, theirs):
    error = {ns: apart(excursion(trace, theirs, ns), theirs["excursion"]) for ns, trace in ours.items()}
    hard = is_hard(theirs)
    assert len(hard) == 9
    assert hard.sum() == 1
    assert error[1].max() < 1e-4
    assert error[8].max() < 3e-3
    assert error[16][~hard].max() < 2e-3


def test_sixteen_ns_are_too_long_for_the_small_bubble_at_250_kpa_and_8_ns_are_not(ours, theirs):
    hard = is_hard(theirs)
    error = {ns: apart(excursion(ours[ns], theirs, ns), theirs["excursion"])[hard].item() for ns in (8, 16)}
    assert error[16] > 0.02  # docs/benchmarks.md says 3.9 %
    assert error[8] < 3e-3


def test_nine_bubbles_scatter_as_those_of_jbubble(ours, theirs):
    mine = ours[2].scattered_pa[:, ::8].double().numpy()
    error = np.linalg.norm(mine - theirs["scattered_pa"], axis=1) / np.linalg.norm(theirs["scattered_pa"], axis=1)
    assert error.max() < 2e-4


def test_each_term_of_the_equation_is_noticed(ours, theirs):
    at = np.flatnonzero(theirs["amplitude_pa"] == 150e3)
    mine = excursion(ours[16], theirs, 16)[at]
    assert theirs["control_excursion"].shape == (5, 3, 356)
    for name, other in zip(theirs["controls"].tolist(), theirs["control_excursion"], strict=True):
        least = 1e-2 if name == "keller-miksis" else 3e-3
        assert apart(mine, other).min() > least, name


def test_an_equation_with_a_term_changed_moves_as_that_of_jbubble_with_the_same_change(ours, theirs):
    at = np.flatnonzero(theirs["amplitude_pa"] == 150e3)
    radius = theirs["radius_m"][at]
    equation = bubble_equation(radius, 2e-9)
    thermal, exponent = (torch.as_tensor(values, dtype=torch.float32) for values in thermal_damping(radius))
    changed = {
        "no reradiation": replace(equation, gas_reradiation=torch.zeros(3)),
        "no thermal viscosity": replace(
            equation, viscous=equation.viscous * WATER.viscosity / (WATER.viscosity + thermal)
        ),
        "adiabatic exponent": replace(
            equation,
            exponent=torch.full((3,), -3 * C4F10.polytropic),
            gas_reradiation=equation.gas_reradiation * C4F10.polytropic / exponent,
        ),
    }
    controls = dict(zip(theirs["controls"].tolist(), theirs["control_excursion"], strict=True))
    drive = ours[1].pressure_pa[at, :5695].T  # steps of 1 ns are the half steps of 2 ns
    for name, each in changed.items():
        x = integrate(each, drive.clone())[0][::8].T.double().numpy()
        assert apart(x, controls[name]).max() < 1e-4, name


@pytest.fixture(scope="module")
def linear():
    """Radii, angular resonance frequencies [1/s] and damping [1/s] of linear theory."""
    radius = np.array([1.5e-6, 2.4e-6, 3.5e-6])
    thermal, kappa = thermal_damping(radius)
    rest, near = embedded_fits.AREA_AT_REST, 1e-5
    elasticity = rest * float(np.diff(surface_tension([rest - near, rest + near]))[0]) / (2 * near)
    assert elasticity == pytest.approx(0.5604, rel=1e-3)
    gas, inertia = WATER.pressure + 2 * REST_TENSION / radius, WATER.density * radius**2
    stiffness = 3 * kappa * gas - 2 * REST_TENSION / radius + 4 * elasticity / radius
    friction = 3 * kappa * gas * radius / WATER.sound_speed + 4 * (WATER.viscosity + thermal)
    return radius, np.sqrt(stiffness / inertia), (friction + 4 * shell_viscosity(radius) / radius) / inertia


def test_resonances_of_linear_theory(linear):
    _, omega, damping = linear
    assert omega / (2e6 * np.pi) == pytest.approx([4.56, 2.37, 1.42], abs=5e-3)
    assert damping / omega == pytest.approx([0.287, 0.259, 0.306], abs=5e-4)


def test_weakly_driven_bubbles_approach_linear_theory_as_the_pressure_falls(linear):
    radius, omega0, damping = linear
    error = {}
    for kilopascal in (0.25, 0.5, 1.0):
        trace = simulate_bubbles(DEPTH_M, radius, kilopascal * 1e3, time_step_s=8e-9)
        points = 8 * len(trace.time_s)
        omega = 2 * np.pi * np.fft.rfftfreq(points, 8e-9)
        response = -1 / (
            WATER.density * radius[:, None] ** 2 * (omega0[:, None] ** 2 - omega**2 + 1j * np.outer(damping, omega))
        )
        driven = np.fft.rfft(trace.pressure_pa.double().numpy(), n=points) * response
        expected = np.fft.irfft(driven, n=points)[:, : len(trace.time_s)]
        error[kilopascal] = apart(trace.radius_m.double().numpy() / radius[:, None] - 1, expected)
    assert error[1.0].max() < 0.015
    assert error[0.25].max() < 3e-3
    assert error[0.5] / error[0.25] == pytest.approx(np.full(3, 2.0), rel=0.1)  # what is left is of second order
