"""What the bundled networks share: length, field, parameters, operations, shifts, backends, recomputation, weights."""

import copy
import dataclasses
import itertools
import json
import re
from pathlib import Path

import pytest
import torch
from small_weights import facts_of, used
from torch import nn

from kernbench.analysis.receptive_field import measured_field
from kernbench.errors import KernbenchError
from kernbench.networks.boundary import bounded
from kernbench.networks.cost import flops_forward, layer_costs, parameter_count
from kernbench.networks.fitting import check_kernel_size, checked_length, largest_kernel_size, layers_of
from kernbench.networks.merged import Merged
from kernbench.networks.network import build, set_recompute
from kernbench.networks.rates import at_rate
from kernbench.networks.sided import on_side
from kernbench.networks.spread import network_asked
from kernbench.networks.weights import save_weights
from kernbench.registry import find_network
from kernbench.report.analyses.receptive_field import reach_of
from kernbench.store.reading.runs import load_runs
from kernbench.ulm.evaluation.trained import load_trained

K, C, DEPTH = 5, 4, 2
# of two blocks at K = 5, by hand: 4 (K - 1) T + ...
FIELDS = {
    "recurrent": 1 + 2 * (1 + 3) * 4,  # f once and r three times in each block
    "ckblock": 1 + 2 * 2 * 4,  # two layers in each block
    "level_set": 1 + 2 * (4 + 2 * 8),  # a layer and 8 steps of one sample to both sides
}
# `discrete`: kernels, biases, norms, and what else there is; last the 1x1 convolution
PARAMETERS = {
    "recurrent": (K * (C + 3 * C * C)) + 4 * C + 2 * 2 * C + (C + 1),
    "ckblock": (K * (C + 3 * C * C)) + 4 * C + 4 * 2 * C + 2 * C + (C + 1),
    "level_set": (K * (C + C * C)) + 2 * C + 2 * 2 * C + 2 * (8 * 2 * C) + (C + 1),
}
L = 100
# 2 C' C K for each output of a layer; lines come out 4 shorter of each, beginning with L + field - 1
OPERATIONS = {
    "recurrent": 2 * K * C * (L + 28)
    + 2 * K * C * C * ((L + 24) + (L + 20) + (L + 16))
    + 2 * K * C * C * ((L + 12) + (L + 8) + (L + 4) + L)
    + 2 * C * L,
    "ckblock": 2 * K * C * (L + 12)
    + 2 * K * C * C * ((L + 8) + (L + 4) + L)
    + 2 * C * (L + 8)  # the first block's 1x1 past it
    + 2 * C * L,
    # each step gives two samples less; 16 operations an output
    "level_set": 2 * K * C * (L + 36)
    + 2 * K * C * C * (L + 16)
    + 16 * C * sum(range(L + 20, L + 35, 2))
    + 16 * C * sum(range(L, L + 15, 2))
    + 2 * C * L,
}
NAMES = tuple(FIELDS)
FAMILIES = ("discrete", "siren", "gaussian", "stencil", "s4d", "dcls")


def made(name, family="discrete", kernel_size=K, seed=0, backend="auto", **changes):
    """A small network of double precision in evaluation, with norms that do something."""
    torch.manual_seed(seed)
    plan = dataclasses.replace(find_network(name).architecture, **changes)
    network = build(plan, family, kernel_size, C, depth=DEPTH, backend=backend).double().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return network


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kernel_size", [1, 3, 17])
def test_lines_keep_their_length(name, kernel_size):
    network = build(name, "siren", kernel_size, C, depth=3)
    for length in (network.padding + 1, 400):
        assert network(torch.randn(2, 1, length)).shape == (2, 1, length)
    with pytest.raises(KernbenchError, match=f"at least {network.padding + 1} samples"):
        network(torch.randn(2, 1, network.padding))


@pytest.mark.parametrize("name", NAMES)
def test_the_field_is_what_the_formula_says_and_where_gradients_are(name):
    network = made(name, "siren", backend="direct")
    if name == "level_set":  # so that each step looks to a side in some channel, and to the other in another one
        with torch.no_grad():
            for block in network.blocks:
                block.speeds[:, 0] = torch.tensor([[0.5], [-0.5], [0.4], [-0.4]])
    reach = FIELDS[name] // 2
    layers = layers_of(name, K, C, DEPTH)
    assert network.receptive_field == checked_length(name, "receptive_field", layers) == FIELDS[name]
    assert network.padding == checked_length(name, "padding", layers) == reach
    assert reach_of(network) == (reach, reach)
    lines = torch.randn(64, FIELDS[name] + 60, dtype=torch.float64)
    field = measured_field(network, lines, reach_of(network), positions=4)
    assert field.outside == 0
    assert field.mass[0] > 0
    assert field.mass[-1] > 0


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_counted_in_closed_form(name):
    network = build(name, "discrete", K, C, depth=DEPTH)
    assert parameter_count(network) == PARAMETERS[name]


@pytest.mark.parametrize("name", NAMES)
def test_operations_are_those_counted_by_hand(name):
    network = build(name, "discrete", K, C, depth=DEPTH)
    assert flops_forward(network, L, "direct") == OPERATIONS[name]
    uses = [cost.uses for cost in layer_costs(network, L)]
    assert uses == {"recurrent": [1, 3, 1, 3], "ckblock": [1] * 4, "level_set": [1] * 2}[name]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shift", [1, 7])
