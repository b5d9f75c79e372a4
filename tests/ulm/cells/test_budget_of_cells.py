"""A study with a budget: every network of every family has the count that its study says."""

import pytest
import torch

from kernbench.errors import StudyError
from kernbench.kernels.base import KernelModule
from kernbench.kernels.family import KernelFamily
from kernbench.kernels.space import Int
from kernbench.networks.beside import numbers_beside_kernels
from kernbench.networks.cost import flops_generation, parameter_count
from kernbench.networks.network import build
from kernbench.registry import find_family, installed
from kernbench.study.task import load
from kernbench.ulm.cells.definition import make_network, solution_of

# Wide enough that one step of most families is below 2 %.
TEXT = """
version = 1
[axes]
kernel_size = {sizes}
[network]
name = "{network}"
channels = {channels}
depth = {depth}
[data]
train = 8
validation = 4
test = 6
window = 2048
[budget]
{budget}
"""


def study(tmp_path, family, budget='like = "discrete"', sizes=(33,), network="shallow", channels=6, depth=3):
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.format(sizes=list(sizes), budget=budget, network=network, channels=channels, depth=depth))
    return load(str(path), find_family(family) if isinstance(family, str) else family, "quick")


@pytest.mark.parametrize("network", ["shallow", "dilated"])
def test_what_is_beside_the_kernels_is_what_a_built_network_has(network):
    net = build(network, "siren", 5, 4, depth=3)
    kernels = sum(parameter_count(layer.kernel_module) for layer in net.kernel_layers())
    before = torch.random.get_rng_state()
    assert numbers_beside_kernels(network, 5, 4, 3) == parameter_count(net) - kernels
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("gain", ["unit", "published"])
@pytest.mark.parametrize("family", sorted(installed().found))
def test_the_solved_count_is_that_of_the_network_that_is_built(tmp_path, family, gain):
    mine = study(tmp_path, family)
    mine.definition["network"]["gain"] = gain
    (params,) = mine.cells().values()
    said = ""
    try:
        solution = solution_of(mine, params)
    except StudyError as error:
        said = str(error)
    if said:  # too coarse, too small, or of a fixed size
        assert f"family {family!r} cannot have" in said
        assert "at K = 33" in said
        return
    built = parameter_count(make_network(mine, params))
    target = parameter_count(build("shallow", "discrete", 33, 6, depth=3, gain=gain))
    assert (solution.count, solution.target) == (built, target)
    assert abs(built / target - 1) <= 0.02


class Rows(KernelModule):
    """Constants in `rows` rows of each kernel; it cannot scale its kernel, and has no closed form."""

    def __init__(self, spec, rows=4):
        super().__init__(spec)
        self.level = torch.nn.Parameter(torch.ones(rows, *spec.shape[:2], 1))

    def forward(self, grid):
        return self.level.sum(0).expand(self.spec.shape)


def test_amplitudes_of_a_family_that_cannot_scale_are_part_of_its_count(tmp_path):
    family = KernelFamily("rows", Rows, space={"rows": Int(1, 40, budget=True)})
    mine = study(tmp_path, family)
    (params,) = mine.cells().values()
    solution = solution_of(mine, params)
    assert solution.solved == {"rows": 33}
    assert solution.count == solution.target + 3 * 6 == parameter_count(make_network(mine, params))


def test_a_number_is_a_budget_too_and_so_are_the_operations_that_make_the_kernels(tmp_path):
    mine = study(tmp_path, "siren", "total = 2863", sizes=(9, 33), network="dilated")
    counts = [parameter_count(make_network(mine, params)) for params in mine.cells().values()]
    assert counts == [2863, 2863]
    mine = study(tmp_path, "siren", 'total = 1000000\nquantity = "operations"')
    (params,) = mine.cells().values()
    assert abs(flops_generation(make_network(mine, params)) / 1e6 - 1) <= 0.02


def test_a_budget_draws_no_random_number(tmp_path):
    mine = study(tmp_path, "siren")
    (params,) = mine.cells().values()
    torch.manual_seed(5)
    first = make_network(mine, params)
    torch.manual_seed(5)
    hidden = solution_of(mine, params).solved["hidden"]
    second = build("shallow", "siren", 33, 6, {"hidden": hidden}, 3)
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("profile", ["quick", "thesis"])
@pytest.mark.parametrize("family", ["discrete", "fourier", "siren", "poles"])
def test_the_study_of_budgets_can_be_met_at_each_of_its_sizes(family, profile):
    mine = load("param_budget", find_family(family), profile)
    for params in mine.cells().values():
        assert abs(solution_of(mine, params).ratio - 1) <= 0.02


@pytest.mark.parametrize("profile", ["smoke", "quick", "thesis"])
@pytest.mark.parametrize("family", ["siren", "gaussian", "log"])
def test_size_or_delay_has_one_size_at_each_kernel_size_and_delay(family, profile):
    mine = load("size_or_delay", find_family(family), profile)
    assert {params["delay"] for params in mine.cells().values()} >= {0, 43, 85}
    sizes = {solution_of(mine, params).count for params in mine.cells().values()}
    assert len(sizes) == 1
    assert abs(sizes.pop() / mine.budget.total - 1) <= 0.02


@pytest.mark.parametrize("profile", ["quick", "thesis"])
def test_free_taps_have_the_size_of_size_or_delay_at_65_taps(profile):
    mine = load("size_or_delay", find_family("discrete"), profile)
    ratios = {
        params["delay"]: solution_of(mine, params).ratio
        for params in mine.cells().values()
        if params["kernel_size"] == 65
    }
    assert all(abs(ratio - 1) <= 0.02 for ratio in ratios.values())
    assert len(ratios) == len(mine.axes["delay"])
