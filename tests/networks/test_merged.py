"""Plain torch layers that give what a network gives."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kernbench.errors import KernbenchError
from kernbench.networks.boundary import POLICIES
from kernbench.networks.merged import Merged, extended
from kernbench.networks.network import build
from kernbench.networks.padding import padded
from kernbench.networks.spread import network_asked

NUMPY = {"mirror": "reflect", "zero": "constant", "replicate": "edge", "symmetric": "symmetric", "circular": "wrap"}


@given(st.sampled_from(POLICIES), st.integers(1, 30), st.integers(0, 29), st.integers(0, 29))
def test_samples_beyond_the_ends_are_those_of_numpy_and_of_the_network(policy, length, before, behind):
    most = {"mirror": length - 1, "symmetric": length, "circular": length}.get(policy, 29)
    ends = min(before, most), min(behind, most)
    line = np.random.default_rng(length).normal(size=length)
    signal = torch.from_numpy(line).view(1, 1, -1)
    wanted = np.pad(line, ends, mode=NUMPY[policy])
    assert np.array_equal(extended(signal, ends, policy)[0, 0].numpy(), wanted)
    assert np.array_equal(padded(signal, ends, policy)[0, 0].numpy(), wanted)


def trained(name="shallow", family="siren", layer="plain", **plan):
    """A network whose norms have seen lines."""
    torch.manual_seed(0)
    network = build(network_asked({"name": name, **plan}), family, 9, channels=4, depth=3, layer=layer).train()
    for _ in range(3):
        network(torch.randn(4, 1, 90))
    return network.eval()


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("place", ["input", "layer"])
@pytest.mark.parametrize("side", ["centered", "causal"])
def test_every_boundary_and_side(policy, place, side):
    network = trained(boundary=policy, boundary_at=place, side=side)
    lines = torch.randn(2, 1, 75)
    with torch.no_grad():
        torch.testing.assert_close(Merged(network)(lines), network(lines), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("family", "layer"), [("discrete", "plain"), ("gaussian", "separable"), ("siren", "branches")])
def test_every_form_of_layer(family, layer):
    network = trained(family=family, layer=layer)
    lines = torch.randn(2, 1, 75)
    with torch.no_grad():
        torch.testing.assert_close(Merged(network)(lines), network(lines), rtol=1e-5, atol=1e-5)


def test_training_goes_on_without_touching_the_copy():
    network = trained()
    copy = Merged(network)
    with torch.no_grad():
        before = copy(torch.ones(1, 1, 75))
        for layer in network.kernel_layers():
            for parameter in layer.parameters():
                parameter.add_(1)
        assert torch.equal(copy(torch.ones(1, 1, 75)), before)


def test_a_module_of_its_own_is_refused():
    class Other(torch.nn.Module):
        pass

    with pytest.raises(KernbenchError, match="Other has a forward pass of its own"):
        Merged(Other())
