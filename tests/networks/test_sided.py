"""Layers on one side: what an output sees, the length of a line, rates, forms, weights, and what is refused."""

import pytest
import small_weights
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernbench.errors import KernbenchError, PluginError
from kernbench.kernels.base import KernelSpec
from kernbench.kernels.layer_options import make_layer
from kernbench.networks.architecture import Architecture
from kernbench.networks.cost import layer_costs
from kernbench.networks.fitting import check_kernel_size, layers_of
from kernbench.networks.network import build, lines_at_once
from kernbench.networks.rates import at_rate
from kernbench.networks.sided import on_side
from kernbench.networks.spread import network_asked
from kernbench.networks.weights import save_weights
from kernbench.registry import find_family, find_network
from kernbench.ulm.evaluation.trained import load_trained

ONE_SIDED = ("causal", "anticausal")
LENGTH = 120


def network(side, family="discrete", size=9, name="shallow", layer="plain", **more):
    torch.manual_seed(0)
    plan = network_asked({"name": name, "side": side} | more)
    return small_weights.used(build(plan, family, size, 3, depth=2, layer=layer), LENGTH)


def seen(net, at, length=LENGTH):
    """First and last sample of the line that an output depends on, by gradients that no ReLU hides."""
    for block in net.blocks:
        block[2] = torch.nn.LeakyReLU(0.5)
    line = torch.randn(1, 1, length, generator=torch.Generator().manual_seed(2)).requires_grad_()
    net(line)[0, 0, at].backward()
    places = line.grad[0, 0].nonzero().flatten().tolist()
    return places[0], places[-1]


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(ONE_SIDED), st.sampled_from(["shallow", "dilated"]), st.sampled_from([3, 5, 9, 17]))
def test_an_output_sees_one_side_of_the_line_and_as_much_as_the_receptive_field_says(side, name, size):
    net, usual = network(side, size=size, name=name), network("centered", size=size, name=name)
    reach = net.receptive_field - 1
    assert net.receptive_field == usual.receptive_field
    assert net.padding == reach == 2 * usual.padding
    assert net.ends == {"causal": (reach, 0), "anticausal": (0, reach)}[side]
    first, last = seen(net, 60)
    assert (first, last) == {"causal": (60 - reach, 60), "anticausal": (60, 60 + reach)}[side]
    with torch.no_grad():
        assert net(torch.zeros(2, 1, LENGTH)).shape == (2, 1, LENGTH)


