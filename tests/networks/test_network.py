"""The two networks: published counts, padding, the baseline as kernels, refusals. Oracles 1 and 22."""

import copy

import pytest
import torch
from retained import peak_of_update, retained_bytes
from torch import nn
from torch.nn import functional

from kernbench.conv import convolve
from kernbench.errors import KernbenchError
from kernbench.networks.field import nearest_below
from kernbench.networks.fitting import (
    architecture_of,
    check_kernel_size,
    checked_length,
    largest_kernel_size,
    layers_of,
)
from kernbench.networks.network import build, lines_at_once
from kernbench.registry import core_networks


def count(network):
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def test_published_parameter_counts():
    assert count(build("dilated", "discrete", 3)) == 137_729
    assert count(build("dilated", "siren", 3, hyper={"hidden": 12})) == 636_497
    assert count(build("shallow", "siren", 131, channels=15, hyper={"hidden": 32})) == 28_392
    assert count(build("shallow", "siren", 131, hyper={"hidden": 32})) == 55_139


@pytest.mark.parametrize("network", core_networks())
@pytest.mark.parametrize("kernel_size", [3, 5, 17])
def test_lines_keep_their_length(network, kernel_size):
    net = build(network, "discrete", kernel_size, channels=3, depth=3)
    assert net(torch.randn(2, 1, 300)).shape == (2, 1, 300)


