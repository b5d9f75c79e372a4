"""Kernels that reach equally far at every size: taps apart, the same receptive field and padding."""

import pytest
import small_weights
import torch

from kernbench.errors import KernbenchError
from kernbench.networks.fitting import check_kernel_size, checked_length, layers_of
from kernbench.networks.network import build
from kernbench.networks.spread import network_asked
from kernbench.networks.weights import save_weights
from kernbench.registry import find_family, find_network
from kernbench.study.task import load
from kernbench.ulm.cells.definition import make_network
from kernbench.ulm.evaluation.trained import load_trained

SHALLOW = {"name": "shallow", "reach": 32}


@pytest.mark.parametrize(("size", "dilation"), [(3, 16), (5, 8), (9, 4), (17, 2), (33, 1)])
def test_fewer_taps_are_farther_apart_and_see_as_far(size, dilation):
    plan = network_asked(SHALLOW)
    layers = layers_of(plan, size, 4, 3)
    assert [layer.dilation for layer in layers] == [dilation] * 3
    assert [layer.extent for layer in layers] == [16.0] * 3
    assert checked_length(plan, "receptive_field", layers) == 1 + 3 * 32
    assert checked_length(plan, "padding", layers) == 3 * 16
    net = build(plan, "siren", size, 4, depth=3)
    assert (net.receptive_field, net.padding) == (97, 48)


def test_without_a_reach_the_network_is_the_installed_one():
    assert network_asked({"name": "shallow"}) is find_network("shallow").architecture


def test_a_size_that_does_not_divide_the_reach_is_refused_with_those_that_do():
    expected = r"network\.reach = 32 does not fit K = 7: expected K - 1 to divide it; use K = 5 or 9$"
    with pytest.raises(KernbenchError, match=expected):
        layers_of(network_asked(SHALLOW), 7)
    with pytest.raises(KernbenchError, match="use K = 3 or 5"):
        layers_of(network_asked(SHALLOW), 1)
    with pytest.raises(KernbenchError, match="take an even reach"):
        layers_of(network_asked(SHALLOW | {"reach": 7}), 3)


def test_a_network_with_dilations_of_its_own_takes_no_reach():
    with pytest.raises(KernbenchError, match=r"network dilated has dilations of its own: .*leave out network\.reach"):
        layers_of(network_asked({"name": "dilated", "reach": 8}), 3)


def test_a_reach_that_the_line_cannot_take_is_said_to_be_too_large():
    with pytest.raises(KernbenchError, match=r"48 samples of padding .* 40.*Use a smaller network\.reach, or longer"):
        check_kernel_size(network_asked(SHALLOW), 9, 3, 40)


def test_weights_of_such_a_network_are_read_again(tmp_path):
    net = small_weights.used(build(network_asked(SHALLOW), "siren", 9, 4, depth=3))
    facts = small_weights.facts_of(net, "shallow")
    kept = save_weights(tmp_path / "weights.pt", net, facts | {"network": facts["network"] | {"reach": 32}})
    again = load_trained(kept).network
    line = torch.linspace(-1, 1, 300).view(1, 1, -1)
    with torch.no_grad():
        assert torch.equal(again(line), net(line))
    assert again.receptive_field == 97


def test_the_networks_of_the_study_differ_in_taps_alone():
    study = load("receptive_field", find_family("discrete"), "quick")
    nets = [make_network(study, params) for params in study.cells().values()]
    assert {net.receptive_field for net in nets} == {1 + 4 * 128}
    assert [net.kernel_layers()[0].spec.kernel_size for net in nets] == [3, 9, 33, 129]


def test_omega_over_extent_is_fixed_along_the_diagonal_of_its_study():
    for profile in ("quick", "thesis"):
        axes = load("omega_extent", find_family("siren"), profile).axes
        diagonal = list(zip(axes["kernel_size"], axes["omega_0"], strict=True))
        assert len({omega / ((size - 1) / 2) for size, omega in diagonal}) == 1
