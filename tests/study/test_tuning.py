"""The [tuning] table: what is drawn, how often, what it changes, and one clear line for each broken one."""

import dataclasses
import functools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernbench.cli import catalogue
from kernbench.engine.queue.draws import draw
from kernbench.errors import KernbenchWarning, StudyError
from kernbench.host.files import canonical
from kernbench.kernels.family import KernelFamily
from kernbench.kernels.space import Choice, Float, Int
from kernbench.registry import find_family, installed
from kernbench.study import tuning
from kernbench.study.reading import load_study
from kernbench.study.study import differences
from kernbench.study.task import load as load_task_study
from kernbench.study.tuning import stored_space
from kernbench.ulm.cells.definition import hyper_of, resolved
from kernbench.ulm.cells.preflight import check_networks

BASIC = "version = 1\nseeds = 2\n[axes]\nkernel_size = [9, 33]\n"
CLASHING = KernelFamily("clashing", "nowhere:Nothing", space={"depth": Int(1, 9), "width": Float(1.0, 2.0)})
DRAWN = KernelFamily("drawn", "nowhere:Nothing", space={"draw": Int(1, 9)})


@pytest.fixture
def study(tmp_path):
    """Loads a study from text."""

    def load(text, family="siren", profile="quick"):
        path = tmp_path / "mine.toml"
        path.write_text(BASIC + text, encoding="utf-8")
        return load_study(str(path), find_family(family) if isinstance(family, str) else family, profile)

    return load


def test_what_nothing_fixes_is_drawn(study):
    everything = study("[tuning]")
    assert list(everything.tuned) == ["hidden", "init", "omega_0", "omega_bias"]
    assert everything.definition["kernel"]["hyper"] == {}
    some = study("omega_0 = [10.0]\n[hyper.siren]\ninit = 'calibrated'\n[tuning]")
    assert list(some.tuned) == ["hidden", "omega_bias"]
    assert some.definition["kernel"]["hyper"] == {"init": "calibrated"}


def test_a_space_lists_all_that_is_drawn_and_narrows_it(study):
    mine = study("[tuning.space.siren]\nomega_0 = [5, 100]\nhidden = true\ninit = ['siren-intended', 'calibrated']")
    assert list(mine.tuned) == ["hidden", "init", "omega_0"]
    assert (mine.tuned["omega_0"].low, mine.tuned["omega_0"].high, mine.tuned["omega_0"].log) == (5.0, 100.0, True)
    assert mine.tuned["hidden"] == mine.family.parameters["hidden"]
    assert mine.tuned["init"].options == ("siren-intended", "calibrated")
    assert mine.tuning.defaults == {"omega_0": 30.0, "hidden": 32, "init": "calibrated"}
    assert mine.definition["kernel"]["hyper"] == {"omega_bias": True}


def test_the_rate_is_drawn_for_every_family_with_the_profiles_rate_first(study):
    text = "[tuning]\ntrials = 5\n[tuning.training]\nrate = [5e-4, 8e-3]\n[training]\nrate = 1e-3"
    for family, names in {"siren": ["hidden", "init", "omega_0", "omega_bias", "rate"], "discrete": ["rate"]}.items():
        mine = study(text, family)
        assert list(mine.tuned) == names
        assert (mine.tuned["rate"].low, mine.tuned["rate"].high, mine.tuned["rate"].log) == (5e-4, 8e-3, True)
        assert mine.tuning.defaults["rate"] == 1e-3
        assert mine.tuning.draws == 5
        assert mine.definition["tuning"]["training"] == {"rate": [5e-4, 8e-3]}
        assert mine.definition["kernel"]["tuned"].keys() == set(names)
        cell = next(params for params in mine.cells().values()) | mine.tuning.defaults | {"rate": 4e-3}
        assert resolved(mine.definition, cell, "training")["rate"] == 4e-3
        assert "rate" not in hyper_of(mine, cell)
    assert "training" not in study("[tuning]").definition["tuning"]


