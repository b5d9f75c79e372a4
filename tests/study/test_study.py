"""Studies: cells, ids and digests mean the same however the file is written, and misspelt files are refused."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernbench.errors import KernbenchWarning, StudyError
from kernbench.host.files import canonical, json_digest
from kernbench.kernels.family import KernelFamily
from kernbench.kernels.space import Choice, Float, Int
from kernbench.registry import find_family, installed
from kernbench.study.reading import load_study, profiles
from kernbench.study.study import cell_id, differences
from kernbench.study.task import load as load_task_study

BASIC = """
version = 1
question = "What?"
seeds = 2

[axes]
kernel_size = [9, 33]

[training]
epochs = 3
rate = 0.01
"""

# A family whose hyper-parameters have the names of settings.
CLASHING = KernelFamily(
    "clashing",
    "nowhere:Nothing",
    space={
        "window": Float(1.0, 9.0, default=2.0),
        "tolerance": Int(1, 9, default=3),
        "depth": Int(1, 9, default=5),
        "kind": Choice(("a", "b")),
    },
)


@pytest.fixture
def study(tmp_path):
    """Loads a study from text."""

    def load(text, family="siren", profile="quick", name="mine"):
        path = tmp_path / f"{name}.toml"
        path.write_text(text, encoding="utf-8")
        return load_study(str(path), find_family(family) if isinstance(family, str) else family, profile)

    return load


def test_cells_are_the_product_of_axes_and_seeds_in_file_order(study):
    cells = study(BASIC).cells()
    assert list(cells) == [
        "kernel_size=9,seed=0",
        "kernel_size=9,seed=1",
        "kernel_size=33,seed=0",
        "kernel_size=33,seed=1",
    ]
    assert cells["kernel_size=33,seed=1"] == {"kernel_size": 33, "seed": 1}


def test_the_optuna_study_is_named_by_file_version_profile_and_family(study):
    assert study(BASIC).key == "mine.v1.quick/siren"
    assert study(BASIC.replace("version = 1", "version = 7")).base == "mine.v7.quick"


def test_a_profile_overrides_the_study_and_the_study_overrides_the_profile(study):
    text = BASIC + "\n[profiles.quick]\nseeds = 1\n[profiles.quick.axes]\nkernel_size = [5]\n"
    quick, thesis = study(text), study(text, profile="thesis")
    assert (list(quick.cells()), thesis.seeds) == (["kernel_size=5,seed=0"], (0, 1))
    assert quick.definition["training"]["epochs"] == thesis.definition["training"]["epochs"] == 3
    assert thesis.definition["data"]["train"] == profiles()["thesis"]["data"]["train"]
    assert study(text + "[profiles.quick.training]\nepochs = 9").definition["training"]["epochs"] == 9


def test_a_study_may_bring_a_profile_of_its_own_on_top_of_quick(study):
    text = BASIC + "\n[profiles.overnight.training]\nepochs = 500\n"
    mine = study(text, profile="overnight")
    assert mine.key == "mine.v1.overnight/siren"
    assert mine.definition["training"]["epochs"] == 500
    assert mine.definition["data"] == profiles()["quick"]["data"]


def test_reordering_the_file_changes_nothing(study):
    reordered = """
    seeds = 2
    version = 1
    question = "Another wording"
    training = { rate = 1e-2, epochs = 3 }
    axes.kernel_size = [33, 9]
    """
    first, second = study(BASIC), study(reordered)
    assert first.digest == second.digest
    assert set(first.cells()) == set(second.cells())


@pytest.mark.parametrize(
    ("addition", "key"),
    [
        ("[data]\ntrain = 9", "data.train"),
        ("[data]\nseed = 1", "data.seed"),
        ("[data]\nnoise_percent = 1.0", "data.noise_percent"),
        ("[network]\nchannels = 9", "network.channels"),
        ("[network]\ngain = 'published'", "network.gain"),
        ("[evaluation]\ntolerance = 2", "evaluation.tolerance"),
        ("[hyper.siren]\nomega_0 = 31", "kernel.hyper.omega_0"),
    ],
)
def test_every_changed_setting_changes_the_digest_and_is_named(study, addition, key):
    old, new = study(BASIC), study(BASIC + addition)
    assert old.digest != new.digest
    assert [line.partition(":")[0] for line in differences(old.definition, new.definition)] == [key]


def test_values_equal_in_meaning_have_one_digest(study):
    # an integer where a real number is meant is the same number
    assert study(BASIC + "[hyper.siren]\nomega_0 = 30").digest == study(BASIC + "[hyper.siren]\nomega_0 = 30.0").digest
    assert study(BASIC).digest == study(BASIC + "[hyper.siren]\nomega_0 = 30.0").digest  # the default, spelt out


def test_axis_values_and_seeds_stay_out_of_the_digest(study):
    assert (
        study(BASIC).digest == study(BASIC.replace("[9, 33]", "[9, 33, 65]").replace("seeds = 2", "seeds = 3")).digest
    )


def test_the_recipe_of_the_data_is_part_of_the_definition(monkeypatch):
    family = find_family("siren")
    old = load_task_study("smoke", family, "quick")
    monkeypatch.setattr("kernbench.ulm.data.recipe.RECIPE_VERSION", 999)
    new = load_task_study("smoke", family, "quick")
    assert [line.partition(":")[0] for line in differences(old.definition, new.definition)] == ["recipe"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("versoin = 1\n" + BASIC, ["versoin", "did you mean 'version'?"]),
        (BASIC.replace("kernel_size", "kernal_size"), ["axes.kernel_size is missing"]),
        (BASIC + "[axes2]\n", ["axes2", "did you mean 'axes'?"]),
        (BASIC.replace("[9, 33]", "[9]\nkernal_size = [9]"), ["axes.kernal_size", "'axes.kernel_size'"]),
        (BASIC + "[network]\nchanels = 3", ["network.chanels", "'network.channels'"]),
        (BASIC + "[profiles.quick.training]\nepoch = 3", ["training.epoch", "'training.epochs'"]),
        (BASIC + "[profiles.quick]\nsedes = 3", ["profiles.quick.sedes", "'seeds'"]),
        (BASIC + "[profiles.quik]\nseeds = 3", ["profiles.quik", "'quick'"]),
        (BASIC + "[hyper.siren]\nomega0 = 3.0", ["hyper.siren", "omega0", "'omega_0'"]),
        (BASIC.replace("[9, 33]", "[9]\nomega0 = [3.0]"), ["axes.omega0", "'axes.omega_0'"]),
    ],
)
def test_a_misspelt_key_is_refused_with_its_place_and_a_close_match(study, text, said):
    with pytest.raises(StudyError) as error:
        study(text)
    assert all(each in str(error.value) for each in [*said, "mine.toml"]), error.value
    assert "\n" not in str(error.value)


def test_a_misspelt_family_table_is_warned_about(study):
    with pytest.warns(KernbenchWarning, match=r"hyper\.siern .*did you mean 'siren'"):
        study(BASIC + "[hyper.siern]\nomega_0 = 3.0")


def test_tables_of_other_families_are_left_alone(study):
    assert study(BASIC + "[hyper.gaussian]\nscales = 2").digest == study(BASIC).digest


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("version = 1", "version = '1'", "version"),
        ("version = 1", "version = 0", "version"),
        ("version = 1", "version = true", "version"),
        ("version = 1", "", "version"),
        ("seeds = 2", "seeds = 0", "seeds"),
        ("seeds = 2", "seeds = 2.0", "seeds"),
        ("seeds = 2", "seeds = [1, 2]", "seeds"),
        ("seeds = 2", "seeds = 100000", "seeds"),
        ('"What?"', "5", "question: expected text"),
        ("seeds = 2", "seeds = 2\nnote = 3", "note: expected text, got 3"),
        ("[9, 33]", "9", "axes.kernel_size"),
        ("[9, 33]", "[]", "axes.kernel_size"),
        ("[9, 33]", "['9']", "axes.kernel_size"),
        ("[9, 33]", "[9.0]", "axes.kernel_size"),
        ("[9, 33]", "[true]", "axes.kernel_size"),
        ("[9, 33]", "[-9]", "axes.kernel_size"),
        ("[9, 33]", "[0]", "axes.kernel_size"),
        ("[9, 33]", "[99999999]", "axes.kernel_size"),
        ("[9, 33]", "[9]\nseed = [1]", "axes.seed"),
        ("epochs = 3", "epochs = 3.5", "training.epochs"),
        ("epochs = 3", "epochs = 'three'", "training.epochs"),
        ("epochs = 3", "epochs = 0", "training.epochs"),
        ("rate = 0.01", "rate = nan", "training.rate"),
        ("rate = 0.01", "rate = inf", "training.rate"),
        ("rate = 0.01", "rate = -1.0", "training.rate"),
        ("rate = 0.01", "rate = 2024-01-01", "training.rate"),
        ("rate = 0.01", "update = 'per-batches'", "one of 'per-batch', 'per-epoch', got 'per-batches'; did you mean"),
        ("[training]\nepochs = 3\nrate = 0.01", "training = 3", "training"),
        ("[training]\nepochs = 3\nrate = 0.01", "profiles = 3", "profiles"),
        ("[training]\nepochs = 3\nrate = 0.01", "[profiles]\nquick = 3", "quick"),
        ("[training]\nepochs = 3\nrate = 0.01", "[hyper]\nsiren = 3", "siren"),
        ("[training]\nepochs = 3\nrate = 0.01", "[hyper.siren]\nomega_0 = 1e9", "omega_0"),
        ("[training]\nepochs = 3\nrate = 0.01", "[hyper.siren]\ninit = 'calibratd'", "calibrated"),
        ("[training]", "[training", "not valid TOML"),
    ],
)
def test_a_wrong_type_or_range_is_refused_with_file_and_key(study, old, new, said):
    assert old in BASIC
    with pytest.raises(StudyError) as error:
        study(BASIC.replace(old, new))
    assert said in str(error.value)
    assert "mine.toml" in str(error.value)


def test_a_duplicated_axis_value_is_refused_even_if_written_differently(study):
    with pytest.raises(StudyError, match="is given twice"):
        study(BASIC.replace("[9, 33]", "[9, 33, 9]"))
    with pytest.raises(StudyError, match="is given twice"):
        study(BASIC.replace("[9, 33]", "[9]\nomega_0 = [10, 10.0]"))


def test_an_axis_that_the_family_does_not_have_is_refused_for_that_family_only(study):
    text = BASIC.replace("[9, 33]", "[9]\nomega_0 = [10.0, 20.0]")
    assert len(study(text).cells()) == 4
    with pytest.raises(StudyError, match=r"axes\.omega_0 for family 'discrete'"):
        study(text, family="discrete")


def test_an_axis_takes_its_name_out_of_its_own_table_only(study):
    text = BASIC.replace("[9, 33]", "[9]\nwindow = [2.0, 3.0]\ntolerance = [1, 2]\ndepth = [1, 2]")
    definition = study(text, family=CLASHING).definition
    assert definition["data"]["window"] == profiles()["quick"]["data"]["window"]
    assert definition["evaluation"]["tolerance"] == 4
    assert "depth" not in definition["network"]  # a setting goes before a hyper-parameter
    assert definition["kernel"]["hyper"] == {"depth": 5, "kind": "a"}


@pytest.mark.parametrize(
    "name", ["a.b", "with space", "quote'", "brace{}", "new\nline", "x" * 101, ""], ids=lambda name: repr(name[:9])
)
def test_a_study_name_that_would_not_be_safe_is_refused(study, name):
    with pytest.raises(StudyError, match="study name"):
        study(BASIC, name=name)


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path):
    family = find_family("siren")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "folder.toml").mkdir()
    for name in ("missing.toml", "folder.toml"):
        with pytest.raises(StudyError, match="no study"):
            load_study(str(tmp_path / name), family, "quick")
    with pytest.raises(StudyError, match="not valid TOML"):
        load_study(str(tmp_path / "binary.toml"), family, "quick")


def test_unknown_studies_and_profiles_are_refused_with_a_close_match():
    family = find_family("siren")
    with pytest.raises(StudyError, match="'k_sweep'"):
        load_study("k_swep", family, "quick")
    with pytest.raises(StudyError, match="'thesis'"):
        load_study("k_sweep", family, "thesi")


def test_every_bundled_family_runs_the_studies_without_axes_of_its_own():
    for name in sorted(installed().found):
        for study in ("smoke", "k_sweep", "fixed_kernels", "dilated_k3"):
            assert load_study(study, find_family(name), "quick").cells()


SMOKE = load_study("smoke", find_family("siren"), "quick")
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
values = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | names,
    lambda inner: st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)
tables = st.dictionaries(names, values, max_size=5)


@given(tables, tables)
def test_equal_digests_mean_no_differences(first, second):
    same = canonical(first) == canonical(second)
    assert (json_digest(first) == json_digest(second)) == same
    if same:
        assert differences(first, second) == []
    if differences(first, second):
        assert json_digest(first) != json_digest(second)


@given(st.dictionaries(st.sampled_from("abc"), st.integers(-3, 3), min_size=1), st.randoms())
def test_a_cell_id_does_not_depend_on_order(params, random):
    pairs = list(params.items())
    random.shuffle(pairs)
    assert cell_id(dict(pairs)) == cell_id(params)


@given(st.lists(st.integers(1, 500).map(lambda n: 2 * n + 1), min_size=1, max_size=5, unique=True), st.integers(1, 4))
def test_cells_are_as_many_as_points_and_each_id_is_its_own(sizes, seeds):
    study = dataclasses.replace(SMOKE, axes={"kernel_size": tuple(sizes)}, seeds=tuple(range(seeds)))
    cells = study.cells()
    assert len(cells) == len(sizes) * seeds
    assert {(p["kernel_size"], p["seed"]) for p in cells.values()} == {(k, s) for k in sizes for s in range(seeds)}
