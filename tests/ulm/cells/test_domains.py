"""Studies whose test lines differ from the training lines: another population, another noise level."""

import dataclasses

import fakes
import numpy as np
import pytest

from kernbench.registry import find_family
from kernbench.study.task import load as load_task_study
from kernbench.ulm.cells import definition as definition_module
from kernbench.ulm.data.recipe import Recipe, load_split


@pytest.fixture
def study(tmp_path):
    def make(axes="", data=""):
        file = tmp_path / "small.toml"
        text = fakes.SMALL.replace("[9, 33]", f"[9]\n{axes}").replace("[training]", f"{data}\n[training]\nepochs = 1")
        file.write_text(text, encoding="utf-8")
        return load_task_study(str(file), find_family("discrete"), "quick")

    return make


def test_mono_to_poly_trains_on_the_lines_of_mono_to_mono_and_tests_on_those_of_poly_to_poly(study):
    shift = study(data='test_population = "polydisperse"').definition
    mono, poly = study().definition, study(data='population = "polydisperse"').definition
    for split, other in (("train", mono), ("validation", mono), ("test", poly)):
        ours = load_split(definition_module.recipe_of(shift, split), split)
        theirs = load_split(definition_module.recipe_of(other, split), split)
        assert np.array_equal(ours.voltage, theirs.voltage)


def test_lines_of_two_populations_have_a_name_of_their_own(study):
    names = [
        definition_module.data_digest(study(data=data).definition)
        for data in ("", 'population = "polydisperse"', 'test_population = "polydisperse"')
    ]
    assert len(set(names)) == 3
    assert names[0] == definition_module.recipe_of(study().definition).digest()
    same = study(data='test_population = "monodisperse"').definition
    assert definition_module.data_digest(same) == names[0]


def test_only_studies_whose_scores_moved_name_another_protocol(study):
    """A clean study of the first version is the same study, and goes on."""
    clean = (study(), study(data="test_noise_percent = 0.0"))
    noisy = (study(data="noise_percent = 8.0"), study(data="test_noise_percent = 8.0"), study("noise_percent = [0.0]"))
    assert [each.definition["protocol"] for each in (*clean, *noisy)] == [1, 1, 2, 2, 2]


def test_noise_may_be_an_axis_and_stays_out_of_the_definition(study):
    noisy = study(axes="noise_percent = [0.0, 8.0]\ntest_noise_percent = [-1.0, 32.0]")
    assert len(noisy.cells()) == 4
    assert "noise_percent" not in noisy.definition["data"]
    params = next(params for params in noisy.cells().values() if params["noise_percent"] == 8.0)
    assert definition_module.resolved(noisy.definition, params, "data")["noise_percent"] == 8.0
    assert "noise_percent" not in {field.name for field in dataclasses.fields(Recipe)}