def test_a_profile_narrows_the_study(study):
    text = "[tuning]\ntrials = 40\nseed = 3\n[profiles.quick.tuning]\ntrials = 5\n"
    assert study(text).tuning.as_json() == {"sampler": "tpe", "seed": 3, "trials": 5, "pruner": "none"}
    assert study(text, profile="thesis").tuning.trials == 40


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("[tuning]\ntrials = 9", ["kernel.draws", "tuning.trials"]),
        ("[tuning]\nsampler = 'random'", ["tuning.sampler"]),
        ("[tuning]\nseed = 1", ["tuning.seed"]),
        ("[tuning]\npruner = 'median'", ["tuning.pruner"]),
        ("[tuning]\n[hyper.siren]\nhidden = 32", ["kernel.hyper.hidden", "kernel.tuned.hidden"]),
        ("[tuning.space.siren]\nomega_0 = [1, 100]\nhidden = true\ninit = true\nomega_bias = true", ["kernel.tuned"]),
    ],
)
def test_what_is_drawn_and_how_is_part_of_the_definition(study, text, keys):
    old, new = study("[tuning]"), study(text)
    assert old.digest != new.digest
    changed = differences(old.definition, new.definition)
    assert all(any(line.startswith(key) for line in changed) for key in keys), changed


def test_a_grid_has_nothing_of_it_in_its_definition(study):
    grid = study("")
    assert "tuning" not in grid.definition
    assert set(grid.definition["kernel"]) == {"family", "hyper"}
    assert grid.tuned == {}


def test_the_share_of_every_family_is_the_same_and_so_is_what_they_share(study):
    studies = [study("[tuning]\ntrials = 9", family) for family in ("siren", "gaussian", "stencil", "discrete")]
    assert [each.tuning.draws for each in studies] == [9, 9, 9, 1]
    shared = [{k: v for k, v in each.definition.items() if k != "kernel"} for each in studies]
    assert all(each == shared[0] for each in shared)


def test_a_family_with_few_settings_has_each_once(study):
    assert study("[tuning]\ntrials = 1000", "stencil").tuning.draws == 5 * 10
    assert study("[tuning]\n[hyper.stencil]\nscales = 8", "stencil").tuning.draws == 5
    assert study("[tuning]", "discrete").tuning.draws == 1


@functools.cache
def tuned_k(family):
    return load_study("tuned_k", find_family(family), "smoke")


@settings(deadline=None)  # the first of a family is read
@given(st.integers(1, 30), st.integers(1, 3), st.sampled_from(["siren", "gaussian", "stencil", "discrete"]))
def test_every_point_and_seed_has_every_draw_once(trials, seeds, family):
    found = tuned_k(family)
    tuning = dataclasses.replace(found.tuning, trials=trials)
    loaded = dataclasses.replace(found, seeds=tuple(range(seeds)), tuning=tuning)
    cells = loaded.cells()
    assert len(cells) == 2 * seeds * loaded.tuning.draws
    points = {(p["kernel_size"], p["seed"], p["draw"]) for p in cells.values()}
    assert points == {(k, s, d) for k in (9, 33) for s in range(seeds) for d in range(loaded.tuning.draws)}
    assert [p["draw"] for p in cells.values()] == sorted(p["draw"] for p in cells.values())  # defaults first


def test_a_cell_is_named_by_its_draw(study):
    assert "draw=7,kernel_size=33,seed=1" in study("[tuning]\ntrials = 8").cells()


