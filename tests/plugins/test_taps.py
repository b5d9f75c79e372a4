"""Free taps with something shared, against dilated convolution, numpy and their own native forms; oracles 6 and 21."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import kernbench
from kernbench.registry import find_family


def built(family, size, side="centered", **hyper):
    spec = kernbench.KernelSpec(2, 3, kernel_size=size, side=side)
    return find_family(family).build(spec, hyper).double(), spec.grid(dtype=torch.float64)


@settings(max_examples=30)
@given(st.integers(3, 40), st.integers(1, 8), st.data())
def test_learned_spacings_at_whole_steps_are_a_dilated_kernel(taps, count, data):
    module, grid = built("dcls", taps, taps=count, version="v1")
    count = module.weight.shape[-1]
    at = data.draw(st.lists(st.integers(0, taps - 1), min_size=count, max_size=count))
    with torch.no_grad():
        module.place.copy_(grid.lags[torch.tensor(at)])
    expected = torch.zeros(2, 3, taps, dtype=torch.float64)
    for j, place in enumerate(at):
        expected[..., place] += module.weight.detach()[..., j]
    torch.testing.assert_close(module(grid).detach(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("spread", [0.0, 0.23, 2.0])
def test_a_gaussian_spacing_has_its_closed_form(spread):
    module, grid = built("dcls", 33, taps=1, version="gauss")
    with torch.no_grad():
        module.place.fill_(2.3)
        module.width.fill_(spread)
    shape = np.exp(-0.5 * ((grid.lags.numpy() - 2.3) / (spread + 0.27)) ** 2)
    expected = module.weight.detach().numpy() * shape / (shape.sum() + 1e-7)
    np.testing.assert_allclose(module(grid).detach().numpy(), expected, rtol=0, atol=1e-10)


def test_a_place_beyond_the_taps_can_come_back():
    module, grid = built("dcls", 9, taps=2, version="v1")
    with torch.no_grad():
        module.place.fill_(6.0)
    (module(grid)[..., 2].sum() + module(grid)[..., 7].sum()).backward()
    assert (module.place.grad != 0).all()


@pytest.mark.parametrize("version", ["v1", "max", "gauss"])
def test_in_parts_kernel_and_gradients_are_those_of_the_whole(version, monkeypatch):
    module, grid = built("dcls", 33, taps=4, version=version)
    found = []
    for largest in (1 << 22, 500):
        monkeypatch.setattr("kernbench.kernels.building_blocks.LARGEST_PART", largest)
        kernel = module(grid)
        with torch.no_grad():
            torch.testing.assert_close(module(grid), kernel.detach(), rtol=0, atol=1e-15)
        found.append((kernel, *torch.autograd.grad(kernel.square().sum(), list(module.parameters()))))
    for whole, parts in zip(*found, strict=True):
        torch.testing.assert_close(parts, whole, rtol=1e-12, atol=1e-12)


def test_one_tap_needs_no_tree():
    with pytest.raises(kernbench.KernbenchError, match="at least 2 taps, got K = 1"):
        find_family("wavelet_tree").build(kernbench.KernelSpec(1, 1, kernel_size=1))
    module, grid = built("wavelet_tree", 3, taps=16)
    assert (module(grid).detach().abs().amax((0, 1)) > 0).all()


def test_a_place_beyond_the_taps_stays_at_the_last_one():
    module, grid = built("dcls", 9, taps=1, version="v1")
    with torch.no_grad():
        module.place.fill_(100.0)
    kernel = module(grid).detach()
    torch.testing.assert_close(kernel[..., -1], module.weight[..., 0].detach(), rtol=0, atol=1e-6)
    assert not kernel[..., :-1].any()


@pytest.mark.parametrize("shrink", [0.5, 1.0, 1.5, 2.0])
def test_shrinking_keeps_the_share_of_taps_that_a_normal_start_predicts(shrink):
    spec = kernbench.KernelSpec(64, 64, kernel_size=33)
    kernel = find_family("longconv").build(spec, {"shrink": shrink})(spec.grid()).detach()
    assert (kernel != 0).double().mean().item() == pytest.approx(math.erfc(shrink / math.sqrt(2)), abs=0.01)


@pytest.mark.parametrize("smooth", [False, True])
def test_scaling_shrunk_taps_scales_the_kernel(smooth):
    module, grid = built("longconv", 33, smooth=smooth)
    before = module(grid).detach().clone()
    with torch.no_grad():
        module.scale_(3.0)
    torch.testing.assert_close(module(grid).detach(), 3 * before)


def test_no_decay_is_discrete():
    spec = kernbench.KernelSpec(4, 3, kernel_size=17)
    torch.manual_seed(3)
    discrete = find_family("discrete").build(spec)
    torch.manual_seed(3)
    decay = find_family("decay").build(spec, {"strength": 0.0})
    torch.testing.assert_close(decay(spec.grid()), discrete(spec.grid()), rtol=0, atol=0)
    decayed = find_family("decay").build(spec, {"strength": 3.0})
    ratio = (decayed(spec.grid()) / decayed.weight).detach().numpy()
    lags = np.arange(-8, 9)
    np.testing.assert_allclose(ratio[-1], np.tile(np.exp(-3 * np.abs(lags) / 8), (3, 1)), rtol=1e-5)
    np.testing.assert_allclose(ratio[0], np.ones((3, 17)), rtol=1e-6)


@pytest.mark.parametrize(("points", "taps"), [(4, 4), (4, 30), (8, 64)])
def test_scales_are_stretched_with_half_pixel_centres(points, taps):
    module, grid = built("sgconv", taps, "anticausal", points=points)
    rows = []
    for scale, vector in enumerate(module.weight.detach()[0]):
        stretch = max(1, 2 ** (scale - 1))
        stretched = torch.nn.functional.interpolate(vector, scale_factor=stretch, mode="linear", align_corners=False)
        rows.append(stretched * 2.0**-scale)
    expected = torch.cat(rows, dim=-1)[..., :taps]
    torch.testing.assert_close(module(grid).detach() * module.norm, expected, rtol=0, atol=1e-12)
    assert module(grid).square().sum((1, 2)).mean().item() == pytest.approx(1, abs=1e-5)


def test_one_group_of_all_taps_is_discrete():
    module, grid = built("multires", 17, taps=17)
    rows = module.bank(grid)
    torch.testing.assert_close(rows[:17], torch.eye(17, dtype=torch.float64))


def test_groups_are_kernels_of_doubling_dilation():
    module, grid = built("multires", 33, taps=3)
    places = module.bank(grid).argmax(1).tolist()
    assert places == [15, 16, 17, 14, 16, 18, 12, 16, 20, 8, 16, 24, 0, 16, 32]


@pytest.mark.parametrize("taps", [2, 4, 7])
def test_the_tree_is_its_cascade_of_dilated_convolutions(taps):
    module, grid = built("wavelet_tree", 65, taps=taps)
    signal = torch.randn(1, 1, 300, dtype=torch.float64)

    def dilated(x, weight, step):
        padded = torch.nn.functional.pad(x, (step * (taps - 1), 0))
        return torch.nn.functional.conv1d(padded, weight.flip(0)[None, None], dilation=step)

    low, cascade = signal, []
    for level in range(module.levels):
        cascade.append(dilated(low, module.high, 2**level))
        low = dilated(low, module.low, 2**level)
    cascade = torch.cat([*cascade, low, signal], dim=1)
    responses = module.responses()
    assert responses.shape[-1] <= 65
    padded = torch.nn.functional.pad(signal, (responses.shape[-1] - 1, 0))
    got = torch.nn.functional.conv1d(padded, responses.flip(-1)[:, None])
    torch.testing.assert_close(got, cascade, rtol=0, atol=1e-10)
    torch.testing.assert_close(module.bank(grid).norm(dim=-1), torch.ones(module.levels + 2, dtype=torch.float64))


def test_places_are_put_back_between_the_first_and_the_last_tap_and_start_there():
    module, _ = built("dcls", 9, taps=4)
    with torch.no_grad():
        module.place[0, 0] = torch.tensor([-7.0, -4.0, 3.5, 6.0])
        module.constrain_()
    assert module.place[0, 0].tolist() == [-4.0, -4.0, 3.5, 4.0]
    assert built("dcls", 33, taps=9)[0].place.abs().max() <= 16
