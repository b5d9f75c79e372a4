"""Network `ckblock` against its formula in plain torch, and without its skip against the plain network."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional

import kernbench
from kernbench.networks.cost import parameter_count
from kernbench.networks.network import build
from kernbench.registry import find_network

CKBLOCK = find_network("ckblock").architecture
K, C = 5, 4


def with_dropout(dropout, depth=1, seed=0):
    torch.manual_seed(seed)
    return build(dataclasses.replace(CKBLOCK, dropout=dropout), "discrete", K, C, depth=depth)


def test_two_blocks_are_the_formula_in_plain_torch():
    network = with_dropout(0.0, depth=2).double().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    line = torch.randn(2, 1, 60, dtype=torch.float64)
    hidden = functional.pad(line, (8, 8), mode="reflect")
    for number, block in enumerate(network.blocks):
        inner = hidden
        for layer, norm in ((block.first, block.first_norm), (block.second, block.second_norm)):
            inner = torch.relu(norm(functional.conv1d(inner, layer.kernel(), layer.bias)))
        past = hidden[..., 4:-4]
        past = functional.conv1d(past, block.past.weight, block.past.bias) if number == 0 else past
        hidden = torch.relu(inner + past)
    torch.testing.assert_close(network(line), network.head(hidden), rtol=0, atol=1e-12)


def test_a_block_that_lets_nothing_past_is_two_plain_layers():
    ours = with_dropout(0.0)
    torch.manual_seed(0)
    plain = build(kernbench.Architecture("row", 2, C, K), "discrete", K, C)
    with torch.no_grad():
        for parameter in ours.blocks[0].past.parameters():
            parameter.zero_()
        plain.head.load_state_dict(ours.head.state_dict())  # it is drawn after the 1x1 convolution
    signal = torch.randn(3, 1, 60)
    for mode in (True, False):
        assert torch.equal(ours.train(mode)(signal), plain.train(mode)(signal))
    assert parameter_count(ours) == parameter_count(plain) + 2 * C
    assert ours.receptive_field == plain.receptive_field


def test_dropout_drops_in_training_alone():
    dropped, kept = with_dropout(0.5), with_dropout(0.0)
    signal = torch.randn(2, 1, 60)
    assert not torch.equal(dropped.train()(signal), dropped(signal))
    assert torch.equal(kept.train()(signal), kept(signal))
    fresh, usual = with_dropout(0.5), with_dropout(0.0)
    assert torch.equal(fresh.eval()(signal), usual.eval()(signal))


@pytest.mark.parametrize("dropout", [-0.1, 1.0, True, "half"])
def test_what_is_no_share_is_refused(dropout):
    with pytest.raises(kernbench.KernbenchError, match=r"dropout must be a number in \[0, 1\), got"):
        dataclasses.replace(CKBLOCK, dropout=dropout)