@pytest.mark.parametrize(
    ("text", "family", "said"),
    [
        ("tuning = 3", "siren", "expected a list"),  # still inside [axes]
        ("[tuning]\ntrial = 3", "siren", "did you mean 'trials'"),
        ("[tuning]\ntrials = 0", "siren", "tuning.trials: expected a whole number in [1, 1000], got 0"),
        ("[tuning]\ntrials = 1001", "siren", "tuning.trials"),
        ("[tuning]\ntrials = 4.5", "siren", "tuning.trials"),
        ("[tuning]\ntrials = true", "siren", "tuning.trials"),
        ("[tuning]\nseed = -1", "siren", "tuning.seed"),
        ("[tuning]\nsampler = 'tpee'", "siren", "did you mean 'tpe'"),
        ("[tuning]\nsampler = 'grid'", "siren", "'cmaes'"),
        ("[tuning]\npruner = true", "siren", "tuning.pruner"),
        ("[tuning]\nspace = 3", "siren", "space: expected a table"),
        ("[tuning.space]\nsiren = ['omega_0']", "siren", "siren: expected a table"),
        ("[tuning.space.siren]\nomega0 = true", "siren", "did you mean 'omega_0'"),
        ("[tuning.space.discrete]\nomega_0 = true", "discrete", "it has none"),
        ("[tuning.space.siren]\nomega_0 = false", "siren", "expected true or [low, high], got False"),
        ("[tuning.space.siren]\nomega_0 = [5]", "siren", "expected true or [low, high]"),
        ("[tuning.space.siren]\nomega_0 = [0.1, 50]", "siren", "expected 1 .. 200, got 0.1"),
        ("[tuning.space.siren]\nomega_0 = [50, 10]", "siren", "low <= high"),
        ("[tuning.space.siren]\nomega_0 = [50, 90]", "siren", "default 30.0 is outside"),
        ("[tuning.space.siren]\nomega_0 = [30, 30]", "siren", "one value is no choice"),
        ("[tuning.space.siren]\nhidden = [4.5, 64]", "siren", "whole number"),
        ("[tuning.space.siren]\ninit = 'calibrated'", "siren", "expected true or a list of"),
        ("[tuning.space.siren]\ninit = ['calibratd']", "siren", "did you mean 'calibrated'"),
        ("[tuning.space.siren]\ninit = ['siren-intended', 'ckconv-effective']", "siren", "default calibrated"),
        ("[tuning.space.siren]\ninit = ['calibrated', 'calibrated']", "siren", "is given twice"),
        ("[tuning.space.siren]\ninit = ['calibrated']", "siren", "one value is no choice"),
        ("omega_0 = [3.0]\n[tuning.space.siren]\nomega_0 = true", "siren", "fixed by axes.omega_0"),
        ("[hyper.siren]\nhidden = 9\n[tuning.space.siren]\nhidden = true", "siren", "fixed by hyper.siren.hidden"),
        ("[profiles.quick.tuning]\ntrails = 3", "siren", "did you mean 'trials'"),
        ("[tuning.training]\nalpha = [0.1, 0.2]", "siren", "unknown key tuning.training.alpha"),
        ("[tuning.training]\nrate = true", "siren", "tuning.training.rate: expected [low, high], got True"),
        ("[tuning.training]\nrate = [1e-3, 20]", "siren", "tuning.training.rate: expected a number in"),
        ("[tuning.training]\nrate = [4e-3, 1e-3]", "siren", "with low < high"),
        ("[tuning.training]\nrate = [3e-3, 1e-2]", "siren", "with training.rate = 0.002, which is draw 0"),
        ("rate = [1e-3, 2e-3]\n[tuning.training]\nrate = [1e-3, 4e-3]", "siren", "fixed by axes.rate"),
        ("[tuning]", CLASHING, "cannot be tuned; fix it under [hyper.clashing]"),
        ("[tuning]", DRAWN, "'draw'"),
        ("[tuning]\nsampler = 'cmaes'", "stencil", "cmaes needs two numbers"),
        ("[tuning]\nsampler = 'cmaes'\n[tuning.space.siren]\ninit = true", "siren", "init is a choice"),
    ],
)
def test_a_broken_table_is_refused_with_its_place_in_one_line(study, text, family, said):
    with pytest.raises(StudyError) as error:
        study(text, family)
    assert said in str(error.value), error.value
    assert "mine.toml" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_misspelt_family_of_a_space_is_warned_about(study):
    with pytest.warns(KernbenchWarning, match=r"tuning\.space\.siern .*did you mean 'siren'"):
        study("[tuning.space.siern]\nomega_0 = true")


def test_a_name_of_a_setting_may_be_fixed_and_the_others_drawn(study):
    assert list(study("[tuning]\n[hyper.clashing]\ndepth = 3", CLASHING).tuned) == ["width"]


