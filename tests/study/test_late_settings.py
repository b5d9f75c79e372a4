"""A setting that came after studies were stored: their digests stay."""

import json

import pytest

from kernbench.errors import StudyError
from kernbench.registry import find_family
from kernbench.study.task import load
from kernbench.ulm.cells.definition import make_network

# As they were before there was data.test_rate.
DIGESTS = {
    ("k_sweep", "siren"): "da6399c5260b",
    ("k_sweep", "discrete"): "bd9040bf130c",
    ("noise_transfer", "siren"): "d2ccb2c84b9d",
    ("blanken_noise", "discrete"): "12ac221f9c00",
}


def mine(tmp_path, data="", axes=""):
    path = tmp_path / "mine.toml"
    path.write_text(f"version = 1\n[axes]\nkernel_size = [9]\n{axes}\n[data]\n{data}\n", encoding="utf-8")
    return load(str(path), find_family("discrete"), "quick")


@pytest.mark.parametrize(("name", "family"), DIGESTS)
def test_stored_studies_keep_their_digest(name, family):
    assert load(name, find_family(family), "quick").digest == DIGESTS[name, family]


@pytest.mark.parametrize(
    ("name", "usual", "value", "axis"),
    [
        ("test_rate", "-1", 125.0, [31.25, 125.0]),
        ("delay", "0", 85, [0, 43, 85]),
        ("test_kernels", '"evaluated"', "resampled", ["evaluated", "resampled"]),
    ],
)
def test_a_late_setting_is_part_of_the_definition_only_where_it_is_another(tmp_path, name, usual, value, axis):
    plain = mine(tmp_path)
    assert name not in plain.definition["data"]
    assert mine(tmp_path, f"{name} = {usual}").digest == plain.digest
    other = mine(tmp_path, f"{name} = {json.dumps(value)}")
    assert other.definition["data"][name] == value
    assert other.digest != plain.digest
    varied = mine(tmp_path, axes=f"{name} = {json.dumps(axis)}")
    assert name not in varied.definition["data"]
    assert [params[name] for params in varied.cells().values()] == axis


@pytest.mark.parametrize("given", ["40", "0", "true", '"125"', "nan"])
def test_a_rate_that_makes_no_sense_is_refused_in_one_line(tmp_path, given):
    wanted = "expected a number out of -1, 31.25, 62.5, 125, got"
    with pytest.raises(StudyError, match=f"mine.toml: data.test_rate: {wanted}"):
        mine(tmp_path, f"test_rate = {given}")
    with pytest.raises(StudyError, match=f"mine.toml: axes.test_rate: data.test_rate: {wanted}"):
        mine(tmp_path, axes=f"test_rate = [{given}]")


@pytest.mark.parametrize("given", ["-1", "121", "0.5", "true", '"85"'])
def test_a_delay_that_makes_no_sense_is_refused_in_one_line(tmp_path, given):
    wanted = r"expected a whole number in \[0, 120\], got"
    with pytest.raises(StudyError, match=f"mine.toml: data.delay: {wanted}"):
        mine(tmp_path, f"delay = {given}")
    with pytest.raises(StudyError, match=f"mine.toml: axes.delay: data.delay: {wanted}"):
        mine(tmp_path, axes=f"delay = [{given}]")


def test_a_side_is_part_of_the_definition_only_where_it_is_one(tmp_path):
    plain = mine(tmp_path)
    assert "side" not in plain.definition["network"]
    axis = mine(tmp_path, axes='side = ["centered", "causal", "anticausal"]')
    assert "side" not in axis.definition["network"]
    nets = [make_network(axis, params) for params in axis.cells().values()]
    assert [net.kernel_layers()[0].spec.side for net in nets] == ["centered", "causal", "anticausal"]
    assert len({net.receptive_field for net in nets}) == 1
    with pytest.raises(
        StudyError, match=r"axes\.side: network\.side: expected one of .*, got 'casual'; did you mean .causal."
    ):
        mine(tmp_path, axes='side = ["casual"]')


@pytest.mark.parametrize(
    ("name", "usual", "axis"),
    [
        ("boundary", "mirror", ["mirror", "zero", "replicate", "symmetric", "circular"]),
        ("boundary_at", "input", ["input", "layer"]),
    ],
)
def test_a_boundary_is_part_of_the_definition_only_where_it_is_another(tmp_path, name, usual, axis):
    def with_value(value):
        path = tmp_path / "mine.toml"
        path.write_text(f'version = 1\n[axes]\nkernel_size = [9]\n[network]\n{name} = "{value}"\n', encoding="utf-8")
        return load(str(path), find_family("discrete"), "quick")

    plain = mine(tmp_path)
    assert name not in plain.definition["network"]
    assert with_value(usual).digest == plain.digest
    other = with_value(axis[-1])
    assert other.definition["network"][name] == axis[-1]
    assert other.digest != plain.digest
    varied = mine(tmp_path, axes=f"{name} = {axis}")
    assert name not in varied.definition["network"]
    nets = [make_network(varied, params) for params in varied.cells().values()]
    found = [net.boundary.policy if name == "boundary" else net.boundary.at for net in nets]
    assert found == axis
