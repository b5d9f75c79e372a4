"""Network `strided`: against a hand-made strided convolution and shuffle."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

import kernbench
from kernbench.conv.backends import BACKENDS
from kernbench.networks import at_rate, build
from kernbench.networks.cost import flops_forward, layer_costs, parameter_count
from kernbench.networks.fitting import check_kernel_size, largest_kernel_size
from kernbench.networks.network import needed_length, set_recompute
from kernbench.registry import find_network
from kernbench.report.analyses import spectrum
from kernbench.report.analyses.receptive_field import rows_of
from kernbench.ulm.cells.artifacts import kernels_of

PLAN = find_network("strided").architecture
FAMILIES = ("discrete", "siren", "gaussian", "stencil", "s4d", "dcls")


def strided(stride, family="discrete", size=5, channels=3, depth=3, **options):
    torch.manual_seed(4)
    return build(replace(PLAN, stride=stride), family, size, channels, depth=depth, **options)


@pytest.mark.parametrize("family", FAMILIES)
def test_stride_one_is_the_shallow_network_bit_for_bit(family):
    torch.manual_seed(4)
    shallow, own = build("shallow", family, 9, 3, depth=3), strided(1, family, 9)
    for name, value in shallow.state_dict().items():
        assert torch.equal(own.state_dict()[name], value), name
    signal = torch.randn(2, 1, 90)
    for training in (True, False):
        outputs = [each.train(training)(signal) for each in (shallow, own)]
        assert torch.equal(*outputs)
    outputs[0].sum().backward()
    outputs[1].sum().backward()
    for one, other in zip(shallow.parameters(), own.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)
    assert (own.padding, own.receptive_field, own.reach) == (shallow.padding, shallow.receptive_field, (12, 12))


@pytest.mark.parametrize("length", [96, 97, 98, 99])
@pytest.mark.parametrize("stride", [2, 3, 4])
def test_scores_are_those_of_torch_convolutions_with_a_stride_and_of_pixel_shuffle(stride, length):
    network, signal = strided(stride).double().eval(), torch.randn(2, 1, length).double()
    first = (stride - 1) // 2
    reach = 2 + stride * (2 + 2)
    more = -length % stride  # to a multiple of the stride
    hidden = functional.pad(signal, (reach, reach + more), mode="reflect")[..., first:]
    for step, block in zip((stride, 1, 1), network.blocks, strict=True):
        layer, norm, _ = block.children()
        hidden = functional.relu(norm(functional.conv1d(hidden, layer.kernel(), layer.bias, stride=step)))
    phases = network.head(hidden)[..., : -(-length // stride)]
    # pixel_shuffle with a square of s x s places, of which one row is ours
    square = torch.cat([phases, phases.new_zeros(2, stride * (stride - 1), phases.shape[-1])], dim=1)
    expected = functional.pixel_shuffle(square[:, :, None], stride)[:, :, 0, :length]
    scores = network(signal)
    assert scores.shape == signal.shape
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_parameters_and_operations_by_hand(stride):
    size, channels, depth, length = 5, 3, 3, 101
    network = strided(stride)
    weights = size * channels + (depth - 1) * size * channels**2
    assert parameter_count(network) == weights + depth * 3 * channels + stride * (channels + 1)
    short = -(-length // stride)
    first = length + 2 * network.padding - (stride - 1) // 2
    taken = [first, short + 8, short + 4]
    assert network.layer_lengths(length) == taken
    given = [first - 4, short + 4, short]
    by_hand = [2 * size * channels * ins * n for ins, n in zip((1, channels, channels), given, strict=True)]
    assert [cost.flops("direct") for cost in layer_costs(network, length)] == by_hand
    # the last 1x1 convolution works at the low rate, for s channels
    assert flops_forward(network, length) == sum(by_hand) + 2 * channels * stride * short


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_field_and_padding_are_those_of_the_gradients(stride):
    network = strided(stride, backend="direct").double()  # an FFT leaves rounding everywhere
    reach = 2 + stride * (2 + 2)
    assert (network.receptive_field, network.padding) == (1 + 2 * reach, reach + (stride - 1) // 2)
    lines = torch.randn(30, 1, 120, dtype=torch.float64, requires_grad=True)  # many: a ReLU may close an end
    network.eval()
    lags = []
    for place in range(60, 60 + stride):
        (gradient,) = torch.autograd.grad(network(lines)[:, 0, place].sum(), lines)
        seen = gradient.abs().sum(dim=(0, 1)).nonzero().flatten() - place
        assert int(seen.max() - seen.min()) + 1 == network.receptive_field
        lags += seen.tolist()
    assert (-min(lags), max(lags)) == network.reach
    (row,) = rows_of({"trained": network}, torch.randn(4, 120, dtype=torch.float64))["receptive_field"]
    assert (row["before"], row["behind"]) == network.reach
    assert row["outside"] == 0


@pytest.mark.parametrize("stride", [2, 3])
def test_the_network_commutes_with_shifts_by_its_stride_and_by_no_fewer(stride):
    network, line = strided(stride).double().eval(), torch.randn(1, 1, 120).double()
    whole, inside = network(line), slice(40, 70)
    for shift in range(1, stride + 1):
        moved = (network(line[..., shift:])[..., inside] - whole[..., shift:][..., inside]).abs().max()
        assert (moved < 1e-12) == (shift == stride)


def test_short_lines_are_refused_and_the_shortest_ones_are_not():
    network = strided(3).eval()
    least, _ = needed_length(network)
    assert least == network.padding + 1
    assert network(torch.randn(1, 1, least)).shape == (1, 1, least)
    with pytest.raises(kernbench.KernbenchError, match=f"lines need at least {least} samples, got {least - 1}"):
        network(torch.randn(1, 1, least - 1))
    largest = largest_kernel_size("strided", 512, 4)
    # (K - 1) / 2 (1 + 2 + 2 + 2) samples on each side
    assert largest == 2 * (511 // 7) + 1
    with pytest.raises(kernbench.KernbenchError, match="padding"):
        check_kernel_size("strided", largest + 2, 4, 512)


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "auto"])
def test_every_backend_gives_the_same(backend):
    signal = torch.randn(2, 1, 101)
    exact = strided(2).double().eval()(signal.double())
    torch.testing.assert_close(strided(2, backend=backend).eval()(signal).double(), exact, rtol=1e-4, atol=1e-4)


def test_activations_are_computed_again_bit_for_bit():
    found = []
    for again in (False, True):
        network = strided(2, "siren", 9)
        set_recompute(network, again)
        assert network.recompute == again
        torch.manual_seed(5)
        network(torch.randn(2, 1, 100)).square().sum().backward()
        found.append([*network.buffers(), *(each.grad for each in network.parameters())])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_layers_at_the_low_rate_know_their_rate():
    rates = [layer.spec.sample_rate for layer in strided(2).kernel_layers()]
    assert rates == [62.5e6, 31.25e6, 31.25e6]


def test_what_needs_layers_in_a_row_is_refused():
    with pytest.raises(kernbench.KernbenchError, match="cannot be moved to another sampling rate"):
        at_rate(strided(2), 2)


@pytest.mark.parametrize("stride", [0, -1, 1.5, True])
def test_a_stride_is_a_whole_number(stride):
    with pytest.raises(kernbench.KernbenchError, match="stride must be a whole number >= 1"):
        replace(PLAN, stride=stride)


def test_the_example_of_another_stride_is_a_network(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")
    (tmp_path / "net.py").write_text(
        next(each for each in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "Strided" in each),
        encoding="utf-8",
    )
    network = build(find_network(f"{tmp_path}/net.py").architecture, "discrete", 5, 2)
    assert network.strides() == [4, 1, 1, 1]


def test_frequencies_in_megahertz_are_those_of_the_rate_of_a_layer():
    network = strided(2)
    cell = SimpleNamespace(network=network, kernels=lambda: kernels_of(network), kernels_before=lambda: None)
    rows = spectrum.measure(cell)["spectrum"]
    assert [row["centroid_mhz"] / row["centroid"] for row in rows] == pytest.approx([62.5, 31.25, 31.25])
