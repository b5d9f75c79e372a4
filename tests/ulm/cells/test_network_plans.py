"""Sizes that are worked out for the networks of a study, and what a trained cell says of them."""

import pytest
import torch

from kernbench.errors import KernbenchError, StudyError
from kernbench.networks.cost import parameter_count
from kernbench.registry import find_family
from kernbench.study.task import load
from kernbench.ulm.cells.definition import make_network, resolved, solution_of
from kernbench.ulm.cells.plan import network_facts

TEXT = """
version = 1
[axes]
name = ["shallow", "recurrent", "unet1d"]
[network]
field = 129
[networks]
shallow = { depth = 2 }
[budget]
total = 6000
channels = "discrete"
"""


def study(tmp_path, text=TEXT, family="siren", profile="quick"):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return load(str(path), find_family(family), profile)


def plans(found):
    return [resolved(found.definition, params, "network") for params in found.cells().values()]


def test_each_network_has_the_field_its_own_depth_and_the_channels_of_the_budget(tmp_path):
    facts = [network_facts(plan) for plan in plans(study(tmp_path))]
    # K: 1 + 2 * 64, 1 + 8 * 16, 1 + 20 * 6; depths: of the table, of the network, of the network
    assert [(f["name"], f["kernel_size"], f["depth"], f["field"]) for f in facts] == [
        ("shallow", 65, 2, 129),
        ("recurrent", 17, 2, 129),
        ("unet1d", 13, 1, 121),
    ]
    # of shallow 65 (C + C^2) + 3 * 2 C + C + 1, of recurrent 17 (C + 3 C^2) + 4 * 2 C + C + 1
    assert [65 * (c + c * c) + 7 * c + 1 for c in (8, 9, 10)] == [4737, 5914, 7221]
    assert [17 * (c + 3 * c * c) + 9 * c + 1 for c in (10, 11)] == [5361, 6458]
    assert [f["channels"] for f in facts[:2]] == [9, 11]


@pytest.mark.parametrize("family", ["discrete", "gaussian"])
def test_the_networks_that_are_built_have_the_counts_that_are_said(tmp_path, family):
    found = study(tmp_path, family=family)
    for params in found.cells().values():
        torch.manual_seed(0)
        network, solution = make_network(found, params), solution_of(found, params)
        assert parameter_count(network) == solution.count
        assert abs(solution.count - solution.target) <= 0.02 * solution.target
        assert abs(solution.target - 6000) <= 0.2 * 6000
        assert network.receptive_field == network_facts(resolved(found.definition, params, "network"))["field"]


def test_the_reference_is_the_target_of_every_family_in_its_network(tmp_path):
    targets = {}
    for family in ("discrete", "gaussian"):
        found = study(tmp_path, family=family)
        targets[family] = [solution_of(found, params).target for params in found.cells().values()]
    assert targets["discrete"] == targets["gaussian"]
    assert len(set(targets["gaussian"])) == 3


def test_a_total_between_two_far_steps_of_the_channels_is_refused_with_both(tmp_path):
    found = study(tmp_path, TEXT.replace("6000", "250"))
    said = r"network shallow at K = 65 cannot have 250 parameters within 20 % with discrete: .*138 at 1 and 405 at 2"
    with pytest.raises(KernbenchError, match=said):
        plans(found)


def test_a_total_beyond_any_network_is_refused_before_a_huge_one_is_built(tmp_path, monkeypatch):
    monkeypatch.setattr("kernbench.ulm.cells.plan.MOST_TAPS", 65 * 40**2)
    found = study(tmp_path, TEXT.replace("6000", "1_000_000_000_000"))
    said = (
        r"network shallow at K = 65 cannot have 1,000,000,000,000 .*: more than 40 channels are not tried \(.* at 40\)"
    )
    with pytest.raises(KernbenchError, match=said):
        plans(found)


def test_a_family_that_misses_the_reference_is_refused_with_its_network(tmp_path):
    found = study(tmp_path, TEXT.replace("6000", "140").replace('"shallow", "recurrent", "unet1d"', '"shallow"'))
    with pytest.raises(StudyError, match=r"as discrete has.*leave out network shallow with --only name=\.\.\."):
        solution_of(found, next(iter(found.cells().values())))


@pytest.mark.parametrize("profile", ["smoke", "quick", "thesis"])
@pytest.mark.parametrize("family", ["discrete", "siren", "gaussian", "s4d", "dcls"])
def test_the_families_of_the_study_networks_meet_its_budget_at_every_profile(family, profile):
    found = load("networks", find_family(family), profile)
    near = {"smoke": 0.2, "quick": 0.09, "thesis": 0.05}[profile]
    for params in found.cells().values():
        if params["seed"] == 0:
            facts, solution = network_facts(resolved(found.definition, params, "network")), solution_of(found, params)
            assert facts["field_asked"] - 8 <= facts["field"] <= facts["field_asked"]
            assert abs(solution.target / found.budget.total - 1) <= near


def test_a_run_shows_what_it_works_out_before_and_after(bench, tmp_path):
    text = TEXT.replace('"shallow", "recurrent", "unet1d"', '"shallow", "recurrent"').replace("6000", "3000")
    text += "[data]\nwindow = 512\n"
    (bench.folder / "mine.toml").write_text(text)
    command = ("run", "--study", "mine.toml", "--plugin", "discrete", "--profile", "smoke", "--no-baselines")
    planned = bench.run(*command, "--dry-run")
    assert "name = shallow: K = 65, depth 2, 6 channels, sees 129 of 129 samples; as it is: " in planned.out, planned
    assert "(0.924 of 3,000)" in planned.out, planned
    done = bench.run(*command)
    assert done.code == 0, done
    status = bench.run("status")
    assert "K = 65, 6 channels, depth 2, field 129" in status.out, status
    assert "K = 17, " in status.out, status
