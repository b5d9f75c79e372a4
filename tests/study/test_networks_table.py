"""Networks of one study: depths of their own, one field, channels from the budget; and what cannot go together."""

import pytest

from kernbench.errors import StudyError
from kernbench.registry import find_family
from kernbench.study.reading import load_study

SIZES = "kernel_size = [9]\n"
NAMES = 'name = ["shallow", "recurrent"]\n'
TOTAL = '[budget]\ntotal = 900\nchannels = "discrete"\n'


def study(tmp_path, axes, rest="", profile="quick"):
    path = tmp_path / "mine.toml"
    path.write_text(f"version = 1\n[axes]\n{axes}{rest}")
    return load_study(str(path), find_family("siren"), profile)


def test_names_alone_keep_the_depth_and_the_digest_that_they_had(tmp_path):
    found = study(tmp_path, NAMES + SIZES)
    assert found.definition["network"] == {"channels": 8, "depth": 4, "gain": "unit"}
    assert not found.sizes_networks
    assert "networks" not in found.definition


def test_a_table_without_keys_asks_for_nothing(tmp_path):
    found = study(tmp_path, NAMES + SIZES, "[networks.shallow]\n")
    assert found.definition == study(tmp_path, NAMES + SIZES).definition


def test_tables_of_networks_take_the_depth_of_the_profile_and_leave_a_depth_of_the_study(tmp_path):
    own = "[networks]\nrecurrent = { depth = 3 }\n"
    found = study(tmp_path, NAMES + SIZES, own)
    assert found.sizes_networks
    assert found.definition["networks"] == {"recurrent": {"depth": 3}}
    assert found.definition["network"] == {"channels": 8, "gain": "unit"}
    assert study(tmp_path, NAMES + SIZES, f"{own}[network]\ndepth = 4\n").definition["network"]["depth"] == 4


def test_a_profile_adds_to_the_tables(tmp_path):
    text = "[networks.recurrent]\ndepth = 3\n[profiles.quick.networks.recurrent]\nchannels = 5\n"
    assert study(tmp_path, NAMES + SIZES, text).definition["networks"] == {"recurrent": {"depth": 3, "channels": 5}}


def test_a_field_needs_no_kernel_size_and_the_budget_no_channels(tmp_path):
    found = study(tmp_path, NAMES, f"[network]\nfield = 65\n{TOTAL}")
    assert found.definition["network"] == {"gain": "unit", "field": 65}
    assert found.definition["budget"] == {"quantity": "parameters", "total": 900, "channels": "discrete"}
    assert list(found.cells()) == ["name=shallow,seed=0", "name=recurrent,seed=0"]
    assert found.digest != study(tmp_path, NAMES, f"[network]\nfield = 67\n{TOTAL}").digest
    varied = study(tmp_path, "field = [65, 97]\n")
    assert list(varied.cells()) == ["field=65,seed=0", "field=97,seed=0"]
    assert varied.sizes_networks


@pytest.mark.parametrize(
    ("axes", "rest", "said"),
    [
        (SIZES, "[network]\nfield = 65\n", "network.field and kernel_size"),
        ("field = [65]\n", "[network]\nkernel_size = 9\n", "network.field and kernel_size"),
        (NAMES, "[network]\nfield = 65\nreach = 8\n", "network.field and reach"),
        (NAMES, "", "axes.kernel_size is missing"),
        (SIZES, "[networks.recurent]\ndepth = 2\n", "did you mean 'recurrent'"),
        (SIZES, "[networks.recurrent]\nsteps = 2\n", "unknown key networks.recurrent.steps; known: depth, channels"),
        (SIZES, "[networks.recurrent]\ndepth = 0\n", r"networks.recurrent.depth: expected a whole number in \[1, 16\]"),
        (SIZES, "[networks]\nrecurrent = 2\n", "networks.recurrent: expected a table, got 2"),
        (f"depth = [2, 3]\n{SIZES}", "[networks.recurrent]\ndepth = 2\n", "depth is an axis of the study"),
        (f"channels = [2, 3]\n{SIZES}", TOTAL, "budget.channels chooses the channels"),
        (SIZES, f"[network]\nchannels = 4\n{TOTAL}", "budget.channels chooses the channels"),
        (SIZES, f"[networks.shallow]\nchannels = 4\n{TOTAL}", "budget.channels chooses the channels"),
        (SIZES, '[budget]\nlike = "siren"\nchannels = "discrete"\n', "expected total = NUMBER of parameters with it"),
        (SIZES, f'{TOTAL}quantity = "operations"\n', "expected total = NUMBER of parameters with it"),
        (SIZES, TOTAL.replace("discrete", "discreet"), "budget.channels: no kernel family 'discreet'"),
    ],
)
def test_what_cannot_go_together_is_refused_in_one_line(tmp_path, axes, rest, said):
    with pytest.raises(StudyError, match=said) as refused:
        study(tmp_path, axes, rest)
    assert "\n" not in str(refused.value)
    assert "mine.toml" in str(refused.value)


@pytest.mark.parametrize("said", ["[network]\ntiles = 2\n", '[network]\ntiles = 2\nlayer = "separable"\n'])
def test_a_number_of_tiles_without_a_rotation_is_refused_whatever_it_is(tmp_path, said):
    with pytest.raises(StudyError, match=r"network\.tiles is of layer = 'tiled', got layer = '(plain|separable)'"):
        study(tmp_path, SIZES, said)
    assert study(tmp_path, SIZES, '[network]\ntiles = 2\nlayer = "tiled"\n').definition["network"]["layer"] == "tiled"
    axes = f'layer = ["plain", "tiled"]\n{SIZES}'
    assert len(study(tmp_path, axes, "[network]\ntiles = 2\n").cells()) == 2
