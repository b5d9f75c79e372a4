"""Several seeds as one network: outputs, gradients and statistics are those of each network alone."""

import pytest
import torch
from torch import nn

from kernbench.kernels.base import KernelModule
from kernbench.kernels.family import KernelFamily
from kernbench.networks import build
from kernbench.registry import installed
from kernbench.stacking import Stack

SEEDS = 3


class Branching(KernelModule):
    """A kernel that looks at its own numbers, which vmap cannot follow."""

    def __init__(self, spec):
        super().__init__(spec)
        self.weight = nn.Parameter(torch.randn(spec.shape))

    def forward(self, grid):
        return self.weight * (2 if float(self.weight.detach().sum()) > 0 else 1)


class Constant(KernelModule):
    """A kernel without numbers of its own."""

    def forward(self, grid):
        return torch.linspace(-1, 1, grid.lags.numel(), dtype=grid.lags.dtype).expand(self.spec.shape) * 0.3


BRANCHING = KernelFamily("branching", Branching)
CONSTANT = KernelFamily("constant", Constant)
FAMILIES = [*sorted(installed().found), BRANCHING, CONSTANT]


def networks(family, name="shallow", kernel_size=9, gain="unit", seeds=SEEDS):
    """Networks in float64 that differ in their seeds."""
    made = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        made.append(build(name, family, kernel_size, channels=4, depth=3, gain=gain).double().train())
    return made


def signal(seeds=SEEDS, length=120):
    return torch.randn(5, seeds, length, dtype=torch.float64, generator=torch.Generator().manual_seed(9))


def close(one, other):
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("gain", ["unit", "published"])
@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_a_stack_computes_what_each_network_computes(family, gain):
    alone, lines = networks(family, gain=gain), signal()
    stack = Stack(networks(family, gain=gain))
    output = stack(lines)
    output.square().sum().backward()
    for place, network in enumerate(alone):
        own = network(lines[:, place : place + 1])
        own.square().sum().backward()
        close(output[:, place : place + 1], own)
        for stacked, parameter in zip(stack.stacked, network.parameters(), strict=True):
            close(stacked.grad[place], parameter.grad)
    stack.scatter()
    for given, network in zip(stack.networks, alone, strict=True):
        for one, other in zip(given.state_dict().items(), network.state_dict().items(), strict=True):
            assert one[0] == other[0]
            close(one[1], other[1])  # running statistics and the count of batches, too


@pytest.mark.parametrize("name", ["shallow", "dilated"])
def test_both_networks_can_be_stacked(name):
    alone, lines = networks("discrete", name, 3), signal()
    output = Stack(networks("discrete", name, 3))(lines)
    for place, network in enumerate(alone):
        close(output[:, place : place + 1], network(lines[:, place : place + 1]))


def test_every_installed_family_is_mapped_over_its_seeds():
    notes = {name: Stack(networks(name)).note for name in sorted(installed().found)}
    assert set(notes.values()) == {""}


def test_a_family_that_cannot_be_mapped_says_so():
    assert Stack(networks(BRANCHING)).note.startswith("kernels are made seed by seed, the family cannot be mapped")


def test_a_seed_that_is_not_a_number_leaves_the_others_alone():
    healthy, sick = networks("siren"), networks("siren")
    with torch.no_grad():
        next(iter(sick[1].parameters())).fill_(float("nan"))
    lines = signal()
    outputs, gradients = [], []
    for given in (healthy, sick):
        stack = Stack(given)
        outputs.append(stack(lines))
        outputs[-1].square().sum(dim=(0, 2)).sum().backward()
        gradients.append([each.grad for each in stack.stacked])
    assert outputs[1][:, 1].isnan().all()
    for place in (0, 2):
        close(outputs[0][:, place], outputs[1][:, place])
        for one, other in zip(*gradients, strict=True):
            close(one[place], other[place])


def test_scatter_and_gather_are_inverse():
    given = networks("siren")
    stack = Stack(given)
    with torch.no_grad():
        for place, network in enumerate(given):
            for parameter in network.parameters():
                parameter.add_(place + 1)
    wanted = [{name: tensor.clone() for name, tensor in network.state_dict().items()} for network in given]
    stack.gather()
    for network in given:
        for parameter in network.parameters():
            parameter.data.zero_()
    stack.scatter()
    for network, state in zip(given, wanted, strict=True):
        assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


def test_a_stack_trains_its_own_numbers_only():
    given = networks("discrete")
    stack = Stack(given)
    assert len(list(stack.parameters())) == len(list(given[0].parameters()))
    assert all(parameter.shape[0] == SEEDS for parameter in stack.parameters())
