"""Tiled layers: kernels in rotation, against one convolution for each phase."""

import pytest
import torch
from torch.nn import functional

import kernbench
from kernbench.conv.backends import BACKENDS
from kernbench.conv.cost import direct_flops
from kernbench.errors import DataError, KernbenchError
from kernbench.kernels.gain import calibrate
from kernbench.kernels.layer_options import LAYERS, form_of, made_by, make_layer
from kernbench.networks import at_rate, build
from kernbench.networks.beside import numbers_beside_kernels
from kernbench.networks.cost import flops_forward, layer_costs, parameter_count
from kernbench.networks.merged import Merged
from kernbench.networks.network import lines_at_once
from kernbench.registry import find_family, installed
from kernbench.report.analyses.receptive_field import rows_of
from kernbench.ulm.srml1d.networks import _published_state

FAMILIES = ("discrete", "siren", "gaussian", "stencil", "s4d", "dcls")


def tiled(tiles, family="discrete", size=5, outs=4, ins=6, groups=1, dilation=1, backend="auto", form="tiled"):
    torch.manual_seed(3)
    spec = kernbench.KernelSpec(outs, ins, groups=groups, kernel_size=size, dilation=dilation)
    rotation = {"tiles": tiles} if form == "tiled" else {}
    return make_layer(form, find_family(family), spec, backend=backend, **rotation)


