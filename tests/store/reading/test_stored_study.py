"""A study read back from a database is the study that was stored; anything else is refused."""

import json
import re

import fakes
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernbench.errors import KernbenchError, StudyError
from kernbench.registry import find, installed
from kernbench.store.reading.stored_study import check_same, find_stored, what_workers_need
from kernbench.study.reading import available_studies, profiles
from kernbench.study.task import load as load_task_study
from kernbench.study.task import restored


def stored_again(world, study, family):
    """What a worker makes of a study after `run --workers 0`: the same."""
    world.found = find(family)
    world.run(study, queue_only=True)
    (stored,) = find_stored(world.url, study.key)
    again = restored(stored, find(stored.family).family)
    check_same(stored, again)
    assert tuple(stored.cells) == tuple(study.cells())
    assert again.cells() == study.cells()
    for name in ("key", "digest", "runtime", "seeds"):
        assert getattr(again, name) == getattr(study, name), name
    return again


@pytest.mark.parametrize("profile", sorted(profiles()))
def test_every_installed_study_comes_back_with_the_same_cells_and_digest(profile, tmp_path, empty_database):
    families = sorted(installed().found)
    for place, name in enumerate(sorted(available_studies())):
        (tmp_path / name).mkdir()
        world = fakes.World(tmp_path / name, empty_database)
        for family in [families[place % len(families)], "siren"]:  # each with several studies
            try:
                study = load_task_study(name, find(family).family, profile)
            except KernbenchError:  # an axis of another family, or files that are not here
                continue
            stored_again(world, study, family)
            break
        world.close()


def test_axes_of_every_kind_and_the_runtime_come_back(world):
    more = "omega_0 = [0.1e2, 15.5]\ninit = ['siren-intended']\nomega_bias = [true, false]\nrate = [0.001]\n"
    more += "[training]\nrecompute = true\n[hyper.siren]\nhidden = 7"
    path = world.folder / "mine.toml"
    path.write_text(fakes.TEXT.format(sizes=[9, 33], seeds=3, more=more))
    study = load_task_study(str(path), find("siren").family, "quick")
    again = stored_again(world, study, "siren")
    assert again.runtime == {"recompute": True, "compile": "off", "checkpoint_seconds": 20.0}


def test_a_profile_of_the_study_itself_comes_back(world):
    path = world.folder / "mine.toml"
    path.write_text(fakes.TEXT.format(sizes=[9], seeds=1, more="[profiles.mine]\ntraining = {epochs = 3}"))
    study = load_task_study(str(path), find("discrete").family, "mine")
    again = stored_again(world, study, "discrete")
    assert (again.profile, again.definition["training"]["epochs"]) == ("mine", 3)


def test_cells_of_all_runs_are_known_and_the_runtime_is_that_of_the_last(world):
    world.run(world.study([9]), queue_only=True)
    world.run(world.study([9, 33], seeds=2), queue_only=True, extend=True)
    world.run(world.study([33], more="[training]\nrecompute = true"), queue_only=True)
    attributes = world.optuna_study().user_attrs
    assert json.loads(attributes["axes"]) == {"kernel_size": [9, 33]}
    assert json.loads(attributes["seeds"]) == 2
    assert json.loads(attributes["runtime"])["recompute"] is True
    assert len(json.loads(attributes["cells"])) == 4


@settings(max_examples=50)
@given(st.lists(st.sets(st.integers(1, 20), min_size=1), min_size=1, max_size=5), st.lists(st.integers(1, 9)))
def test_axes_only_ever_grow_and_keep_their_order(runs, seeds):
    class Asked:
        def __init__(self, values, count):
            self.axes, self.seeds, self.runtime = {"k": tuple(values)}, tuple(range(count)), {}

    known, before = {}, []
    for values, count in zip(runs, [*seeds, 1, 1, 1, 1, 1], strict=False):
        known = {name: json.dumps(value) for name, value in what_workers_need(Asked(values, count), known).items()}
        now = json.loads(known["axes"])["k"]
        assert now[: len(before)] == before
        assert set(now) == set(before) | values
        assert json.loads(known["seeds"]) >= count
        before = now


CHANGES = {  # of a stored definition -> what is said of it
    "protocol: '0' (stored)": lambda definition: definition.update(protocol="0"),
    "recipe: 'feedfeedfeed' (stored)": lambda definition: definition.update(recipe="feedfeedfeed"),
    "gone": lambda definition: definition["kernel"]["hyper"].update(gone=1),
    "training.rate_of_another_time": lambda definition: definition["training"].update(rate_of_another_time=1),
    "training.hard_weight: None (stored) -> 1.6 (now)": lambda definition: definition["training"].pop("hard_weight"),
}


def test_a_definition_that_means_something_else_here_is_refused(world):
    study = load_task_study("smoke", find("discrete").family, "quick")
    world.run(study, queue_only=True)
    opened = world.optuna_study(study)
    as_stored = opened.user_attrs["definition"]
    for said, change in CHANGES.items():
        definition = json.loads(as_stored)
        change(definition)
        opened.set_user_attr("definition", json.dumps(definition))
        (stored,) = find_stored(world.url, "smoke")
        with pytest.raises(StudyError, match=rf"smoke\.v1\.quick/discrete.*{re.escape(said)}") as error:
            check_same(stored, restored(stored, find("discrete").family))
        assert "\n" not in str(error.value)


def test_studies_are_found_by_name_profile_family_and_version(world):
    for family in ("discrete", "siren"):
        world.found = find(family)
        world.run(world.study(), queue_only=True)
    assert [each.family for each in find_stored(world.url, "mine")] == ["discrete", "siren"]
    assert [each.key for each in find_stored(world.url, "mine.v1.quick/siren")] == ["mine.v1.quick/siren"]
    assert [each.family for each in find_stored(world.url, "mine", family="siren")] == ["siren"]
    with pytest.raises(StudyError, match=r"no study 'other' .*stored: mine.v1.quick/discrete, mine.v1.quick/siren"):
        find_stored(world.url, "other")
    with pytest.raises(StudyError, match=r"family 'gaussian'; stored: discrete, siren"):
        find_stored(world.url, "mine", family="gaussian")
    world.run(world.study(profile="thesis"), queue_only=True)
    with pytest.raises(StudyError, match="profiles quick, thesis; give --profile"):
        find_stored(world.url, "mine")
    assert {each.profile for each in find_stored(world.url, "mine", "thesis")} == {"thesis"}
    path = world.folder / "mine.toml"
    path.write_text(path.read_text().replace("version = 1", "version = 2"))
    world.run(fakes.load_study(str(path), world.found.family, "quick"), queue_only=True)
    assert [each.key for each in find_stored(world.url, "mine", "quick")] == ["mine.v2.quick/siren"]


def test_a_database_of_before_says_what_to_do(world):
    world.run(queue_only=True)
    with world.storage().engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM study_user_attributes WHERE \"key\" = 'axes'")
    with pytest.raises(StudyError, match="`kernbench run` of the study adds it"):
        find_stored(world.url, "mine")
    world.run(queue_only=True)
    assert find_stored(world.url, "mine")
