"""FISTA against an exact solver and the optimality conditions; merging; the unit of its score."""

import functools
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import toeplitz
from scipy.optimize import nnls

from kernbench.ulm.detectors.methods.echoes import simulated_bank
from kernbench.ulm.detectors.methods.fista import Fista, merged, solve
from kernbench.ulm.detectors.recording import Recording
from kernbench.ulm.simulator.scene import Scene
from kernbench.ulm.simulator.simulate import simulate_lines

LENGTH = 60


def problem(templates, lines, seed):
    """Random sparse lines of a bank whose convolutions are well conditioned, noise included."""
    rng = np.random.default_rng(seed)
    echoes = rng.normal(size=(templates, 12)) * np.exp(-np.arange(12) / 3)
    echoes[:, 0] += 2
    x = rng.uniform(0, 1, (lines, templates, LENGTH)) * (rng.random((lines, templates, LENGTH)) < 0.1)
    voltage = np.einsum("bij,nbj->ni", matrices(echoes), x) + rng.normal(0, 0.05, (lines, LENGTH))
    return echoes, voltage


def matrices(echoes):
    """The convolution with each echo, cut at the end of the line, as (B, L, L)."""
    column = np.pad(echoes, ((0, 0), (0, LENGTH - echoes.shape[1])))
    return np.stack([toeplitz(each, np.zeros(LENGTH)) for each in column])


def solved(voltage, echoes, penalty, iterations=5_000):
    return solve(torch.from_numpy(voltage), torch.from_numpy(echoes), penalty, iterations, change=1e-13)


@pytest.mark.parametrize("penalty", [1e-3, 0.1, 0.4])
def test_one_template_agrees_with_non_negative_least_squares(penalty):
    echoes, voltage = problem(1, 3, seed=1)
    matrix = matrices(echoes)[0]
    amplitude, _ = solved(voltage, echoes, penalty)
    for line, x in zip(voltage, amplitude[:, 0], strict=True):
        weight = penalty * (matrix.T @ line).max()
        # The matrix is square: the linear penalty is a shift of the data.
        expected, _ = nnls(matrix, line - weight * np.linalg.solve(matrix.T, np.ones(LENGTH)))
        np.testing.assert_allclose(x, expected, atol=1e-7)


@pytest.mark.parametrize("templates", [1, 3])
def test_a_solution_is_optimal_by_the_conditions_of_karush_kuhn_and_tucker(templates):
    echoes, voltage = problem(templates, 4, seed=2)
    amplitude = solved(voltage, echoes, 0.05)[0].numpy()
    system = matrices(echoes)
    residual = voltage - np.einsum("bij,nbj->ni", system, amplitude)
    slope = np.einsum("bij,ni->nbj", system, residual)
    weight = 0.05 * np.einsum("bij,ni->nbj", system, voltage).max(axis=(1, 2))
    gradient = weight[:, None, None] - slope
    assert (amplitude >= 0).all()
    assert (amplitude > 0).any()
    assert gradient.min() > -1e-6
    assert np.abs(gradient[amplitude > 1e-6]).max() < 1e-6


def test_the_residual_is_the_energy_that_is_left():
    echoes, voltage = problem(2, 3, seed=3)
    amplitude, residual = solved(voltage, echoes, 0.05, iterations=50)
    left = voltage - np.einsum("bij,nbj->ni", matrices(echoes), amplitude.numpy())
    np.testing.assert_allclose(residual, (left**2).sum(axis=1), rtol=1e-9)


def test_a_line_does_not_depend_on_the_lines_beside_it():
    echoes, voltage = problem(2, 5, seed=4)
    voltage[1] = 0  # done at the first check
    voltage[3] *= 1e-3
    bank = torch.from_numpy(echoes)
    together = solve(torch.from_numpy(voltage), bank, 0.03)[0]
    for line, x in zip(voltage, together, strict=True):
        alone = solve(torch.from_numpy(line)[None], bank, 0.03)[0][0]
        np.testing.assert_allclose(x, alone, atol=1e-12)
    assert not together[1].any()


