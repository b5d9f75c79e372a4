"""Network `unet1d`: against the same network on a whole line without cuts, with zeros of no account at its ends."""

import pytest
import torch
from torch.nn import functional

import kernbench
from kernbench.conv.backends import BACKENDS
from kernbench.networks import build
from kernbench.networks.cost import flops_forward, layer_costs, parameter_count
from kernbench.networks.fitting import check_kernel_size, largest_kernel_size
from kernbench.networks.network import needed_length, set_recompute
from kernbench.report.analyses.receptive_field import rows_of

PERIOD = 4


def unet(family="discrete", size=5, channels=3, depth=1, **options):
    torch.manual_seed(4)
    return build("unet1d", family, size, channels, depth=depth, **options)


def by_torch(network, line, depth):
    """The network with layers that keep their length by zeros: inside, where no zero is seen, it is the same."""
    places = [network.blocks[place * depth : (place + 1) * depth] for place in range(5)]

    def at(place, hidden):
        for block in places[place]:
            layer, norm, _ = block.children()
            around = (layer.spec.kernel_size - 1) // 2
            convolved = functional.conv1d(functional.pad(hidden, (around, around)), layer.kernel(), layer.bias)
            hidden = functional.relu(norm(convolved))
        return hidden

    def up(coarse, skip):
        return torch.cat([skip, functional.interpolate(coarse, scale_factor=2, mode="nearest")], dim=1)

    full = at(0, line)
    half = at(1, full[..., ::2])
    deep = at(2, half[..., ::2])
    return network.head(at(4, up(at(3, up(deep, half)), full)))


@pytest.mark.parametrize(("size", "depth"), [(1, 1), (3, 1), (5, 1), (3, 2), (5, 2)])
def test_inside_a_line_it_is_the_textbook_network(size, depth):
    network, line = unet(size=size, depth=depth).double().eval(), torch.randn(2, 1, 400).double()
    inside = slice(network.padding + PERIOD, -network.padding - PERIOD)
    expected = by_torch(network, line, depth)[..., inside]
    torch.testing.assert_close(network(line)[..., inside], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("length", [96, 97, 98, 99])
def test_at_the_ends_it_sees_the_mirror_image(length):
    network, line = unet(depth=2).double().eval(), torch.randn(1, 1, length).double()
    before = 80  # a multiple of four: samples stand at the places that they have in the line
    longer = functional.pad(line, (before, 83), mode="reflect")
    scores = network(line)
    assert scores.shape == line.shape
    assert network.padding <= before
    expected = network(longer)[..., before : before + length]
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("size", "depth"), [(3, 1), (5, 1), (7, 2)])
def test_field_and_padding_by_formula_and_by_gradients(size, depth):
    network = unet(size=size, depth=depth, backend="direct").double().eval()  # an FFT leaves rounding everywhere
    side = depth * (size - 1) // 2
    # all reach the same: 20 side + 1 samples where that is even, two more where it is odd
    assert network.receptive_field == 20 * side + 1 + 2 * (side % 2)
    lines = torch.randn(30, 1, 800, dtype=torch.float64, requires_grad=True)  # many: a ReLU may close an end
    sizes, lags = [], []
    for place in range(400, 400 + PERIOD):
        (gradient,) = torch.autograd.grad(network(lines)[:, 0, place].sum(), lines)
        seen = gradient.abs().sum(dim=(0, 1)).nonzero().flatten() - place
        sizes.append(int(seen.max() - seen.min()) + 1)
        lags += seen.tolist()
    assert max(sizes) == network.receptive_field
    assert (-min(lags), max(lags)) == network.reach
    (row,) = rows_of({"trained": network}, torch.randn(4, 800, dtype=torch.float64))["receptive_field"]
    assert row["outside"] == 0
    assert network.padding == 10 * side + side % PERIOD


@pytest.mark.parametrize(("size", "depth"), [(3, 1), (5, 2)])
def test_parameters_and_operations_by_hand(size, depth):
    channels, length = 3, 101
    network = unet(size=size, channels=channels, depth=depth)
    pairs = channels + 2 * channels**2 + 2 * 2 * channels**2 + 5 * (depth - 1) * channels**2
    assert parameter_count(network) == size * pairs + 5 * depth * 3 * channels + channels + 1
    costs = layer_costs(network, length)
    taken = network.layer_lengths(length)
    by_hand = [
        2 * size * channels * cost.spec.in_channels * (n - size + 1) for cost, n in zip(costs, taken, strict=True)
    ]
    assert [cost.flops("direct") for cost in costs] == by_hand
    assert flops_forward(network, length) == sum(by_hand) + 2 * channels * length


def test_lengths_of_the_places_by_hand():
    # 16 outputs, K = 3: up at full rate takes -1 .. 16, of half the rate -1 .. 8, taken from -2 .. 9 there;
    # a quarter of the rate gives -1 .. 4 and takes -2 .. 5, half of it keeps -4 .. 10 and takes -5 .. 11; full rate
    # keeps -10 .. 22 and takes -11 .. 23
    assert unet(size=3).layer_lengths(16) == [35, 17, 8, 12, 18]


def test_the_network_commutes_with_shifts_by_four_and_by_no_fewer():
    network, line = unet().double().eval(), torch.randn(1, 1, 300).double()
    whole, inside = network(line), slice(120, 170)
    for shift in range(1, PERIOD + 1):
        moved = (network(line[..., shift:])[..., inside] - whole[..., shift:][..., inside]).abs().max()
        assert (moved < 1e-12) == (shift == PERIOD)


def test_short_lines_are_refused_and_the_shortest_ones_are_not():
    network = unet().eval()
    least, _ = needed_length(network)
    assert network(torch.randn(1, 1, least)).shape == (1, 1, least)
    with pytest.raises(kernbench.KernbenchError, match=f"lines need at least {least} samples, got {least - 1}"):
        network(torch.randn(1, 1, least - 1))
    largest = largest_kernel_size("unet1d", 512, 1)
    check_kernel_size("unet1d", largest, 1, 512)
    with pytest.raises(kernbench.KernbenchError, match="padding"):
        check_kernel_size("unet1d", largest + 2, 1, 512)


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "auto"])
def test_every_backend_gives_the_same(backend):
    signal = torch.randn(2, 1, 201)
    exact = unet().double().eval()(signal.double())
    torch.testing.assert_close(unet(backend=backend).eval()(signal).double(), exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("depth", [1, 3])
def test_activations_are_computed_again_bit_for_bit(depth):
    found = []
    for again in (False, True):
        network = unet("siren", 3, depth=depth)
        set_recompute(network, again)
        torch.manual_seed(5)
        network(torch.randn(2, 1, 200)).square().sum().backward()
        found.append([*network.buffers(), *(each.grad for each in network.parameters())])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_layers_know_their_rate_and_which_outputs_go_on():
    network = unet(depth=2)
    rates = [62.5e6 / layer.spec.sample_rate for layer in network.kernel_layers()]
    assert rates == [1, 1, 2, 2, 4, 4, 2, 2, 1, 1]
    assert network.strides() == [1, 2, 1, 2, 1, 1, 1, 1, 1, 1]