def test_cmaes_leaves_choices_at_their_default_and_says_so(study):
    pytest.importorskip("cmaes")
    mine = study("[tuning]\nsampler = 'cmaes'")
    assert list(mine.tuned) == ["hidden", "omega_0"]
    assert mine.definition["kernel"]["hyper"] == {"init": "calibrated", "omega_bias": True}
    assert [line for line in mine.tuning.lines() if "init" in line and "stays at its default" in line]


def test_a_missing_cmaes_is_one_line_that_says_what_to_install(study, monkeypatch):
    monkeypatch.setattr(tuning, "find_spec", lambda _name: None)
    with pytest.raises(StudyError, match=r"install kernbench\[tuning\]"):
        study("[tuning]\nsampler = 'cmaes'")
    assert study("[tuning]\nsampler = 'cmaes'", "discrete").tuning.draws == 1  # nothing to move


@given(st.sampled_from(sorted(installed().found)), st.data())
def test_a_narrowed_space_holds_the_default_and_only_what_was_declared(family, data):
    for parameter in find_family(family).parameters.values():
        if isinstance(parameter, Choice):
            others = data.draw(st.lists(st.sampled_from(parameter.options), unique=True))
            narrow = parameter.narrowed(list(dict.fromkeys([*others, parameter.start])))
            assert set(narrow.options) <= set(parameter.options)
        else:
            kind = st.integers if isinstance(parameter, Int) else st.floats
            low = data.draw(kind(parameter.low, parameter.start))
            narrow = parameter.narrowed([low, data.draw(kind(parameter.start, parameter.high))])
            assert parameter.low <= narrow.low <= narrow.start <= narrow.high <= parameter.high
            assert narrow.log == parameter.log
        assert narrow.start == parameter.start
        assert narrow.check(narrow.start) == narrow.start
        assert 1 <= narrow.count <= parameter.count


@pytest.mark.parametrize("family", sorted(installed().found))
def test_the_bundled_study_suits_every_bundled_family(family):
    loaded = load_task_study("tuned_k", find_family(family), "smoke")
    check_networks(loaded)
    assert loaded.tuning.draws == 8
    assert "rate" in loaded.tuned


def test_the_list_of_studies_says_which_are_tuned():
    lines = dict(catalogue._studies())
    assert lines["tuned_k"].endswith("(tuned: 40 draws, 12 at quick, 8 at smoke, by tpe)")
    assert "tuned" not in lines["smoke"]


@pytest.mark.parametrize("family", sorted(installed().found))
@pytest.mark.parametrize(
    ("sampler", "training"), [("tpe", ""), ("cmaes", ""), ("tpe", "[tuning.training]\nrate = [1e-4, 1e-2]")]
)
def test_a_definition_gives_back_the_study_that_it_came_from(study, tmp_path, family, sampler, training):
    if sampler == "cmaes":
        pytest.importorskip("cmaes")
        numbers = [each for each in find_family(family).parameters.values() if not isinstance(each, Choice)]
        if len(numbers) == 1:
            with pytest.raises(StudyError, match="cmaes needs two numbers to tune"):
                study(f"[tuning]\nsampler = '{sampler}'\ntrials = 7", family)
            return
    mine = study(f"[tuning]\nsampler = '{sampler}'\ntrials = 7\n{training}", family)
    kernel = mine.definition["kernel"]
    hyper = {family: kernel["hyper"]}
    table = {"tuning": mine.definition["tuning"] | {"space": {family: stored_space(mine.definition)}}}
    again = tuning.read_tuning([table], mine.family, mine.axes, hyper[family], mine.definition["training"], "stored")
    assert again.as_json() == mine.tuning.as_json()
    assert again.space_json() == kernel["tuned"]
    assert again.draws == kernel["draws"]
    theirs = json.loads(canonical(mine.definition))  # what a database keeps is sorted
    table = {"tuning": theirs["tuning"] | {"space": {family: stored_space(theirs)}}}
    again = dataclasses.replace(
        mine, tuning=tuning.read_tuning([table], mine.family, mine.axes, hyper[family], mine.definition["training"], "")
    )
    for cell in list(mine.cells())[-2:]:
        assert draw(again, [], cell) == draw(mine, [], cell)