def test_runs_become_their_sum_at_their_centroid():
    line = torch.tensor([[0, 1, 3, 0, 0, 2, 0, 0, 0, 4.0], [5, 0, 0, 0, 0, 0, 0, 0, 0, 0]])
    assert merged(line, 0).tolist() == [[0, 0, 4, 0, 0, 2, 0, 0, 0, 4], [5, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
    assert merged(line, 2).tolist() == [[0, 0, 0, 6, 0, 0, 0, 0, 0, 4], [5, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
    assert not merged(torch.zeros(2, 4), 3).any()


@given(st.integers(0, 8), st.integers(0, 10_000))
@settings(max_examples=60)
def test_merged_runs_are_apart_and_keep_the_total(gap, seed):
    rng = np.random.default_rng(seed)
    score = torch.from_numpy(rng.random((4, 50)) * (rng.random((4, 50)) < 0.2))
    got = merged(score, gap)
    assert got.sum(dim=1).tolist() == pytest.approx(score.sum(dim=1).tolist())
    runs = [np.flatnonzero(line > 0) for line in score.numpy()]
    expected = [0 if not len(run) else 1 + int((np.diff(run) > gap + 1).sum()) for run in runs]
    assert (got > 0).sum(dim=1).tolist() == expected


@functools.cache
def two_lines():
    """Windows with one bubble each, 60 and 200 kPa."""
    scenes = [Scene([0.045], [0.0], [2.4e-6], 60e3), Scene([0.030], [0.0], [2.4e-6], 200e3)]
    starts = np.array([3500, 2300])
    lines = simulate_lines(scenes, window=(starts, 800))
    return Recording(lines.voltage, lines.counts, torch.from_numpy(starts))


def assert_about_one_at_the_arrivals(z, slack):
    assert (z.argmax(dim=1) - two_lines().counts.argmax(dim=1)).abs().max() <= 1
    assert z.amax(dim=1).tolist() == pytest.approx([1, 1], abs=slack)
    assert (z >= 0).all()


@pytest.mark.parametrize("gain", ["none", "depth"])
@pytest.mark.parametrize(("per_line", "slack"), [(True, 0.2), (False, 0.5)])
def test_a_bubble_that_the_bank_knows_scores_about_one_at_its_arrival(gain, per_line, slack):
    # All pressures at once share a bubble among them, so its level is known less well.
    bank = simulated_bank((60e3, 200e3), (0.010, 0.040))
    detector = Fista("fista", bank, per_line=per_line)
    z = detector.score(two_lines(), {"gain": gain, "penalty": 1e-3, "level": "expected", "gap": 8})
    assert_about_one_at_the_arrivals(z, slack)


def test_per_line_takes_the_pressure_of_the_smallest_residual():
    setting = {"gain": "none", "penalty": 1e-3, "level": "expected", "gap": 0}
    both = simulated_bank((60e3, 200e3), (0.040,))
    chosen = Fista("fista", both, per_line=True).score(two_lines(), setting)
    for line, pressure in enumerate((60e3, 200e3)):
        alone = Fista("fista", both.by_pressure()[pressure]).score(two_lines(), setting)
        assert torch.equal(chosen[line], alone[line])
        assert not torch.equal(chosen[1 - line], alone[1 - line])


def test_a_single_template_in_units_of_the_line_does_not_see_its_level():
    detector = Fista("fista-single", simulated_bank())
    setting = {"gain": "depth", "penalty": 0.03, "level": "line", "gap": 0}
    usual, loud = two_lines(), replace(two_lines(), voltage=two_lines().voltage * 50)
    np.testing.assert_allclose(detector.score(usual, setting), detector.score(loud, setting), rtol=1e-3, atol=1e-3)


def test_settings_that_share_a_solution_follow_each_other():
    settings_ = Fista("fista-single", simulated_bank()).settings()
    solutions = [(each["gain"], each["penalty"]) for each in settings_]
    changes = sum(one != other for one, other in pairwise(solutions))
    assert changes + 1 == len(set(solutions))