def test_a_shifted_line_gives_the_shifted_output(name, shift):
    network = made(name)
    line = torch.randn(2, 1, 300, dtype=torch.float64)
    margin = network.padding
    with torch.no_grad():
        whole, later = network(line), network(line[..., shift:])
    inside = slice(margin, 300 - shift - margin)
    torch.testing.assert_close(later[..., inside], whole[..., shift:][..., inside], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("backend", ["fft", "overlap_save", "fft_conv", "auto"])
@pytest.mark.parametrize("layer", ["plain", "separable", "branches"])
def test_backends_and_forms_of_layers_agree(name, backend, layer):
    outputs = []
    for each in ("direct", backend):
        torch.manual_seed(0)
        network = build(name, "gaussian", 9, C, depth=DEPTH, backend=each, layer=layer)
        line = torch.linspace(-1, 1, 200).sin().view(1, 1, -1) + torch.linspace(0, 40, 200).cos()
        for mode in (True, False):
            network.train(mode)
            outputs.append(network(line).detach())
    for direct, other in zip(outputs[:2], outputs[2:], strict=True):
        torch.testing.assert_close(other, direct, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "changes"), [*((name, {}) for name in NAMES), ("ckblock", {"dropout": 0.3})])
@pytest.mark.parametrize("backend", ["direct", "fft"])
@pytest.mark.parametrize("layer", ["plain", "branches"])
def test_computing_activations_again_changes_no_bit(name, changes, backend, layer):
    plan = dataclasses.replace(find_network(name).architecture, **changes)
    torch.manual_seed(0)
    usual = build(plan, "siren", 9, C, depth=3, backend=backend, layer=layer).train()
    again = copy.deepcopy(usual)
    set_recompute(again, True)
    line, found = torch.randn(3, 1, 150), []
    for network in (usual, again):
        torch.manual_seed(1)
        output = network(line)
        output.square().sum().backward()
        gradients = [parameter.grad for parameter in network.parameters()]
        found.append([output, *gradients, *network.buffers()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_saved_and_loaded(name, tmp_path):
    network = used(build(name, "siren", 9, C, depth=DEPTH))
    facts = facts_of(network, name)
    facts["network"]["depth"] = DEPTH  # blocks, not layers
    save_weights(tmp_path / "weights.pt", network, facts)
    line = torch.randn(2, 1, 300)
    with torch.no_grad():
        assert torch.equal(load_trained(tmp_path / "weights.pt").network(line), network(line))


@pytest.mark.parametrize("name", NAMES)
def test_settings_that_alter_layers_in_a_row_are_refused_and_others_are_not(name):
    plan = find_network(name).architecture
    for altered in (on_side(plan, "causal"), bounded(plan, "zero", "input"), bounded(plan, "mirror", "layer")):
        with pytest.raises(KernbenchError, match="pads lines by itself"):
            build(altered, "discrete", K, C)
    network = build(plan, "discrete", K, C)
    for change in (lambda: at_rate(network, 2), lambda: Merged(network)):
        with pytest.raises(KernbenchError, match="of its own"):
            change()
    apart = build(network_asked({"name": name, "reach": 8}), "discrete", 3, C, depth=DEPTH)
    assert apart.receptive_field == build(name, "discrete", 9, C, depth=DEPTH).receptive_field


@pytest.mark.parametrize("name", NAMES)
def test_kernel_sizes_that_no_line_can_pad_are_refused(name):
    largest = largest_kernel_size(name, 512)
    check_kernel_size(name, largest, line_length=512)
    with pytest.raises(KernbenchError, match=f"Use K <= {largest} at this depth"):
        check_kernel_size(name, largest + 2, line_length=512)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_listed_and_described(name, bench):
    plan = find_network(name).architecture
    assert any(
        line.startswith(name) and plan.description in line for line in bench.run("list", "networks").out.split("\n")
    )
    described = bench.run("describe", "discrete", "--network", name, "--kernel-size", str(K), "--channels", str(C))
    assert f"receptive field {FIELDS[name]} samples" in described.out
    assert plan.source in described.out
    assert f"parameters in all: {PARAMETERS[name]:,}" in described.out


def test_the_page_describes_each_and_its_example_works(tmp_path):
    page = (Path(__file__).resolve().parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")
    assert {f"## {name}\n" in page for name in NAMES} == {True}
    (tmp_path / "mine.py").write_text(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], encoding="utf-8")
    assert build(f"{tmp_path}/mine.py:recurrent_5", "discrete", K, C, depth=1).receptive_field == 1 + 6 * (K - 1)


@pytest.mark.slow
def test_they_train_with_each_kind_of_family_and_their_weights_are_evaluated(plain_bench):
    text = f"version = 1\n[axes]\nkernel_size = [9]\nname = {json.dumps(NAMES)}\n"
    (plain_bench.folder / "nets.toml").write_text(text, encoding="utf-8")
    run = ("run", "--study", "nets.toml", "--profile", "smoke", "--no-baselines", "--plugin", ",".join(FAMILIES))
    ended = plain_bench.run(*run)
    assert ended.code == 0, ended
    runs = load_runs(plain_bench.url)
    trained = [(each.family, load_trained(each.artifacts["weights.pt"])) for each in runs]
    assert sorted((family, each.facts["network"]["name"]) for family, each in trained) == sorted(
        itertools.product(FAMILIES, NAMES)
    )
    for each in runs[: len(NAMES)]:
        weights = str(each.artifacts["weights.pt"])
        digest = torch.load(weights, weights_only=True)["facts"]["data"]["test"]
        again = plain_bench.run("evaluate", "--weights", weights, "--data", digest)
        assert again.code == 0, again
        hits, alarms, missed = (getattr(each.scores["test"], name)[each.tolerance] for name in ("tp", "fp", "fn"))
        assert f"{(2 * hits / (2 * hits + alarms + missed)).mean():.4f}" in again.out
