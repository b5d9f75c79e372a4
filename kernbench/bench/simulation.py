"""Bubbles simulated in batches against one at a time by a general solver of differential equations."""

import time

import numpy as np
import scipy.integrate

from kernbench.bench.table import BenchTable
from kernbench.bench.timing import where
from kernbench.errors import KernbenchError
from kernbench.ulm.data.recipe import Recipe, draw_line
from kernbench.ulm.simulator import embedded_fits
from kernbench.ulm.simulator.physics import (
    REST_TENSION,
    WATER,
    shell_viscosity,
    surface_tension,
    thermal_damping,
)
from kernbench.ulm.simulator.simulate import BubbleTrace, simulate_bubbles, simulate_lines

PEERS = 6  # bubbles for the general solver
AGREEMENT = 0.02  # of the peak excursion; the peer reads the pressure by linear interpolation on 4 ns


def table(lines: int) -> BenchTable:
    """Time per bubble of complete lines, and of single bubbles by scipy's LSODA at the tolerance of MATLAB's ode45.

    Args:
        lines: complete lines of 10 to 1,000 bubbles.

    Raises:
        KernbenchError: the two disagree.
    """
    recipe = Recipe({"train": lines}, seed=0)
    scenes = [draw_line(recipe, "train", line)[0] for line in range(lines)]
    bubbles = sum(len(np.asarray(scene.radius_m)) for scene in scenes)
    simulate_lines(scenes[:1])  # tables and FFT plans
    start = time.perf_counter()
    simulate_lines(scenes)
    ours = (time.perf_counter() - start) / bubbles
    trace, radii = _traces(PEERS, seed=0)
    start = time.perf_counter()
    others = [solve(trace, bubble, radii[bubble]) for bubble in range(PEERS)]
    theirs = (time.perf_counter() - start) / PEERS
    worst = max(_disagreement(trace, bubble, radii[bubble], other) for bubble, other in enumerate(others))
    if worst > AGREEMENT:
        raise KernbenchError(f"the two solvers differ by {worst:.1%} of the peak excursion: this is a bug of kernbench")
    return BenchTable(
        "simulate",
        f"Simulation per bubble, {where()}: {lines} complete lines with {bubbles:,} bubbles, labels, propagation and "
        f"reception included, against the equation of motion alone of {PEERS} bubbles in scipy's solver (largest "
        f"difference {worst:.2%} of the peak excursion)",
        ["way", "ms per bubble", "times ours"],
        [["kernbench, 16 ns", 1e3 * ours, 1.0], ["scipy solve_ivp, LSODA", 1e3 * theirs, theirs / ours]],
    )


def _traces(number: int, seed: int) -> tuple[BubbleTrace, np.ndarray]:
    draw = np.random.default_rng(seed)
    radii = draw.uniform(2.0e-6, 2.8e-6, number)
    trace = simulate_bubbles(
        draw.uniform(0.01, 0.09, number), radii, draw.uniform(5e3, 150e3, number), time_step_s=4e-9
    )
    return trace, radii


def solve(trace: BubbleTrace, bubble: int, radius_m: float) -> np.ndarray:
    """Radius [m] of one bubble at the times of its trace, under the same pressure, in float64.

    Marmottant et al. (2005), J. Acoust. Soc. Am. 118, eq. 3, with the thermal viscosity of Prosperetti (1977).
    """
    at = trace.time_s.numpy()
    pressure = trace.pressure_pa[bubble].double().numpy()
    thermal, kappa = (float(each[0]) for each in thermal_damping(np.array([radius_m])))
    shell = float(shell_viscosity(np.array([radius_m]))[0])
    stretch = np.linspace(0.5, 2.0, 8192)  # R / R0; tabulated once
    tensions = surface_tension(embedded_fits.AREA_AT_REST * stretch**2)
    gas_at_rest = WATER.pressure + 2 * REST_TENSION / radius_m

    def motion(t: float, state: np.ndarray) -> tuple[float, float]:
        r, v = state
        gas = gas_at_rest * (r / radius_m) ** (-3 * kappa) * (1 - 3 * kappa * v / WATER.sound_speed)
        tension = np.interp(r / radius_m, stretch, tensions)
        damping = 4 * v / r * (WATER.viscosity + thermal + shell / r)
        wall = gas - WATER.pressure - np.interp(t, at, pressure) - 2 * tension / r - damping
        return v, (wall / WATER.density - 1.5 * v * v) / r

    done = scipy.integrate.solve_ivp(
        motion, (at[0], at[-1]), [radius_m, 0.0], method="LSODA", t_eval=at, rtol=1e-6, atol=[1e-13, 1e-6]
    )
    return np.asarray(done.y[0])


def _disagreement(trace: BubbleTrace, bubble: int, radius_m: float, other: np.ndarray) -> float:
    ours = trace.radius_m[bubble].double().numpy()
    return float(np.abs(ours - other).max() / np.abs(other - radius_m).max())
