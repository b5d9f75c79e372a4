"""Measured receptive fields of networks whose gradients are known."""

import functools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from kernbench.analysis.receptive_field import Field, measured_field
from kernbench.errors import KernbenchError
from kernbench.networks.architecture import Architecture
from kernbench.networks.network import Network, build
from kernbench.networks.spread import network_asked
from kernbench.report.analyses.receptive_field import reach_of, rows_of


def linear(network, taps):
    """One channel, given taps in each layer, no norm and no ReLU: a chain of correlations."""
    with torch.no_grad():
        for block, each in zip(network.blocks, taps, strict=True):
            block[0].kernel_module.weight.copy_(torch.as_tensor(each).view(1, 1, -1))
            block[1], block[2] = nn.Identity(), nn.Identity()
        network.head.weight.fill_(1.0)
    return network


@pytest.mark.parametrize("side", ["centered", "causal", "anticausal"])
@pytest.mark.parametrize("depth", [1, 3])
def test_known_taps_have_their_exact_field(side, depth):
    rng = np.random.default_rng(0)
    taps = rng.normal(size=(depth, 5)).astype(np.float32)
    plan = network_asked({"name": "shallow", "side": side})
    network = linear(build(plan, "discrete", 5, channels=1, depth=depth, backend="direct"), taps)
    whole = np.abs(functools.reduce(np.convolve, taps.astype(float)))  # by lag, ascending, as correlations add lags
    reach = reach_of(network)
    assert reach == {"centered": (2 * depth, 2 * depth), "causal": (4 * depth, 0), "anticausal": (0, 4 * depth)}[side]
    found = measured_field(network, torch.from_numpy(rng.normal(size=(3, 200)).astype(np.float32)), reach, positions=2)
    np.testing.assert_allclose(found.mass, whole / whole.sum(), rtol=1e-5, atol=1e-9)
    assert found.outside == 0
    assert found.lags.tolist() == list(range(-reach[0], reach[1] + 1))


def test_channels_norms_and_active_relus_leave_the_exact_field():
    torch.manual_seed(0)
    network = build("shallow", "discrete", 5, channels=3, depth=3, backend="direct").double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for _, norm, _ in network.blocks:
            norm.running_var.copy_(torch.rand(3, generator=generator) + 0.5)
            norm.weight.copy_(torch.randn(3, generator=generator))
            norm.bias.fill_(1e4)  # every ReLU is active, so the network is linear
    by_lag = None  # (channels, lags)
    for convolution, norm, _ in network.blocks:
        factor = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach().numpy()
        taps = convolution.kernel().detach().numpy() * factor[:, None, None]
        given = np.ones((1, 1)) if by_lag is None else by_lag
        by_lag = np.array([sum(map(np.convolve, given, row)) for row in taps])
    whole = np.abs(network.head.weight[0, :, 0].detach().numpy() @ by_lag)
    found = measured_field(network, torch.randn(4, 100).double(), reach_of(network), positions=3)
    np.testing.assert_allclose(found.mass, whole / whole.sum(), rtol=1e-6)
    assert found.outside == 0


@pytest.mark.parametrize("side", ["causal", "anticausal"])
@pytest.mark.parametrize("length", [25, 30, 48])
def test_a_line_that_is_longer_than_a_one_sided_field_shows_it_exactly(side, length):
    rng = np.random.default_rng(0)
    taps = rng.normal(size=(3, 9)).astype(np.float32)
    plan = network_asked({"name": "shallow", "side": side})
    network = linear(build(plan, "discrete", 9, channels=1, depth=3, backend="direct"), taps)
    whole = np.abs(functools.reduce(np.convolve, taps.astype(float)))
    found = measured_field(network, torch.randn(4, length), reach_of(network))
    np.testing.assert_allclose(found.mass, whole / whole.sum(), rtol=1e-5, atol=1e-9)
    assert found.outside == 0


def test_what_moves_the_output_beyond_the_reach_is_counted():
    network = linear(build("shallow", "discrete", 5, channels=1, depth=2, backend="direct"), np.ones((2, 5)))
    found = measured_field(network, torch.randn(4, 100), (2, 2))
    np.testing.assert_allclose(found.mass, np.array([3, 4, 5, 4, 3]) / 19, rtol=1e-6)
    assert found.outside == pytest.approx(6 / 19)


class Parallel(Architecture):
    """Every layer sees the line itself; lines of an even number of samples only, and their mean counts."""

    def layers(self, kernel_size, channels, depth):
        return [super(Parallel, self).layers(kernel_size, channels, 1)[0] for _ in range(depth)]

    def padding(self, layers):
        return super().padding(layers[:1])

    def receptive_field(self, layers):
        return super().receptive_field(layers[:1])

    def build(self, layers):
        specs = [layer.spec for layer in layers]
        return Sum(layers, self.padding(specs), self.receptive_field(specs))


class Sum(Network):
    mean = False

    def forward(self, signal):
        if signal.shape[-1] % 2:
            raise RuntimeError("an even number of samples, please")
        mirrored = functional.pad(signal, self.ends, mode="reflect")
        found = self.head(sum(block(mirrored) for block in self.blocks))
        return found + signal.mean(-1, keepdim=True) if self.mean else found


