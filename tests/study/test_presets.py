"""The bundled studies: each parses and plans at both profiles; published sizes; which lines train and which test."""

import pytest
from preset_families import FAMILIES

from kernbench.networks.cost import parameter_count
from kernbench.registry import find_family
from kernbench.study.reading import available_studies
from kernbench.study.task import load as load_task_study
from kernbench.ulm.cells import definition

PROFILES = ("smoke", "quick", "day", "thesis")


def load(name, profile, family=None):
    return load_task_study(name, find_family(family or FAMILIES.get(name, "discrete")), profile)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", sorted(available_studies()))
def test_every_preset_parses(name, profile):
    study = load(name, profile)
    assert study.cells()
    assert study.question.endswith(("?", "."))
    assert study.name == name


@pytest.mark.parametrize("name", sorted(available_studies()))
def test_every_preset_plans_at_quick(bench, name):
    family = FAMILIES.get(name, "discrete")
    ended = bench.run("run", "--plugin", family, "--study", name, "--profile", "quick", "--dry-run")
    assert ended.code == 0, ended
    cells = len(load(name, "quick").cells())
    assert f"{cells} cell" in ended.out, ended
    assert f"would run {cells}" in ended.out, ended
    assert bench.files() == []


@pytest.mark.parametrize("name", ["k_sweep", "fixed_kernels"])
def test_studies_that_compare_families_have_five_seeds_at_thesis_and_one_at_quick(name):
    assert (len(load(name, "thesis").seeds), len(load(name, "quick").seeds)) == (5, 1)


# Blanken et al. (2022) and Jonker (2023) print 137,729, 636,497 and 28,392; 22 channels are the thesis's text.
@pytest.mark.parametrize(
    ("name", "family", "expected"),
    [
        ("blanken_hs01", "discrete", 137_729),
        ("blanken_hs001", "discrete", 137_729),
        ("blanken_noise", "discrete", 137_729),
        ("jonker_k3", "siren", 636_497),
        ("jonker_large", "siren", 55_139),
        ("jonker_large_counted", "siren", 28_392),
        ("jonker_omega", "siren", 55_139),
    ],
)
def test_a_preset_of_a_publication_has_its_number_of_parameters(name, family, expected):
    study = load(name, "thesis", family)
    for params in list(study.cells().values())[:: len(study.seeds)]:
        assert parameter_count(definition.make_network(study, params)) == expected


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(("train", "test"), [(a, b) for a in ("mono", "poly") for b in ("mono", "poly")])
def test_every_shift_of_population_is_there_with_thresholds_from_the_training_population(train, test, profile):
    study = load(f"{train}_to_{test}", profile)
    populations = {split: definition.recipe_of(study.definition, split).population for split in definition.SPLITS}
    assert populations == {
        "train": f"{train}disperse",
        "validation": f"{train}disperse",
        "test": f"{test}disperse",
    }
    assert study.definition["evaluation"]["threshold_split"] in ("train", "validation")


@pytest.mark.parametrize("profile", PROFILES)
def test_the_shifts_of_population_differ_in_nothing_else(profile):
    names = [f"{train}_to_{test}" for train in ("mono", "poly") for test in ("mono", "poly")]
    settings = []
    for name in names:
        study = load(name, profile)
        data = {k: v for k, v in study.definition["data"].items() if not k.endswith("population")}
        settings.append((study.axes, {**study.definition, "data": data, "recipe": ""}))
    assert all(each == settings[0] for each in settings)
