"""The bound of one bubble, of several, and what maximum likelihood reaches."""

import numpy as np
import pytest

from kernbench.ulm.limit import bound, noise_basis
from kernbench.ulm.limit.bound import bounds, echo_slopes, moved, sigma_volts
from kernbench.ulm.simulator.echoes import Setup, echoes_alone
from kernbench.ulm.simulator.noise import add_noise, low_pass
from kernbench.ulm.simulator.scene import Scene, flatten
from kernbench.ulm.simulator.simulate import simulate_lines

LENGTH = 1024
START = np.array([4000])  # bubbles 47.5 to 59 mm deep
SAMPLE_M = 1480 / 62.5e6 / 2  # on the axis
TYPICAL = 127.5e3


def at(*samples, pressure=TYPICAL):
    """Bubbles of 2.4 um on the axis, by their arrival in the window."""
    z = (START[0] + np.array(samples, float)) * SAMPLE_M
    return flatten([Scene(z, np.zeros(len(z)), np.full(len(z), 2.4e-6), pressure)])


def bounds_of(bubbles):
    return bounds(echo_slopes(bubbles, START, LENGTH, Setup()))


@pytest.fixture(scope="module")
def crowd():
    """Thirty bubbles off the axis, as slopes; all echoes are whole."""
    rng = np.random.default_rng(3)
    arrival = np.sort(rng.uniform(100, LENGTH - 250, 30))
    return echo_slopes(at(*arrival), START, LENGTH, Setup())


def test_a_typical_bubble_alone_has_the_known_bound():
    depth = 0.05 / SAMPLE_M - START[0]
    (found,) = bounds_of(at(depth))
    assert found == pytest.approx(0.086666, rel=2e-5)
    assert found * sigma_volts(1) == pytest.approx(0.00836, abs=5e-6)
    assert found * sigma_volts(32) == pytest.approx(0.2676, abs=5e-5)


def test_the_bound_of_one_bubble_is_that_without_a_filter():
    slopes = echo_slopes(at(300), START, LENGTH, Setup())
    assert bounds(slopes) == pytest.approx(1 / np.linalg.norm(slopes), rel=1e-6)


def test_bounds_scale_with_noise_and_echoes(crowd):
    assert bounds(crowd / 7) == pytest.approx(7 * bounds(crowd), rel=1e-6)
    assert sigma_volts(8) == pytest.approx(8 * sigma_volts(1))


def test_bubbles_far_apart_are_as_each_alone():
    together = bounds_of(at(100, 700))
    alone = [bounds_of(at(each))[0] for each in (100, 700)]
    assert together == pytest.approx(alone, rel=1e-3)


def test_the_nearer_two_bubbles_the_larger_their_bounds_and_at_one_place_they_have_none():
    found = [
        bounds_of(at(300, 300 + gap)).max() for gap in (64, 4, 0.25)
    ]  # between them it rises and falls with the wave
    assert found == sorted(found)
    assert found[-1] > 10 * found[0]
    assert bounds_of(at(300, 300)).min() > 1e6
    assert np.isinf(bounds_of(at(300, 9000 - START[0] - 600))[1])  # its echo is outside the window


def test_more_bubbles_than_dimensions_have_no_bound():
    rng = np.random.default_rng(0)
    assert (bounds(rng.standard_normal((40, 64))) > 1e6).all()
    assert bounds(np.zeros((0, 64))).shape == (0,)


def test_echoes_alone_add_up_to_the_line():
    bubbles = at(40, 300, 310.3, 1000)
    line = simulate_lines(
        [Scene(bubbles.z_m, np.zeros(4), bubbles.radius_m, TYPICAL)], window=(START, LENGTH)
    ).voltage.numpy()
    alone = echoes_alone(bubbles, START, LENGTH, Setup())
    assert np.linalg.norm(alone.sum(axis=0) - line) < 1e-6 * np.linalg.norm(line)


def test_half_the_shift_gives_the_same_slopes(monkeypatch):
    bubbles = at(300, 520.4)
    slopes = echo_slopes(bubbles, START, LENGTH, Setup())
    monkeypatch.setattr(bound, "SHIFT", 1 / 16)
    assert np.linalg.norm(echo_slopes(bubbles, START, LENGTH, Setup()) - slopes) < 3e-4 * np.linalg.norm(slopes)


def test_a_moved_bubble_arrives_later_by_as_much_and_stays_beside_the_axis():
    bubbles = flatten([Scene([0.02, 0.05], [0.01, -0.003], [2.4e-6] * 2, TYPICAL)])
    after = moved(bubbles, 0.125)
    assert after.arrival_samples - bubbles.arrival_samples == pytest.approx([0.125] * 2, rel=1e-5)
    assert after.range_m**2 - after.z_m**2 == pytest.approx([1e-4, 9e-6], rel=1e-6)


def test_long_windows_take_cosines_which_agree_but_near_the_ends(crowd, monkeypatch):
    exact = bounds(crowd)
    monkeypatch.setattr(noise_basis, "LONGEST", LENGTH - 1)
    assert bounds(crowd) == pytest.approx(exact, rel=5e-3)
    assert np.median(bounds(crowd)) == pytest.approx(np.median(exact), rel=1e-4)


def test_the_basis_is_orthonormal_and_holds_a_third_of_all_dimensions():
    basis = noise_basis.noise_basis(LENGTH)
    assert basis.T @ basis == pytest.approx(np.eye(basis.shape[1]), abs=1e-9)
    assert basis.shape[1] / LENGTH == pytest.approx(noise_basis.BAND, abs=2e-3)


def test_maximum_likelihood_of_one_bubble_reaches_its_bound():
    percent, draws, truth = 8, 1000, at(300)
    window, start = LENGTH // 2, START + 200
    grid = np.linspace(-0.5, 0.5, 41)
    echoes = echoes_alone(at(*(300 + grid)), start, window, Setup())
    # whitened: S^-1 U^T F = W^T, where F = U S W^T is the filter
    basis = noise_basis.noise_basis(window)
    filtered = low_pass(np.eye(window)).astype(np.float64).T @ basis
    squares = (filtered**2).sum(axis=0)
    clean = np.tile(echoes[20], (draws, 1))
    data = (add_noise(clean, percent, 5).astype(np.float64) @ filtered) / squares
    models = echoes.astype(np.float64) @ basis
    # the squared distance is smooth in the arrival: its parabola at the best of the grid
    distance = (models**2).sum(axis=1) - 2 * data @ models.T
    best = np.clip(distance.argmin(axis=1), 1, len(grid) - 2)
    left, middle, right = (distance[np.arange(draws), best + step] for step in (-1, 0, 1))
    estimate = grid[best] + (grid[1] - grid[0]) * (left - right) / (2 * (left - 2 * middle + right))
    (least,) = bounds(echo_slopes(truth, start, window, Setup())) * sigma_volts(percent)
    assert least == pytest.approx(0.067, abs=3e-3)
    assert estimate.std() / least == pytest.approx(1.0, abs=0.05)
    assert abs(estimate.mean()) < 5 * least / draws**0.5