def test_the_baseline_is_the_plain_torch_network_with_its_own_start():
    torch.manual_seed(5)
    ours = build("dilated", "discrete", 3, channels=6, depth=5, gain="published")
    torch.manual_seed(5)
    layers = []
    for level in range(5):
        inputs = 1 if level == 0 else 6
        layers += [nn.Conv1d(inputs, 6, 3, dilation=2**level), nn.BatchNorm1d(6), nn.ReLU()]
    plain = nn.Sequential(nn.ReflectionPad1d(2**5 - 1), *layers, nn.Conv1d(6, 1, 1))
    signal = torch.randn(3, 1, 200)
    for mode in (True, False):
        torch.testing.assert_close(ours.train(mode)(signal), plain.train(mode)(signal), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("backend", ["direct", "fft", "overlap_save", "auto"])
def test_the_baseline_as_zero_inserted_kernels(backend):
    """Each dilated layer as one long kernel of 2 * 2^l + 1 taps, in float64, random weights and BN statistics."""
    torch.manual_seed(0)
    net = build("dilated", "discrete", 3, channels=4).double().eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    signal = torch.randn(1, 1, 4200, dtype=torch.float64)
    with torch.no_grad():
        hidden = functional.pad(signal, (4095, 4095), mode="reflect")
        for level, block in enumerate(net.blocks):
            taps = block[0].kernel()
            kernel = taps.new_zeros(*taps.shape[:2], 2 * 2**level + 1)
            kernel[..., :: 2**level] = taps
            hidden = convolve(hidden, kernel, backend=backend) + block[0].bias[:, None]
            hidden = torch.relu(block[1](hidden))
        torch.testing.assert_close(net(signal), net.head(hidden), rtol=0, atol=1e-10)


@pytest.mark.parametrize("network", core_networks())
@pytest.mark.parametrize(("kernel_size", "depth"), [(3, 3), (9, 2), (17, 1)])
def test_the_receptive_field_is_where_gradients_are(network, kernel_size, depth):
    torch.manual_seed(0)
    net = build(network, "discrete", kernel_size, channels=8, depth=depth, backend="direct").eval()
    signal = torch.randn(16, 1, 401, requires_grad=True)
    net(signal)[..., 200].sum().backward()
    reached = signal.grad.abs().sum((0, 1)).nonzero().flatten()
    layers = layers_of(network, kernel_size, depth=depth)
    field, padding = (checked_length(network, name, layers) for name in ("receptive_field", "padding"))
    assert net.receptive_field == field == 2 * padding + 1
    assert reached.min().item() == 200 - net.padding
    assert reached.max().item() == 200 + net.padding


def test_known_receptive_fields():
    assert checked_length("dilated", "receptive_field", layers_of("dilated", 3)) == 8191
    shallow = {65: 257, 131: 521, 263: 1049, 527: 2105, 1055: 4217, 2111: 8441}
    assert {k: checked_length("shallow", "receptive_field", layers_of("shallow", k)) for k in shallow} == shallow
    assert [layer.dilation for layer in layers_of("dilated", 3)] == [2**level for level in range(12)]


def test_unit_gain_starts_every_layer_at_one():
    for family in ("discrete", "siren", "gaussian"):
        layers = build("shallow", family, 33, channels=5).kernel_layers()
        assert [layer.gain for layer in layers] == pytest.approx([1] * 4, abs=1e-6)
        assert all(layer.raw_gain != 1 for layer in layers)


def test_published_gain_leaves_the_familys_start():
    layers = build("shallow", "discrete", 33, channels=5, gain="published").kernel_layers()
    assert all(layer.gain == layer.raw_gain == pytest.approx(3**-0.5, rel=0.15) for layer in layers)


def test_the_callers_seed_decides_the_weights():
    signal = torch.randn(1, 1, 100)
    outputs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outputs.append(build("shallow", "siren", 9, channels=4).eval()(signal))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


@pytest.mark.parametrize("kernel_size", [0, -3, 2, 64, 2.0, True])
def test_a_kernel_size_that_is_not_odd_and_positive_is_refused(kernel_size):
    with pytest.raises(KernbenchError, match="odd"):
        build("shallow", "discrete", kernel_size)


def test_an_even_kernel_size_is_not_corrected_silently():
    with pytest.raises(KernbenchError, match=r"got K = 64 \(family siren\)\. Use K = 63 or 65\."):
        build("shallow", "siren", 64)


def test_padding_beyond_the_line_names_everything_and_what_to_do():
    with pytest.raises(KernbenchError) as caught:
        check_kernel_size("shallow", 1055, line_length=2048, context="family siren, study k_sweep, profile quick")
    assert str(caught.value) == (
        "K = 1055 with dilation 1 in 4 layers needs 2108 samples of padding on each side, the line has 2048 "
        "(family siren, study k_sweep, profile quick). Use K <= 1023 at this depth, or longer lines."
    )
    check_kernel_size("shallow", 1023, line_length=2048)
    assert largest_kernel_size("shallow", 2048) == 1023
    assert largest_kernel_size("shallow", 8446) == 4223


def test_padding_of_a_kernel_size_that_a_field_gave_speaks_of_the_field():
    with pytest.raises(KernbenchError) as caught:
        check_kernel_size("shallow", 1251, line_length=2048, field=5001)
    assert str(caught.value) == (
        "network.field = 5001 of network shallow: K = 1251 with dilation 1 in 4 layers needs 2500 samples of padding "
        "on each side, the line has 2048. Use network.field <= 4089, or longer lines."
    )
    assert nearest_below(architecture_of("shallow"), 4089).kernel_size == 1023
    with pytest.raises(KernbenchError, match=r"the line has 2048\. Use longer lines\.$"):  # no depth: K would grow
        check_kernel_size("dilated", 3, line_length=2048, field=9000)


def test_lines_too_short_for_the_dilated_network_get_a_depth_as_advice():
    with pytest.raises(KernbenchError, match=r"dilation 1 \.\. 2048 in 12 layers needs 4095 .* Use depth <= 11, or"):
        check_kernel_size("dilated", 3, line_length=2048 + 1)
    check_kernel_size("dilated", 3, depth=11, line_length=2049)


def test_a_line_too_short_at_run_time_is_refused():
    with pytest.raises(KernbenchError, match="at least 129 samples, got 100"):
        build("shallow", "discrete", 65, channels=2)(torch.zeros(1, 1, 100))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("shalow", "discrete", 3), "did you mean 'shallow'"),
        (("shallow", "sirren", 3), "did you mean 'siren'"),
        (("shallow", "discrete", 3, 4, {"omega": 3}), "no hyper-parameter 'omega'"),
        (("shallow", "discrete", 3, 4, None, 0), "depth must be at least 1"),
        (("shallow", "discrete", 3, 4, None, None, "unity"), "did you mean 'unit'"),
        (("shallow", "discrete", 3, 4, None, None, "unit", "ftt"), "did you mean 'fft'"),
        (("shallow", "discrete", 3, 0), "out_channels"),
    ],
)
def test_what_cannot_be_built_is_one_clear_line(arguments, message):
    with pytest.raises(KernbenchError, match=message) as caught:
        build(*arguments)
    assert "\n" not in str(caught.value)


def test_a_state_dict_of_another_omega_is_refused():
    net = build("shallow", "siren", 9, channels=2, hyper={"omega_0": 10})
    with pytest.raises(KernbenchError, match=r"hyper\.omega_0 expected 30\.0, got 10\.0"):
        build("shallow", "siren", 9, channels=2).load_state_dict(net.state_dict())
    again = build("shallow", "siren", 9, channels=2, hyper={"omega_0": 10})
    again.load_state_dict(net.state_dict())
    signal = torch.randn(1, 1, 60)
    assert torch.equal(again.eval()(signal), net.eval()(signal))


def trained_twice(network, recompute):
    """Output, gradients and buffers of a network after two batches."""
    network = copy.deepcopy(network)
    network.recompute = recompute
    signal = torch.randn(3, 1, 200, generator=torch.Generator().manual_seed(1))
    outputs = [network(signal * factor) for factor in (1, 2)]
    sum(output.square().mean() for output in outputs).backward()
    return torch.cat(outputs), [p.grad for p in network.parameters()], dict(network.named_buffers())


