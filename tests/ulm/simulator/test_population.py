"""Random scenes against the published distributions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernbench.errors import DataError
from kernbench.ulm.simulator.population import POPULATIONS, draw_scene


@given(st.integers(0, 2**63), st.sampled_from(POPULATIONS))
@settings(max_examples=50)
def test_scene_stays_within_the_published_ranges(seed, population):
    scene = draw_scene(np.random.default_rng(seed), population)
    z, x, radius = (np.asarray(column) for column in (scene.z_m, scene.x_m, scene.radius_m))
    assert 10 <= len(z) <= 1000
    assert z.shape == x.shape == radius.shape
    assert 5e3 <= scene.pressure_pa <= 250e3
    assert z.min() >= 3.7e-3
    assert z.max() <= 96.3e-3
    assert (np.diff(z) >= 0).all()
    assert np.abs(x).max() <= 14e-3
    low, high = (1.2e-6, 3.6e-6) if population == "monodisperse" else (0.5e-6, 6e-6)
    assert low <= radius.min()
    assert radius.max() <= high


def radii(population, lines=400):
    rng = np.random.default_rng(11)
    return np.concatenate([np.asarray(draw_scene(rng, population).radius_m) for _ in range(lines)]) * 1e6


def test_monodisperse_radii_are_normal():
    radius = radii("monodisperse")
    assert (radius.mean(), radius.std()) == pytest.approx((2.4, 0.12), rel=5e-3)
    assert np.mean(np.abs(radius - 2.4) < 0.12) == pytest.approx(0.6827, abs=0.005)


def test_polydisperse_radii_have_the_published_moments():
    radius = radii("polydisperse")
    counts, edges = np.histogram(radius, bins=np.arange(0.5, 3, 0.1))
    assert (radius.mean(), radius.std()) == pytest.approx((1.48, 0.75), abs=0.01)
    assert edges[counts.argmax()] == pytest.approx(0.86, abs=0.15)  # mode 0.91


def test_numbers_and_pressures_are_uniform():
    rng = np.random.default_rng(3)
    drawn = [draw_scene(rng) for _ in range(2000)]
    bubbles, pressure = (np.array(v) for v in zip(*((len(s.z_m), s.pressure_pa) for s in drawn), strict=True))
    assert (bubbles.mean(), bubbles.std()) == pytest.approx((505, 990 / 12**0.5), rel=0.04)
    assert (pressure.mean(), pressure.std()) == pytest.approx((127.5e3, 245e3 / 12**0.5), rel=0.04)


def test_unknown_population_offers_the_nearest():
    with pytest.raises(DataError, match="did you mean 'polydisperse'"):
        draw_scene(np.random.default_rng(0), "polydispers")
