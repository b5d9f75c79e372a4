"""Lines of other pulses: names in the cache, the same bubbles, floors and templates that fit."""

import numpy as np
import pytest
import torch

from kernbench.errors import DataError
from kernbench.ulm.data.find import find_set
from kernbench.ulm.data.recipe import Recipe, draw_line, load_split
from kernbench.ulm.detectors.echo_taps import echo_taps
from kernbench.ulm.detectors.methods.echoes import BANK_DEPTHS_M, simulated_bank
from kernbench.ulm.detectors.methods.matched_filter import matched
from kernbench.ulm.line import DEFAULT_PULSE, LABEL_SUPPORT, LONG_ECHO_SUPPORT
from kernbench.ulm.scoring.floors import comb
from kernbench.ulm.simulator.pulses import find_pulse
from kernbench.ulm.simulator.scene import Scene, flatten
from kernbench.ulm.simulator.simulate import simulate_lines

LINES = {"train": 2, "test": 1}


def test_default_lines_have_the_names_that_they_had_before_there_were_pulses():
    # written down at the last commit without pulses
    assert Recipe(LINES, 512, "monodisperse", 3).digest() == "3f22b48f5496"
    assert Recipe(LINES, 512, "polydisperse", 3).digest() == "74b67cd1a93f"
    assert Recipe({"train": 8, "validation": 4, "test": 4}, 1024).digest() == "daa1664fa8c9"
    assert "pulse" not in Recipe(LINES, pulse=DEFAULT_PULSE, bubbles="nonlinear").facts()


def test_pulses_and_kinds_of_bubbles_have_names_of_their_own(tmp_path):
    np.savez(tmp_path / "own.npz", pressure=find_pulse("REF").pressure, rate_hz=250e6)
    names = ["default", "TRI", "REF", "S1.7", "LDC", str(tmp_path / "own.npz")]
    recipes = [Recipe(LINES, 512, pulse=name, bubbles=kind) for name in names for kind in ("nonlinear", "linear")]
    assert len({recipe.digest() for recipe in recipes}) == len(recipes)
    assert Recipe(LINES, pulse="S1.7").facts()["time_step_ns"] == 4
    assert Recipe(LINES, pulse="ExpSDC").facts()["time_step_ns"] == 8
    assert Recipe(LINES, population="polydisperse", pulse="LDC").facts()["time_step_ns"] == 8
    assert str(tmp_path) not in str(recipes[-1].facts())


@pytest.mark.parametrize("population", ["monodisperse", "polydisperse"])
def test_all_pulses_have_the_same_bubbles_and_pressures(population):
    for line in range(3):
        (usual, _), (one, first), (other, again) = (
            draw_line(Recipe({"test": 3}, 2048, population, 7, pulse=name), "test", line)
            for name in ("default", "REF", "LDC")
        )
        assert first == again
        assert one.pressure_pa == other.pressure_pa == usual.pressure_pa
        for name in ("z_m", "x_m", "radius_m"):
            assert (getattr(one, name) == getattr(other, name)).all()
        assert (usual.x_m == one.x_m).all()
        assert (usual.radius_m == one.radius_m).all()
        assert usual.z_m.max() > one.z_m.max()
        labels = flatten([one]).labels
        assert LONG_ECHO_SUPPORT[0] <= labels.min()
        assert labels.max() < LONG_ECHO_SUPPORT[1]


def test_windows_lie_where_labels_can_be():
    assert Recipe(LINES, 6916, pulse="DPT").window == 6916
    with pytest.raises(DataError, match="window: expected 1 to 6916 samples or none, got 7000"):
        Recipe(LINES, 7000, pulse="DPT")


def test_lines_come_back_with_their_support_and_are_found_by_digest():
    recipe = Recipe({"test": 1}, None, seed=1, pulse="REF")
    simulated = load_split(recipe, "test")
    assert simulated.label_support == LONG_ECHO_SUPPORT
    content = find_set(recipe.digest()).content("test")
    assert content.split.label_support == LONG_ECHO_SUPPORT
    assert content.pulse == "REF"
    labels = flatten([Scene(*content.positions[0].T, 0.0)]).labels
    assert (np.bincount(labels, minlength=8446) == simulated.counts[0]).all()
    assert np.allclose(content.again(0).voltage[0], simulated.voltage[0], rtol=0, atol=1e-5)
    teeth = comb(8446, 5, support=simulated.label_support)
    assert (teeth.nonzero()[0][[0, -1]] == [312, 7227]).all()
    assert (comb(8446, 5).nonzero()[0][0], LABEL_SUPPORT) == (312, (312, 8177))


@pytest.mark.parametrize("name", ["REF", "LDC", "DPT"])
def test_matched_filter_of_the_pulse_finds_the_bubble(name):
    bank = simulated_bank(pulse=name)
    assert bank.echoes.shape == (1, find_pulse(name).echo_samples)
    line = simulate_lines([Scene([0.03], [0.0], [2.4e-6], 1e5)], pulse=name)
    found = matched(line.voltage, bank.echoes)[0]
    assert abs(int(found.argmax()) - int(line.counts[0].argmax())) <= 1


def test_templates_of_deep_bubbles_are_cut_where_the_line_ends():
    bank = simulated_bank((1e5,), BANK_DEPTHS_M, pulse="DPT")
    assert int(bank.arrival.max()) < LONG_ECHO_SUPPORT[1]
    inside = 8446 - int(bank.arrival[-1])
    assert inside < bank.echoes.shape[1]
    assert not bank.echoes[-1, inside:].any()
    assert bank.echoes[-1, :inside].any()


def test_taps_of_an_echo_are_those_of_its_pulse():
    usual, chirp = echo_taps(129), echo_taps(129, "SDC")
    assert np.linalg.norm(chirp) == pytest.approx(1)
    assert abs(float(usual @ chirp)) < 0.9
    assert torch.equal(simulated_bank().echoes, simulated_bank(pulse=DEFAULT_PULSE).echoes)
    assert simulated_bank().echoes.shape == (1, 256)
