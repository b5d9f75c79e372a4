"""Network `recurrent` against the recurrence written out, and without a step against the plain network."""

import dataclasses

import pytest
import torch
from torch.nn import functional

import kernbench
from kernbench.networks.cost import flops_forward, parameter_count
from kernbench.networks.network import build
from kernbench.registry import find_network

RECURRENT = find_network("recurrent").architecture
K, C = 5, 4


def with_steps(steps, family="discrete", depth=2, **options):
    torch.manual_seed(0)
    return build(dataclasses.replace(RECURRENT, steps=steps), family, K, C, depth=depth, **options)


@pytest.mark.parametrize("family", ["discrete", "siren"])
def test_without_a_step_it_is_the_plain_network_bit_for_bit(family):
    ours = with_steps(0, family)
    torch.manual_seed(0)
    plain = build(kernbench.Architecture("row", 2, C, K), family, K, C)
    signal = torch.randn(3, 1, 60)
    for mode in (True, False):
        assert torch.equal(ours.train(mode)(signal), plain.train(mode)(signal))
    assert parameter_count(ours) == parameter_count(plain)
    assert ours.padding == plain.padding
    assert flops_forward(ours, 60) == flops_forward(plain, 60)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_steps_are_the_recurrence_written_out(steps):
    """z_0 = s(f * u), z_t = s(f * u + r * z_{t-1}), each normalized by its own mean and variance over the batch."""
    network = with_steps(steps, depth=1).double().train()
    block = network.blocks[0]
    with torch.no_grad():
        block.norms[0].weight.uniform_(0.5, 2)
        block.norms[0].bias.uniform_(-1, 1)
    scale, shift = block.norms[0].weight[:, None], block.norms[0].bias[:, None]

    def s(values):
        mean = values.mean((0, 2), keepdim=True)
        spread = (values.var((0, 2), unbiased=False, keepdim=True) + 1e-5).sqrt()
        return ((values - mean) / spread * scale + shift).clamp(min=0)

    line = torch.randn(3, 1, 50, dtype=torch.float64)
    f, r = (layer.kernel() for layer in network.kernel_layers())
    reach = (K - 1) // 2
    driven = functional.conv1d(functional.pad(line, (network.padding,) * 2, mode="reflect"), f, block.drive.bias)
    state = s(driven)
    for _ in range(steps):
        driven = driven[..., reach:-reach]
        state = s(driven + functional.conv1d(state, r, block.again.bias))
    torch.testing.assert_close(network(line), network.head(state), rtol=0, atol=1e-10)


def test_a_step_costs_field_and_operations_and_no_parameter():
    networks = [with_steps(steps) for steps in (1, 2, 3)]
    assert [each.receptive_field for each in networks] == [1 + 2 * 4 * (1 + steps) for steps in (1, 2, 3)]
    assert len({parameter_count(each) for each in networks}) == 1
    # the second step of the last block: r once more, and 4 samples more for all before it
    one, two = (flops_forward(with_steps(steps, depth=1), 1000) for steps in (1, 2))
    assert two - one == 2 * K * C * C * (1000 + 4) + 2 * K * C * 4


def test_each_kernel_is_made_once_in_a_forward_pass():
    asked = []

    class Counted(kernbench.KernelModule):
        def __init__(self, spec):
            super().__init__(spec)
            self.weight = torch.nn.Parameter(torch.randn(spec.shape))

        def forward(self, grid):
            asked.append(id(self))
            return self.weight * 1.0

    network = build("recurrent", kernbench.KernelFamily("counted", Counted), K, C, depth=2).train()
    asked.clear()
    network(torch.randn(2, 1, 80)).sum().backward()
    assert len(asked) == len(set(asked)) == 4


def test_every_step_has_statistics_of_its_own_and_shares_factor_and_summand():
    network = with_steps(2, depth=1).train()
    network(torch.randn(4, 1, 80))
    first, *others = network.blocks[0].norms
    assert all(norm.weight is first.weight and norm.bias is first.bias for norm in others)
    means = torch.stack([norm.running_mean for norm in network.blocks[0].norms])
    assert (means.diff(dim=0).abs() > 1e-4).all()


@pytest.mark.parametrize("steps", [-1, 1.0, True, "3"])
def test_what_is_no_number_of_steps_is_refused(steps):
    with pytest.raises(kernbench.KernbenchError, match="steps must be a whole number >= 0, got"):
        dataclasses.replace(RECURRENT, steps=steps)


@pytest.mark.filterwarnings("ignore")  # of torch about itself, while it compiles
def test_it_compiles_to_the_same_output():
    network = with_steps(2, backend="direct").train()
    line = torch.randn(2, 1, 60)
    compiled = torch.compile(network, backend="eager", dynamic=False)(line)
    torch.testing.assert_close(compiled, network(line), rtol=1e-5, atol=1e-6)
    assert compiled.grad_fn is not None