@pytest.mark.parametrize("family", ["discrete", "siren", "gaussian", "stencil"])
@pytest.mark.parametrize(("name", "depth"), [("shallow", 4), ("dilated", 5), ("shallow", 12)])
def test_recomputing_activations_changes_no_bit_and_counts_each_batch_once(name, depth, family):
    torch.manual_seed(2)
    network = build(name, family, 5, channels=3, depth=depth)
    plain, again = (trained_twice(network, recompute) for recompute in (False, True))
    assert torch.equal(plain[0], again[0])
    assert all(torch.equal(one, other) for one, other in zip(plain[1], again[1], strict=True))
    assert {name: buffer.tolist() for name, buffer in plain[2].items()} == {
        name: buffer.tolist() for name, buffer in again[2].items()
    }
    assert again[2]["blocks.0.1.num_batches_tracked"] == 2


@pytest.mark.parametrize("backend", ["fft", "overlap_save"])
@pytest.mark.parametrize("part_bytes", [None, 2**12])
@pytest.mark.parametrize("family", ["discrete", "siren"])
def test_spectra_that_are_made_again_change_no_bit(family, backend, part_bytes, monkeypatch):
    if part_bytes:  # kernel and lines in many parts
        monkeypatch.setattr("kernbench.conv.spectral.KERNEL_PART_BYTES", part_bytes)
        monkeypatch.setattr("kernbench.conv.spectral.LINES_PART_BYTES", part_bytes)
    torch.manual_seed(2)
    network = build("shallow", family, 17, channels=6, backend=backend)
    plain, again = (trained_twice(network, recompute) for recompute in (False, True))
    assert torch.equal(plain[0], again[0])
    assert all(torch.equal(one, other) for one, other in zip(plain[1], again[1], strict=True))


def test_a_graph_of_recomputed_activations_can_be_walked_twice():
    torch.manual_seed(2)
    network = build("shallow", "siren", 5, channels=3)
    network.recompute = True
    output = network(torch.randn(2, 1, 100)).square().mean()
    first = torch.autograd.grad(output, network.head.weight, retain_graph=True)
    assert torch.equal(*first, *torch.autograd.grad(output, network.head.weight))
    deepest = next(iter(network.parameters()))
    assert torch.autograd.grad(network(torch.randn(2, 1, 100)).sum(), deepest)[0].isfinite().all()


@pytest.mark.parametrize(("name", "kernel_size", "channels"), [("dilated", 3, 16), ("shallow", 65, 16)])
def test_recomputing_keeps_less_than_half(name, kernel_size, channels):
    network = build(name, "siren", kernel_size, channels=channels)
    signal = torch.randn(2, 1, 8446)
    plain = retained_bytes(lambda: network(signal))
    network.recompute = True
    assert retained_bytes(lambda: network(signal)) < plain / 2


@pytest.mark.parametrize(
    ("name", "family", "kernel_size", "channels", "batch"),
    [
        ("dilated", "discrete", 3, 16, 2),
        ("dilated", "siren", 3, 16, 2),
        ("shallow", "siren", 65, 22, 8),
        ("shallow", "discrete", 527, 22, 4),
        ("shallow", "siren", 2111, 22, 2),
    ],
)
def test_recomputing_halves_the_peak_memory_of_an_update(name, family, kernel_size, channels, batch, tmp_path):
    torch.manual_seed(0)
    network = build(name, family, kernel_size, channels=channels)
    voltage, counts = torch.randn(batch, 1, 8446), (torch.rand(batch, 1, 8446) < 0.05).float()
    plain = peak_of_update(network, voltage, counts, tmp_path / "plain.json")
    network.recompute = True
    again = peak_of_update(network, voltage, counts, tmp_path / "again.json")
    # no empty trace: autograd keeps an input and an output of BatchNorm in each layer
    assert plain > 2 * (len(network.blocks) - 1) * voltage.nbytes * channels
    assert again <= plain / 2


@pytest.mark.parametrize(
    ("name", "channels", "length", "lines"),
    [("dilated", 64, 8446, 2), ("shallow", 8, 2048, 32), ("shallow", 22, 8446, 16), ("dilated", 4096, 8446, 1)],
)
def test_lines_at_once_stay_in_the_cache_of_a_cpu(name, channels, length, lines):
    network = build(name, "discrete", 3, channels=1)
    for layer in network.kernel_layers():
        object.__setattr__(layer.spec, "out_channels", channels)
    assert lines_at_once(network, length, "cpu") == lines
    assert lines_at_once(network, length, "cuda:0") == 32