@pytest.mark.parametrize("side", ONE_SIDED)
def test_the_open_end_of_the_line_is_mirrored(side):
    net = network(side)
    line = torch.randn(1, 1, LENGTH, generator=torch.Generator().manual_seed(3))
    mirrored = torch.nn.functional.pad(line, net.ends, mode="reflect")
    with torch.no_grad():
        inside = net(mirrored)[..., net.ends[0] : net.ends[0] + LENGTH]
        torch.testing.assert_close(net(line), inside, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("family", ["discrete", "siren", "gaussian"])
def test_a_mirrored_line_through_a_mirrored_kernel_is_the_same(family):
    net = network("causal", family)
    twin = network("anticausal", family)
    line = torch.randn(1, 1, LENGTH, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        for one, other in zip(net.kernel_layers(), twin.kernel_layers(), strict=True):
            flipped = one.kernel().flip(-1)
            other.forward = lambda x, k=flipped, b=one.bias: torch.nn.functional.conv1d(x, k, b)
        for one, other in zip(net.modules(), twin.modules(), strict=True):
            if isinstance(one, torch.nn.BatchNorm1d | torch.nn.Conv1d):
                other.load_state_dict(one.state_dict())
        torch.testing.assert_close(twin(line.flip(-1)).flip(-1), net(line), rtol=1e-4, atol=1e-5)


def test_centered_is_the_installed_network():
    assert network_asked({"name": "shallow", "side": "centered"}) is find_network("shallow").architecture


@pytest.mark.parametrize("side", ONE_SIDED)
def test_a_reach_holds_on_one_side_too(side):
    for size in (3, 9, 17):
        net = network(side, size=size, reach=16)
        assert (net.receptive_field, net.padding) == (33, 32)
        layers = [layer.spec for layer in net.kernel_layers()]
        assert {(layer.side, layer.extent, layer.dilation) for layer in layers} == {(side, 16.0, 16 // (size - 1))}


@pytest.mark.parametrize("side", ONE_SIDED)
@pytest.mark.parametrize("factor", [0.5, 2])
def test_another_rate_keeps_the_side_and_the_lags(side, factor):
    net = network(side, "siren")
    moved = at_rate(net, factor)
    reach = int((net.receptive_field - 1) * factor)
    assert moved.padding == reach
    assert moved.receptive_field == reach + 1
    first, last = seen(moved, 100, 260)
    assert (first, last) == {"causal": (100 - reach, 100), "anticausal": (100, 100 + reach)}[side]
    for before, after in zip(net.kernel_layers(), moved.kernel_layers(), strict=True):
        old, new = before.spec.grid().lags, after.plain._trained.grid(after.plain._refine, coarsen=after.plain._coarsen)
        assert (new.lags[0], new.lags[-1]) == (old[0], old[-1])
    assert torch.equal(at_rate(net, 1)(torch.ones(1, 1, LENGTH)), net(torch.ones(1, 1, LENGTH)))


@pytest.mark.parametrize("side", ONE_SIDED)
@pytest.mark.parametrize("form", ["separable", "branches"])
def test_other_forms_of_layers_see_the_same_side_and_merge_to_one_kernel(side, form):
    net = network(side, layer=form)
    reach = net.receptive_field - 1
    assert seen(net, 60) == {"causal": (60 - reach, 60), "anticausal": (60, 60 + reach)}[side]
    spec = KernelSpec(3, 2, kernel_size=9, side=side, dilation=2)
    layer = make_layer(form, find_family("discrete"), spec).eval()
    signal = torch.randn(1, 2, 80, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        dense = torch.nn.functional.conv1d(signal, layer.kernel(), layer.shift, dilation=2)
        torch.testing.assert_close(layer(signal), dense, rtol=1e-4, atol=1e-5)
        if form == "branches":
            torch.testing.assert_close(layer.branches(signal), dense, rtol=1e-4, atol=1e-5)
            small = layer.kernel() - layer.inner.kernel() * (1 / (1 + layer.norm.eps)) ** 0.5
            far = slice(0, 4) if side == "causal" else slice(5, 9)  # the small kernel lies at lag 0
            assert small[..., far].abs().max() < 1e-6
            assert small[..., 8 if side == "causal" else 0].abs().max() > 1e-3


def test_costs_count_the_samples_that_the_layers_take():
    # a line of 120 and two layers of K = 9: 16 samples are mirrored, whichever end
    counts = {side: [cost.flops("direct") for cost in layer_costs(network(side), LENGTH)] for side in ONE_SIDED}
    centered = [cost.flops("direct") for cost in layer_costs(network("centered"), LENGTH)]
    assert counts == dict.fromkeys(ONE_SIDED, centered)
    # 16 MiB hold 16 lines of 3 channels and 87,381 samples, mirrored ones included, and not one sample more
    assert {lines_at_once(network(side), 87_365, "cpu") for side in ("centered", *ONE_SIDED)} == {16}
    assert {lines_at_once(network(side), 87_366, "cpu") for side in ("centered", *ONE_SIDED)} == {8}


@pytest.mark.parametrize("side", ONE_SIDED)
def test_weights_of_such_a_network_are_read_again(side, tmp_path):
    net = network(side, "siren")
    facts = small_weights.facts_of(net, "shallow")
    kept = save_weights(tmp_path / "weights.pt", net, facts | {"network": facts["network"] | {"side": side}})
    again, line = load_trained(kept).network, torch.linspace(-1, 1, LENGTH).view(1, 1, -1)
    with torch.no_grad():
        assert torch.equal(again(line), net(line))
    assert again.ends == net.ends


class OwnModule(Architecture):
    def build(self, layers):
        return super().build(layers)


class Mixed(Architecture):
    def layers(self, kernel_size, channels, depth):
        return [KernelSpec(channels, channels if n else 1, kernel_size=3, side=ONE_SIDED[n % 2]) for n in range(depth)]


def test_what_cannot_be_one_sided_is_refused_in_one_line(tmp_path):
    own = on_side(OwnModule("own", 2, 3, 9), "causal")
    with pytest.raises(
        KernbenchError, match=r"network own pads lines by itself: .*network\.side = 'causal'; leave out"
    ):
        layers_of(own, 9)
    mixed = Mixed("mixed", 2, 3, 3)
    with pytest.raises(PluginError, match="layer 2 of network 'mixed' is anticausal; expected a causal one"):
        layers_of(mixed, 3)
    with pytest.raises(KernbenchError, match=r"network mixed has causal layers already: .*leave out network\.side"):
        layers_of(on_side(mixed, "causal"), 3)
    asked = network_asked({"name": "shallow", "side": "causal"})
    with pytest.raises(KernbenchError, match=r"needs an odd kernel size .* got K = 8"):
        layers_of(asked, 8)
    with pytest.raises(KernbenchError, match=r"needs 32 samples of padding at its start, the line has 20.*K <= 5 at"):
        check_kernel_size(asked, 9, line_length=20)
    with pytest.raises(
        KernbenchError, match="reflects 16 samples at one end, so lines need at least 17 samples, got 16"
    ):
        network("causal")(torch.zeros(1, 1, 16))
