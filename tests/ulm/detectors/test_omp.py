"""OMP against least squares by brute force; recovery; the stopping rules; the unit of its score."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_fista import assert_about_one_at_the_arrivals, two_lines

from kernbench.ulm.detectors.methods import omp
from kernbench.ulm.detectors.methods.echoes import simulated_bank
from kernbench.ulm.detectors.methods.omp import LEAST_ENERGY, Dictionary, Omp, most_atoms, pursue

LENGTH, TAPS = 50, 9


def templates(number, rng):
    made = rng.normal(size=(number, TAPS))
    made[:, 0] *= 0.1  # as an echo begins; of one tap alone, all templates would be the same
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def columns(echoes):
    """Every echo at every sample, cut at the end: whole ones (L, B L), and their norms (B L,)."""
    whole = np.zeros((LENGTH, len(echoes) * LENGTH))
    for place, (template, sample) in enumerate(np.ndindex(len(echoes), LENGTH)):
        kept = min(TAPS, LENGTH - sample)
        whole[sample : sample + kept, place] = echoes[template, :kept]
    return whole, np.linalg.norm(whole, axis=0)


def brute_force(line, echoes, ratio, most):
    """The definition: choose by normalized correlation, solve least squares from scratch; places and amplitudes."""
    whole, norm = columns(echoes)
    allowed = norm**2 >= LEAST_ENERGY
    chosen, amplitude, residual = [], np.empty(0), line
    while np.linalg.norm(residual) > ratio * np.linalg.norm(line) and len(chosen) < most:
        score = np.where(allowed, whole.T @ residual / norm, -np.inf)
        if score.max() <= 1e-9:
            break
        chosen.append(int(score.argmax()))
        amplitude = np.linalg.lstsq(whole[:, chosen], line, rcond=None)[0]
        residual = line - whole[:, chosen] @ amplitude
    return chosen, amplitude, np.linalg.norm(residual) / np.linalg.norm(line)


@given(st.integers(0, 10_000), st.integers(1, 4), st.sampled_from([0.6, 0.3, 0.1]), st.integers(1, 14))
@settings(max_examples=80)
def test_it_is_least_squares_on_greedily_chosen_atoms(seed, number, ratio, most):
    rng = np.random.default_rng(seed)
    echoes, line = templates(number, rng), rng.normal(size=LENGTH)
    found = pursue(line, Dictionary(echoes, LENGTH), [ratio], most)[0]
    chosen, amplitude, left = brute_force(line, echoes, ratio, most)
    assert (found.template * LENGTH + found.sample).tolist() == chosen
    np.testing.assert_allclose(found.amplitude, amplitude, rtol=1e-7, atol=1e-9)
    assert found.ratio == pytest.approx(left, rel=1e-9)


@given(st.integers(0, 10_000))
@settings(max_examples=30)
def test_one_pursuit_passes_what_pursuits_to_each_ratio_find(seed):
    rng = np.random.default_rng(seed)
    dictionary, line = Dictionary(templates(2, rng), LENGTH), rng.normal(size=LENGTH)
    together = pursue(line, dictionary, [0.8, 0.5, 0.2], 40)
    for ratio, found in zip([0.8, 0.5, 0.2], together, strict=True):
        alone = pursue(line, dictionary, [ratio], 40)[0]
        assert found.sample.tolist() == alone.sample.tolist()
        assert found.amplitude.tolist() == alone.amplitude.tolist()


def test_echoes_that_do_not_overlap_are_found_exactly():
    rng = np.random.default_rng(4)
    echoes = templates(3, rng)
    line = np.zeros(LENGTH)
    truth = {(0, 3): 2.0, (2, 14): 0.5, (1, 30): 1.25}
    for (template, sample), amplitude in truth.items():
        line[sample : sample + TAPS] += amplitude * echoes[template]
    (found,) = pursue(line, Dictionary(echoes, LENGTH), [1e-6], 20)
    places = zip(found.template.tolist(), found.sample.tolist(), strict=True)
    assert dict(zip(places, found.amplitude.tolist(), strict=True)) == pytest.approx(truth)
    assert found.ratio < 1e-12


def test_a_silent_line_has_no_atoms_and_a_line_of_the_other_sign_only_what_correlates():
    rng = np.random.default_rng(5)
    dictionary = Dictionary(templates(1, rng), LENGTH)
    (silent,) = pursue(np.zeros(LENGTH), dictionary, [0.1], 5)
    assert (len(silent.sample), silent.ratio) == (0, 0.0)
    pulse = Dictionary(np.ones((1, 1)), LENGTH)
    (negative,) = pursue(-np.ones(LENGTH), pulse, [0.1], 5)
    assert (len(negative.sample), negative.ratio) == (0, 1.0)


def test_an_atom_that_is_there_twice_is_taken_once():
    rng = np.random.default_rng(6)
    echoes = np.repeat(templates(1, rng), 2, axis=0)
    (found,) = pursue(rng.normal(size=LENGTH), Dictionary(echoes, LENGTH), [1e-3], 30)
    assert len(set(found.sample.tolist())) == len(found.sample)
    assert np.abs(found.amplitude).max() < 1e3


def test_a_whole_line_may_have_1200_atoms_and_a_window_its_share():
    assert most_atoms(8446) == 1200
    assert most_atoms(2048) == 291


def setting(bank, gain="none", ratio=0.2, level="expected"):
    return {"bank": bank, "gain": gain, "ratio": ratio, "level": level}


def detector():
    return Omp(simulated_bank(), simulated_bank((60e3, 200e3), (0.010, 0.040)))


@pytest.mark.parametrize("gain", ["none", "depth"])
@pytest.mark.parametrize("bank", ["all", "per-line"])
def test_a_bubble_that_the_bank_knows_scores_about_one_at_its_arrival(gain, bank):
    z = detector().score(two_lines(), setting(bank, gain))
    assert_about_one_at_the_arrivals(z, slack=0.2)


def test_per_line_takes_the_pressure_of_the_fewest_echoes():
    both = simulated_bank((60e3, 200e3), (0.010, 0.040))
    chosen = detector().score(two_lines(), setting("per-line", ratio=0.05))
    for line, pressure in enumerate((60e3, 200e3)):
        alone = Omp(simulated_bank(), both.by_pressure()[pressure]).score(two_lines(), setting("all", ratio=0.05))
        assert torch.equal(chosen[line], alone[line])


def test_giving_up_early_changes_no_choice(monkeypatch):
    rng = torch.Generator().manual_seed(1)
    noisy = replace(two_lines(), voltage=two_lines().voltage + torch.randn(2, 800, generator=rng))
    wanted, giving_up = [setting("per-line", ratio=ratio) for ratio in omp.RATIOS], detector()
    early = [giving_up.score(noisy, each) for each in wanted]
    limits = []

    def patient(line, dictionaries, ratios):
        limits.append(len(dictionaries))
        return [pursue(line, each, ratios, most_atoms(len(line))) for each in dictionaries]

    monkeypatch.setattr(omp, "_pursue_each", patient)
    other = detector()
    for each, expected in zip(wanted, early, strict=True):
        assert torch.equal(other.score(noisy, each), expected)
    assert limits == [2, 2]


def test_a_score_does_not_depend_on_what_was_asked_before():
    used = detector()
    searched = [used.score(two_lines(), setting("all", ratio=ratio)) for ratio in omp.RATIOS]
    for ratio, expected in reversed(list(zip(omp.RATIOS, searched, strict=True))):
        assert torch.equal(detector().score(two_lines(), setting("all", ratio=ratio)), expected)
