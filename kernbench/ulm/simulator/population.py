"""Random scenes: the published populations of bubbles, lines and pressures.

Source: Blanken et al. (2022), IEEE Trans. Med. Imaging 41(9), and its code SRML-1D.
"""

import functools

import numpy as np

from kernbench.errors import DataError, close_match
from kernbench.ulm.line import DEPTH_RANGE_M
from kernbench.ulm.simulator.physics import FloatArray
from kernbench.ulm.simulator.scene import Scene

POPULATIONS = ("monodisperse", "polydisperse")
PRESSURE_RANGE_PA = (5e3, 250e3)
BUBBLE_RANGE = (10, 1000)
HALF_WIDTH_M = 14e-3


def stream(seed: int, *key: int) -> np.random.Generator:
    """Random stream of one thing, such as a line, that does not depend on how many others there are."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def draw_scene(
    rng: np.random.Generator,
    population: str = "monodisperse",
    depth_range_m: tuple[float, float] = DEPTH_RANGE_M,
) -> Scene:
    """Scene of one line: pressure, number of bubbles, positions and radii as published.

    Args:
        rng: source of all randomness; equal states give equal scenes.
        population: "monodisperse" (2.4 um +- 5 %) or "polydisperse" (0.5 to 6 um).
        depth_range_m: least and largest depth; of one state, all else is the same whatever it is.

    Returns:
        Scene with 10 to 1000 bubbles sorted by depth.

    Raises:
        DataError: no such population.
    """
    check_population(population)
    pressure = rng.uniform(*PRESSURE_RANGE_PA)
    bubbles = int(np.floor(rng.uniform(*BUBBLE_RANGE) + 0.5))
    z = np.sort(rng.uniform(*depth_range_m, size=bubbles))
    x = rng.uniform(-HALF_WIDTH_M, HALF_WIDTH_M, size=bubbles)
    if population == "monodisperse":  # sorted: within 50 % of the mean
        radius = np.clip(rng.normal(2.4e-6, 0.12e-6, size=bubbles), 1.2e-6, 3.6e-6)
    else:  # native: by its distribution function
        radius = np.interp(rng.uniform(size=bubbles), *_polydisperse_distribution())
    return Scene(z, x, radius, float(pressure))


def check_population(population: str) -> None:
    """Raise DataError if there is no such population."""
    if population not in POPULATIONS:
        known = " or ".join(POPULATIONS)
        raise DataError(f"population: expected {known}, got {population!r}{close_match(population, POPULATIONS)}")


@functools.cache
def _polydisperse_distribution() -> tuple[FloatArray, FloatArray]:
    """Cumulative probability, P ~ R^2 exp(-2.19 R) with R in um, and the radii [m]."""
    radius_um = np.linspace(0.5, 6, 1001)
    density = radius_um**2 * np.exp(-2.19 * radius_um)
    return np.cumsum(density / density.sum()), radius_um * 1e-6