def test_a_forward_pass_of_its_own_gets_whole_lines_and_the_field_that_it_declares():
    torch.manual_seed(0)
    network = build(Parallel("parallel", depth=3, channels=4, kernel_size=7), "discrete", 7, backend="direct")
    assert network.padding % 2  # so that lines of an even length pass the check of a network
    assert reach_of(network) == (3, 3)
    row = rows_of({"trained": network}, torch.randn(6, 120))["receptive_field"][0]
    assert (row["theoretical"], row["outside"]) == (7, 0)
    network.mean = True
    row = rows_of({"trained": network}, torch.randn(6, 120))["receptive_field"][0]
    assert row["outside"] > 0


def test_an_even_field_is_not_cut():
    network = build(Parallel("parallel", depth=1, channels=2, kernel_size=7), "discrete", 7)
    network.receptive_field = 8
    assert reach_of(network) == (3, 4)


def test_dilated_layers_are_zero_between_their_taps():
    network = linear(build("dilated", "discrete", 3, channels=1, depth=3, backend="direct"), np.ones((3, 3)))
    found = measured_field(network, torch.ones(2, 100), reach_of(network))
    ones = [np.kron(np.ones(3), [1] + [0] * (step - 1))[: 2 * step + 1] for step in (1, 2, 4)]
    whole = functools.reduce(np.convolve, ones)
    np.testing.assert_allclose(found.mass, whole / whole.sum(), rtol=1e-6)
    assert reach_of(network) == (7, 7)


@pytest.mark.parametrize(
    ("size", "field"), [(65, 257), (131, 521), (263, 1049), (527, 2105), (1055, 4217), (2111, 8441)]
)
def test_theoretical_fields_of_the_published_sizes(size, field):
    network = build("shallow", "siren", size, channels=1, depth=4)
    assert 1 + sum(reach_of(network)) == field == network.receptive_field


def test_the_published_network_reaches_8191_samples():
    network = build("dilated", "discrete", 3, channels=1, depth=12)
    assert 1 + sum(reach_of(network)) == 8191


def test_equal_layers_at_the_start_are_a_bell_that_widens_with_the_root_of_the_depth():
    widths = []
    for depth in (4, 16):
        torch.manual_seed(0)
        network = build("shallow", "discrete", 17, channels=16, depth=depth)
        lines = torch.randn(48, 600)
        found = measured_field(network, lines, reach_of(network))
        half = len(found.mass) // 2
        assert found.mass[half - 4 : half + 5].mean() > 3 * found.mass[: half // 2].mean()
        assert abs(found.centre) < 5
        widths.append(found.width(0.5))
    assert 1.6 < widths[1] / widths[0] < 2.6  # 2 by the root of the depth, 4 by the depth itself


def test_a_line_shorter_than_the_field_is_taken_whole():
    network = linear(build("shallow", "discrete", 9, channels=1, depth=4), np.ones((4, 9)))
    found = measured_field(network, torch.randn(2, 25), reach_of(network))
    assert found.mass.sum() == pytest.approx(1)
    assert not found.mass[found.lags > 12].any()


def test_a_constant_output_has_no_field():
    network = linear(build("shallow", "discrete", 5, channels=1, depth=1), np.zeros((1, 5)))
    found = measured_field(network, torch.randn(2, 50), (2, 2))
    assert not found.mass.any()
    assert np.isnan([found.centre, found.width(0.5)]).all()
    assert found.peak is None


def test_mode_and_parameters_are_as_before():
    network = build("shallow", "siren", 9, channels=2, depth=2).train()
    before = [value.clone() for value in network.state_dict().values() if isinstance(value, torch.Tensor)]
    measured_field(network, torch.randn(2, 80), reach_of(network))
    after = [value for value in network.state_dict().values() if isinstance(value, torch.Tensor)]
    assert network.training
    assert all(map(torch.equal, before, after))
    assert all(each.grad is None for each in network.parameters())


@given(st.lists(st.floats(0, 1), min_size=3, max_size=30).filter(any), st.floats(0.05, 1))
@settings(deadline=None)
def test_a_width_is_the_smallest_that_holds_its_share(mass, share):
    mass = np.array(mass) / np.sum(mass)
    lags = np.arange(len(mass)) - len(mass) // 2
    found = Field(lags, mass, 0.0)
    distance = np.abs(lags - round(found.centre))
    lengths = [int((distance <= half).sum()) for half in range(len(mass))]
    half = lengths.index(found.width(share))
    assert mass[distance <= half].sum() >= share - 1e-9
    assert half == 0 or mass[distance <= half - 1].sum() < share
    assert found.width(share) <= len(mass)


@pytest.mark.parametrize(("count", "reach", "positions"), [(0, (1, 1), 1), (2, (-1, 1), 1), (2, (1, 1), 0)])
def test_what_has_no_field_is_refused(count, reach, positions):
    with pytest.raises(KernbenchError, match="a field needs lines"):
        measured_field(build("shallow", "discrete", 3, channels=1, depth=1), torch.zeros(count, 9), reach, positions)