@pytest.mark.parametrize("length", [60, 61, 62, 63])
@pytest.mark.parametrize(("tiles", "groups", "dilation"), [(2, 1, 1), (3, 2, 2), (4, 1, 3)])
def test_output_t_comes_from_kernel_t_mod_q_of_its_channel(tiles, groups, dilation, length):
    layer, signal = tiled(tiles, groups=groups, dilation=dilation).double(), torch.randn(2, 6, length).double()
    kernel, bias = layer.kernel().unflatten(0, (4, tiles)), layer.bias.unflatten(0, (4, tiles))
    each = [functional.conv1d(signal, kernel[:, p], bias[:, p], dilation=dilation, groups=groups) for p in range(tiles)]
    expected = torch.stack([each[t % tiles][..., t] for t in range(each[0].shape[-1])], dim=-1)
    torch.testing.assert_close(layer(signal), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_one_kernel_in_rotation_is_the_plain_layer_bit_for_bit(family):
    networks = []
    for form in ({"layer": "plain"}, {"layer": "tiled", "tiles": 1}):
        torch.manual_seed(5)
        networks.append(build("shallow", family, 9, 3, depth=2, **form))
    plain, turning = networks
    torch.manual_seed(6)
    signal = torch.randn(2, 1, 90)
    assert parameter_count(plain) == parameter_count(turning)
    for training in (True, False):
        outputs = [each.train(training)(signal) for each in networks]
        assert torch.equal(*outputs)
        gradients = [
            torch.autograd.grad(out.square().sum(), list(net.parameters()))
            for out, net in zip(outputs, networks, strict=True)
        ]
        by_shape = [sorted((each.shape, each.flatten().tolist()) for each in own) for own in gradients]
        assert by_shape[0] == by_shape[1]


@pytest.mark.parametrize("tiles", [2, 3])
def test_a_tiled_layer_commutes_with_shifts_by_q_and_by_no_fewer(tiles):
    layer, signal = tiled(tiles).double(), torch.randn(1, 6, 64).double()
    whole = layer(signal)
    torch.testing.assert_close(layer(signal[..., tiles:]), whole[..., tiles:], rtol=0, atol=1e-12)
    for shift in range(1, tiles):
        assert (layer(signal[..., shift:]) - whole[..., shift:]).abs().max() > 1e-3


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "auto"])
def test_every_backend_gives_the_same(backend):
    signal = torch.randn(2, 6, 70)
    exact, layer = tiled(3, size=9).double()(signal.double()), tiled(3, size=9, backend=backend)
    torch.testing.assert_close(layer(signal).double(), exact, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(layer.eval()(signal).double(), exact, rtol=1e-4, atol=1e-5)


class Unscaled(kernbench.KernelModule):
    """Free taps that cannot be scaled, so that the layer adds an amplitude for each kernel."""

    def __init__(self, spec):
        super().__init__(spec)
        self.taps = torch.nn.Parameter(torch.randn(spec.shape))

    def forward(self, grid):
        return self.taps.to(grid.lags.dtype)


UNSCALED = kernbench.KernelFamily("unscaled", Unscaled)


@pytest.mark.parametrize("family", ["discrete", "siren", UNSCALED], ids=["discrete", "siren", "unscaled"])
def test_parameters_and_operations_of_a_tiled_network(family):
    tiles, channels, size, depth = 3, 4, 9, 2
    network = build("shallow", family, size, channels, depth=depth, layer="tiled", tiles=tiles)
    costs = layer_costs(network, 200)
    inputs, offered = (1, channels), find_family(family) if isinstance(family, str) else family
    asked = [kernbench.KernelSpec(tiles * channels, each, kernel_size=size) for each in inputs]
    kernels = [parameter_count(offered.build(spec)) for spec in asked]
    if family != "siren":
        assert kernels == [tiles * channels * each * size for each in inputs]
    assert [each.kernel for each in costs] == kernels
    amplitudes = sum(each.amplitude for each in costs)
    assert amplitudes == (depth * tiles * channels if family is UNSCALED else 0)
    beside = depth * (tiles * channels + 2 * channels) + channels + 1  # biases, norms, last layer
    assert parameter_count(network) == sum(kernels) + amplitudes + beside
    assert numbers_beside_kernels("shallow", size, channels, depth, "tiled", tiles) == beside
    taken = (200 + 2 * network.padding, 200 + 2 * network.padding - size + 1)
    by_hand = [2 * size * tiles * channels * one * (n - size + 1) for one, n in zip(inputs, taken, strict=True)]
    assert [each.flops("direct") for each in costs] == by_hand
    assert by_hand[0] == direct_flops((1, 1, taken[0]), (tiles * channels, 1, size), 1)
    assert flops_forward(network, 200, "direct") == sum(by_hand) + 2 * channels * 200
    # q times the activations of a layer: fewer lines a pass
    plain = build("shallow", family, size, channels, depth=depth)
    assert lines_at_once(network, 2**16, "cpu") < lines_at_once(plain, 2**16, "cpu")


@pytest.mark.parametrize("family", ["siren", "rtf"])
def test_every_kernel_of_a_tiled_layer_starts_at_gain_one(family):
    layer = tiled(3, family)
    calibrate(layer)
    assert layer.gain == pytest.approx(1, abs=1e-5)


def test_a_tiled_network_recomputes_bit_for_bit():
    found = []
    for again in (False, True):
        torch.manual_seed(1)
        network = build("shallow", "siren", 9, 4, depth=3, layer="tiled", tiles=3)
        network.recompute = again
        network(torch.randn(2, 1, 100)).square().sum().backward()
        found.append([*network.buffers(), *(each.grad for each in network.parameters())])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_a_tiled_network_has_the_field_of_a_plain_one_seen_from_every_phase():
    torch.manual_seed(2)
    network = build("shallow", "discrete", 5, 4, depth=2, layer="tiled", tiles=3).double()
    (row,) = rows_of({"trained": network}, torch.randn(4, 120, dtype=torch.float64))["receptive_field"]
    assert (row["before"], row["behind"], network.receptive_field) == (4, 4, 9)
    assert row["outside"] < 1e-12


def test_what_has_one_kernel_a_channel_refuses_rotation():
    network = build("dilated", "discrete", 3, layer="tiled")
    with pytest.raises(DataError, match="expected one kernel a channel pair, got 2 in rotation in layer 1"):
        _published_state(network)
    with pytest.raises(KernbenchError, match="tiled layers have kernels in rotation"):
        Merged(network)
    with pytest.raises(KernbenchError, match="tiled layers cannot be moved to another sampling rate"):
        at_rate(network, 2)
    assert at_rate(build("shallow", "siren", 9, 3, depth=2, layer="tiled", tiles=1), 2).kernel_layers()


@pytest.mark.parametrize("tiles", [0, -1, 1.5, True])
def test_numbers_that_are_no_rotation_are_refused(tiles):
    with pytest.raises(KernbenchError, match="tiles must be a whole number >= 1"):
        tiled(tiles)


@pytest.mark.parametrize("form", [each for each in LAYERS if each != "tiled"])
def test_tiles_of_another_form_are_refused_with_what_to_do(form):
    spec = kernbench.KernelSpec(2, 2, kernel_size=3)
    with pytest.raises(KernbenchError, match="leave out tiles, or take 'tiled', whose tiles = 1 is the plain layer"):
        made_by(form, spec, 3)


def test_settings_without_a_form_are_of_the_plain_one():
    assert form_of({}) == {"layer": "plain", "tiles": 2}
    assert form_of({"layer": "tiled", "tiles": 4}) == {"layer": "tiled", "tiles": 4}


@pytest.mark.parametrize("network", sorted(installed().networks))
def test_every_network_takes_rotation_and_with_one_kernel_is_as_it_was(network):
    outputs = []
    for form in ({"layer": "plain"}, {"layer": "tiled", "tiles": 1}, {"layer": "tiled", "tiles": 3}):
        torch.manual_seed(5)
        net = build(network, "siren", 3, 3, depth=1, **form)
        torch.manual_seed(6)
        outputs.append(net(torch.randn(2, 1, 90)))
        outputs[-1].square().sum().backward()
        assert all(each.grad is not None for each in net.parameters())
        assert flops_forward(net, 90) > 0
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])
