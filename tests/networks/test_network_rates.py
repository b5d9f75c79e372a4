"""Networks at another sampling rate: the same kernels at the same lags; oracles 19 and 20 of coarser grids."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from kernbench.analysis.spectrum import energy_above
from kernbench.errors import KernbenchError
from kernbench.kernels.base import KernelSpec
from kernbench.kernels.layer import KernelConv
from kernbench.kernels.tap_filter import filter_weights
from kernbench.networks.network import Network, build
from kernbench.networks.rates import LayerAtRate, at_rate, layer_changes
from kernbench.networks.spread import network_asked
from kernbench.registry import find_family


def network(name="shallow", family="discrete", size=9, hyper=None, **sizes):
    torch.manual_seed(0)
    net = build(name, family, size, hyper=hyper, **{"channels": 3, "depth": 3} | sizes)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return net.eval()


def layer(family, size, hyper=None, **fields):
    torch.manual_seed(0)
    spec = KernelSpec(2, 2, kernel_size=size, **fields)
    return KernelConv(find_family(family).build(spec, hyper), spec).double().eval()


def band_limited(samples, factor, highest=0.02):
    """A sum of cosines up to a frequency [cycles per training sample], sampled `factor` times as often."""
    rng = np.random.default_rng(3)
    time = np.arange(samples * factor) / factor
    waves = zip(rng.uniform(0, highest, 12), rng.uniform(0, 6.28, 12), strict=True)
    return torch.tensor(sum(np.cos(6.2831853 * f * time + phase) for f, phase in waves)).view(1, 1, -1)


@pytest.mark.parametrize(("name", "size"), [("shallow", 9), ("dilated", 3)])
def test_at_the_rate_of_training_the_outputs_are_the_same_bits(name, size):
    net = network(name, size=size)
    lines = torch.randn(2, 1, 120)
    same = at_rate(net, 1)
    with torch.no_grad():
        assert torch.equal(same(lines), net(lines))
    assert (same.padding, same.receptive_field) == (net.padding, net.receptive_field)


@pytest.mark.parametrize("family", ["discrete", "gaussian", "siren"])
@pytest.mark.parametrize("form", ["plain", "separable"])
@pytest.mark.parametrize("factor", [0.5, 2])
def test_kernels_of_one_tap_are_the_same_at_any_rate(family, form, factor):
    net = network(family=family, size=1, layer=form)
    moved, lines = at_rate(net, factor), torch.randn(2, 1, 40)
    with torch.no_grad():
        assert torch.equal(moved(lines), net(lines))
    assert [(each.taps, each.spacing, each.dilation, each.dc_drift) for each in layer_changes(net, moved)] == [
        (1, 1, 1, 0)
    ] * 3


@pytest.mark.parametrize(("name", "size"), [("shallow", 9), ("dilated", 3), ("dilated", 5)])
@pytest.mark.parametrize("factor", [0.25, 0.5, 2, 3])
def test_lines_of_another_rate_keep_their_length(name, size, factor):
    moved = at_rate(network(name, size=size), factor)
    assert moved(torch.randn(2, 1, 300)).shape == (2, 1, 300)
    assert moved.receptive_field == 2 * moved.padding + 1


def test_a_dilated_layer_keeps_its_taps_and_moves_them():
    net = network("dilated", size=3, depth=4)  # dilation 1, 2, 4, 8
    sizes = {
        f: [(one.spec.kernel_size, one.spec.dilation) for one in at_rate(net, f).kernel_layers()] for f in (0.5, 2)
    }
    assert sizes == {2: [(5, 1), (3, 4), (3, 8), (3, 16)], 0.5: [(1, 1), (3, 1), (3, 2), (3, 4)]}
    with torch.no_grad():
        for old, new in zip(net.kernel_layers()[1:], at_rate(net, 2).kernel_layers()[1:], strict=True):
            assert torch.equal(new.kernel(), old.kernel())


def test_a_dilation_that_cannot_be_halved_is_coarsened():
    old = layer("discrete", 9, dilation=3)
    new = LayerAtRate(old, 1, 2)
    assert (new.spec.kernel_size, new.spec.dilation, new.spacing) == (5, 3, 2)  # lags 6 apart are 3 samples of it
    torch.testing.assert_close(new.kernel(), 2 * old.kernel()[..., ::2], rtol=0, atol=0)


def test_parameters_are_shared_and_modes_are_not():
    net = network().train()
    moved = at_rate(net, 2)
    assert net.training
    assert not any(module.training for module in moved.modules())
    assert [id(each) for each in moved.parameters()] == [id(each) for each in net.parameters()]
    lines = torch.randn(1, 1, 80)
    with torch.no_grad():
        before = moved(lines)
        net.blocks[0][0].kernel_module.weight.mul_(2)
        net.blocks[0][1].running_mean.add_(1)
        assert not torch.allclose(moved(lines), before)


@pytest.mark.parametrize(
    ("family", "hyper", "sizes", "bound"),
    [("gaussian", {"centres": 1}, (17, 65), 1e-3), ("siren", {"omega_0": 3.0}, (65, 257), 2e-2)],
)
def test_every_second_output_at_twice_the_rate_is_that_of_training(family, hyper, sizes, bound):
    """The sum goes over to the integral: what is left are the ends of the kernel, half a tap step of each."""
    errors = []
    for size in sizes:
        old = layer(family, size, hyper)
        signals = [band_limited(400, factor).expand(1, 2, -1) for factor in (1, 2)]
        with torch.no_grad():
            slow, fast = old(signals[0]), LayerAtRate(old, 2, 1).eval()(signals[1])[..., ::2]
        common = slow.shape[-1]
        errors.append(float((fast[..., :common] - slow).norm() / (slow - slow.mean()).norm()))
    assert errors[0] < bound
    assert errors[1] < 0.5 * errors[0]


def test_a_network_of_smooth_kernels_sees_the_same_at_twice_the_rate():
    net = network(family="gaussian", size=33, hyper={"centres": 1}).double()
    with torch.no_grad():
        slow = net(band_limited(600, 1))[0, 0]
        fast = at_rate(net, 2)(band_limited(600, 2))[0, 0, ::2]
    inner = slice(net.padding, -net.padding)  # mirrored ends lie between samples
    error = (fast - slow)[inner].norm() / (slow - slow.mean())[inner].norm()
    assert error < 2e-2


def test_discrete_kernels_are_straight_lines_at_twice_the_rate_and_every_second_tap_at_half():
    old = layer("discrete", 17)
    weight = old.kernel().detach()
    fine, coarse = (LayerAtRate(old, *ratio).kernel() for ratio in ((2, 1), (1, 2)))
    torch.testing.assert_close(fine[..., ::2], weight / 2, rtol=0, atol=1e-12)
    torch.testing.assert_close(fine[..., 1::2], (weight[..., 1:] + weight[..., :-1]) / 4, rtol=0, atol=1e-12)
    torch.testing.assert_close(coarse, 2 * weight[..., ::2], rtol=0, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 12).map(lambda half: 2 * half + 1), st.sampled_from([2, 3]))
def test_dc_gain_of_kernels_that_end_in_zero_is_kept_at_a_higher_rate(size, up):
    old = layer("discrete", size)
    with torch.no_grad():
        old.kernel_module.weight[..., [0, -1]] = 0
        drift = LayerAtRate(old, up, 1).kernel().sum(-1) - old.kernel().sum(-1)
    assert drift.abs().max() < 1e-12


def test_changes_of_a_layer_by_hand():
    net = network(size=5, channels=1, depth=1)
    with torch.no_grad():
        net.blocks[0][0].kernel_module.weight.copy_(torch.tensor([1.0, 0, 2, 0, 1]))
    (half,), (double,) = (layer_changes(net, at_rate(net, factor)) for factor in (0.5, 2))
    assert (half.taps, half.spacing, half.dilation, half.dc_drift) == (3, 2, 1, 1.0)  # 2 + 4 + 2 against 4
    assert (double.taps, double.spacing, double.dc_drift) == (9, 0.5, 0.125)  # a quarter of each end tap is lost
    # (2, 4, 2) is 4 + 4 cos w: cos w < 0 above a quarter of the rate, where (1 + cos w)^2 has 3/2 - 4/pi of 3
    assert half.high_energy == pytest.approx((1.5 - 4 / np.pi) / 3, abs=2e-2)


def test_energy_above_counts_alternating_taps_and_no_constant():
    assert energy_above([[1.0, -1.0] * 32], 0.25) > 0.98
    assert energy_above([[1.0] * 64], 0.25) < 0.02
    assert np.isnan(energy_above(np.zeros((2, 3)), 0.25))


class Twice(Network):
    """A module of its own."""


@pytest.mark.parametrize("factor", [0, -1, 1.5, 2 / 3, float("nan"), float("inf")])
def test_a_rate_that_is_no_whole_multiple_or_part_is_refused(factor):
    with pytest.raises(KernbenchError, match=r"must be a whole multiple or part of that of training, got"):
        at_rate(network(), factor)


@pytest.mark.parametrize("other", [Twice(network().kernel_layers(), 12, 25), nn.Conv1d(1, 1, 3, padding=1)])
def test_a_module_of_its_own_is_refused_in_one_line(other):
    with pytest.raises(KernbenchError, match=r"(Twice|Conv1d) cannot be moved to another sampling rate: ") as refused:
        at_rate(other, 2)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("family", ["gaussian", "discrete"])
def test_a_separable_layer_moves_as_its_dense_kernel_does(family):
    net = network(family=family, size=17, layer="separable").double()
    lines = band_limited(200, 2)
    moved = at_rate(net, 2)
    first, trained = moved.kernel_layers()[0], net.kernel_layers()[0]
    fine = trained.kernel(trained.spec.grid(refine=2, dtype=torch.float64))
    torch.testing.assert_close(first.kernel(), fine, rtol=0, atol=1e-12)
    with torch.no_grad():
        expected = torch.nn.functional.conv1d(lines, fine, first.bias)
        torch.testing.assert_close(first(lines), expected, rtol=0, atol=1e-10)
        assert moved(lines).shape == lines.shape
    assert [each.taps for each in layer_changes(net, moved)] == [33, 33, 33]


def test_layers_with_branches_stay_at_their_rate():
    with pytest.raises(KernbenchError, match="free taps are not defined"):
        at_rate(network(layer="branches"), 2)


@pytest.mark.parametrize("family", ["discrete", "stencil", "siren"])
@pytest.mark.parametrize(("factor", "up", "down"), [(0.5, 1, 2), (2, 2, 1)])
def test_resampled_taps_give_the_outputs_of_training_where_nothing_of_the_line_is_lost(family, factor, up, down):
    """The lines end at 0.15 cycles/sample; the taps do not, and stop at their ends: what folds or is cut is seen."""
    old = layer(family, 129)
    lines = {f: band_limited(900, 2, 0.15)[..., :: round(2 / f)].expand(1, 2, -1) for f in (0.5, 1, 2)}
    with torch.no_grad():
        new, asked = (LayerAtRate(old, up, down, how).eval() for how in (True, False))
        tail = (new.spec.kernel_size - asked.spec.kernel_size) // 2
        spare = tail * down // up  # samples of training
        expected = old(lines[1])[..., spare : old(lines[1]).shape[-1] - spare][..., ::down]
        found = new(lines[factor])[..., ::up][..., : expected.shape[-1]]
        other = asked(lines[factor])[..., tail:][..., ::up][..., : expected.shape[-1]]
    errors = [float((each - expected).abs().max() / expected.std()) for each in (found, other)]
    assert errors[0] < 1e-3
    if family != "siren":
        assert errors[1] > 30 * errors[0]


@pytest.mark.parametrize("family", ["siren", "s4d", "gaussian"])
def test_resampled_kernels_are_the_same_sums_of_the_training_taps_for_every_family(family):
    old = layer(family, 33)
    new = LayerAtRate(old, 1, 2, True).eval()
    grids = old.spec.grid(dtype=torch.float64), old.spec.grid(1, torch.float64, coarsen=2)
    with torch.no_grad():
        torch.testing.assert_close(new.kernel(), 2 * old.kernel() @ filter_weights(*grids, 12, 12))
        assert torch.equal(new.kernel(grids[0]), old.kernel())  # a grid that is asked for


@pytest.mark.parametrize(("side", "ends"), [("centered", (24, 24)), ("causal", (24, 0)), ("anticausal", (0, 24))])
def test_a_one_sided_kernel_keeps_its_end_at_lag_0_and_its_network_its_lines(side, ends):
    old = layer("discrete", 9, side=side)
    new = LayerAtRate(old, 2, 1, True).eval()
    grids = old.spec.grid(dtype=torch.float64), old.spec.grid(2, torch.float64)
    assert new.spec.kernel_size == 17 + sum(ends)
    with torch.no_grad():
        torch.testing.assert_close(new.kernel(), 0.5 * old.kernel() @ filter_weights(*grids, *ends))
    for boundary_at in ("input", "layer"):
        net = network(network_asked({"name": "shallow", "side": side, "boundary_at": boundary_at}), size=9)
        moved = at_rate(net, 2, resampled=True)
        assert moved(torch.randn(2, 1, 500)).shape == (2, 1, 500)
        extra = 3 * sum(ends)
        assert moved.receptive_field == 2 * net.receptive_field - 1 + extra


def test_resampled_kernels_keep_their_dtype_under_autocast_and_have_a_shape_on_meta():
    new = at_rate(network(size=9), 0.5, resampled=True)
    lines = torch.randn(1, 1, 200)
    with torch.no_grad():
        plain = new(lines)
        with torch.autocast("cpu", torch.bfloat16):
            inside = at_rate(network(size=9), 0.5, resampled=True).kernel_layers()[0].kernel()
            new(lines)
        assert inside.dtype == torch.float32
        assert torch.equal(new(lines), plain)
        assert at_rate(network(size=9).to("meta"), 0.5, resampled=True)(lines.to("meta")).shape == lines.shape


def test_resampling_leaves_kept_taps_alone_and_lets_gradients_through():
    net = network("dilated", size=3, depth=3)  # dilation 1, 2, 4: the first has one tap at half the rate
    moved, asked = (at_rate(net, 0.5, resampled=how) for how in (True, False))
    with torch.no_grad():
        for one, other in zip(moved.kernel_layers()[1:], asked.kernel_layers()[1:], strict=True):
            assert torch.equal(one.kernel(), other.kernel())
        assert not torch.equal(moved.kernel_layers()[0].kernel(), asked.kernel_layers()[0].kernel())
        lines = torch.randn(1, 1, 80)
        assert torch.equal(at_rate(net, 1, resampled=True)(lines), net(lines))
    moved(lines).sum().backward()
    assert all(each.grad is not None for each in net.parameters() if each.requires_grad)
