"""Separable layers and layers with branches, against torch's own convolutions; oracle 21."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

import kernbench
from kernbench.errors import KernbenchError
from kernbench.kernels.gain import calibrate
from kernbench.kernels.layer_options import LAYERS, make_layer
from kernbench.networks import build
from kernbench.networks.cost import flops_forward, flops_generation, layer_costs, parameter_count
from kernbench.registry import find_family
from kernbench.study.settings import SETTINGS


def layer_of(form, family="discrete", size=9, outs=4, ins=6, groups=1, dilation=1):
    spec = kernbench.KernelSpec(outs, ins, groups=groups, kernel_size=size, dilation=dilation)
    return make_layer(form, find_family(family), spec).double()


SIZES = st.sampled_from([1, 3, 5, 7, 17])
GROUPS = st.sampled_from([1, 2])


@settings(max_examples=20, deadline=None)
@given(SIZES, GROUPS, st.integers(1, 3))
def test_a_separable_layer_is_its_dense_kernel(size, groups, dilation):
    layer = layer_of("separable", size=size, groups=groups, dilation=dilation)
    signal = torch.randn(2, 6, 80, dtype=torch.float64)
    assert layer.kernel().shape == layer.spec.shape
    expected = functional.conv1d(signal, layer.kernel(), layer.bias, dilation=dilation, groups=groups)
    torch.testing.assert_close(layer(signal), expected, rtol=0, atol=1e-10)


@settings(max_examples=20, deadline=None)
@given(SIZES, GROUPS, st.integers(1, 3))
def test_merged_branches_are_the_branches_in_eval_mode(size, groups, dilation):
    layer = layer_of("branches", size=size, groups=groups, dilation=dilation)
    signal = torch.randn(4, 6, 80, dtype=torch.float64)
    for _ in range(3):  # statistics and weights that are not those of the start
        layer(signal + 1).square().sum().backward()
        with torch.no_grad():
            for each in layer.parameters():
                each.sub_(1e-3 * each.grad)
    layer.eval()
    expected = layer.branches(signal)
    torch.testing.assert_close(layer(signal), expected, rtol=0, atol=1e-10)
    with torch.no_grad():
        torch.testing.assert_close(layer(signal), expected, rtol=0, atol=1e-10)
    merged = functional.conv1d(signal, layer.kernel(), layer.shift, dilation=dilation, groups=groups)
    torch.testing.assert_close(merged, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("size", [2, 4, 6, 16])
def test_branches_refuse_a_kernel_without_a_middle(size):
    with pytest.raises(KernbenchError, match=f"expected an odd kernel size, got {size}$"):
        layer_of("branches", size=size)


def test_in_training_each_branch_is_normalized_by_its_batch():
    layer, signal = layer_of("branches"), torch.randn(3, 6, 80, dtype=torch.float64)
    large = functional.conv1d(signal, layer.inner.kernel())
    small = functional.conv1d(signal[..., 2:-2], layer.taps)
    expected = sum(functional.batch_norm(each, None, None, training=True) for each in (large, small))
    torch.testing.assert_close(layer(signal), expected, rtol=0, atol=1e-10)


def test_a_change_of_statistics_is_followed_in_eval_mode():
    layer, signal = layer_of("branches"), torch.randn(3, 6, 80, dtype=torch.float64)
    layer.eval()
    with torch.no_grad():
        before = layer(signal)
        layer.train()(signal)
        assert not torch.equal(layer.eval()(signal), before)


@pytest.mark.parametrize("family", ["siren", "stencil", "s4d"])
def test_a_separable_layer_starts_at_gain_one(family):
    layer = layer_of("separable", family)
    calibrate(layer)
    assert layer.gain == pytest.approx(1, abs=1e-9)
    assert layer.inner.gain == pytest.approx(1, abs=1e-5)


def test_forms_are_those_of_a_study():
    assert SETTINGS["network"]["layer"].options == LAYERS
    with pytest.raises(KernbenchError, match="did you mean 'separable'"):
        layer_of("seperable")


@pytest.mark.parametrize("form", LAYERS)
@pytest.mark.parametrize("family", ["discrete", "rtf"])
def test_costs_of_layers_add_up(form, family):
    network = build("shallow", family, 17, 4, depth=2, layer=form)
    costs = layer_costs(network, 200)
    per_layer = sum(each.kernel + each.bias + each.amplitude + each.norm + each.mixing for each in costs)
    assert per_layer + 4 + 1 == parameter_count(network)
    assert len(network.kernel_layers()) == 2
    assert flops_generation(network) > 0 or family == "discrete"
    assert network(torch.randn(2, 1, 200)).shape == (2, 1, 200)


def test_operations_of_a_separable_layer_are_those_of_its_two_convolutions():
    network = build("shallow", "discrete", 17, 4, depth=2, layer="separable")
    taken = 200 + 2 * network.padding
    first = 2 * 17 * 1 * (taken - 16) + 2 * 1 * 4 * (taken - 16)
    second = 2 * 17 * 4 * (taken - 32) + 2 * 4 * 4 * (taken - 32)
    assert flops_forward(network, 200, "direct") == first + second + 2 * 4 * 200


@pytest.mark.parametrize("form", ["separable", "branches"])
def test_recomputed_activations_give_the_same_gradients(form):
    found = []
    for again in (False, True):
        torch.manual_seed(1)
        network = build("shallow", "siren", 9, 4, depth=3, layer=form)
        network.recompute = again
        network(torch.randn(2, 1, 100)).square().sum().backward()
        buffers = [each.clone() for each in network.buffers()]
        found.append([*buffers, *(each.grad for each in network.parameters())])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
