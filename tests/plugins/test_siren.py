"""The sine network against published kernels, its formulas and its named starts; oracles 10, 11 and 26."""

import math

import numpy as np
import pytest
import torch
from kernbench_siren.kernel import Siren

import kernbench
from kernbench.registry import find_family

SIREN = find_family("siren")
LAYERS = ("pmnist.cconv1", "pmnist.cconv2", "speech.cconv1", "speech.cconv2")


def siren(spec=None, **hyper):
    return SIREN.build(spec or kernbench.KernelSpec(8, 8, kernel_size=65), hyper)


def published(reference, name, dtype):
    """A Siren that carries the weights of a published CKConv layer, and the kernel that the published class made."""
    with np.load(reference / "ckconv_layers.npz") as data:
        stored = {key.removeprefix(f"{name}."): data[key] for key in data.files if key.startswith(f"{name}.")}
    rows, taps = stored["kernel_float64"].shape
    module = siren(kernbench.KernelSpec(rows, 1, kernel_size=taps), omega_0=float(stored["omega_0"])).to(dtype)
    with torch.no_grad():
        for part, layer in zip((module.first, module.second, module.last), ("layer0", "layer1", "layer2"), strict=True):
            part.v.copy_(torch.from_numpy(stored[f"{layer}.weight_v"]).flatten(1))
            part.g.copy_(torch.from_numpy(stored[f"{layer}.weight_g"]).flatten(1))
            part.bias.copy_(torch.from_numpy(stored[f"{layer}.bias"])[:, None])
    return module, stored


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-3)])
def test_published_kernels_are_reproduced(reference, name, dtype, tolerance):
    module, stored = published(reference, name, dtype)
    positions = torch.from_numpy(stored["positions"]).to(dtype)
    # the published axis runs from -1 to 1; its own positions are float32, so they are taken as they are
    grid = kernbench.LagGrid(lags=positions, extent=1.0)
    kernel = module(grid)[:, 0].detach().numpy()
    np.testing.assert_allclose(kernel, stored["kernel_float64"], rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", LAYERS)
def test_the_published_axis_is_ours(reference, name):
    with np.load(reference / "ckconv_layers.npz") as data:
        positions = data[f"{name}.positions"]
    grid = kernbench.KernelSpec(1, 1, kernel_size=len(positions)).grid(dtype=torch.float64)
    np.testing.assert_allclose((grid.lags / grid.extent).numpy(), positions, rtol=0, atol=2e-7)


@pytest.mark.parametrize("omega_bias", [True, False])
def test_the_formula_written_out(omega_bias):
    module = siren(omega_0=12.0, hidden=6, init="siren-intended", omega_bias=omega_bias).double()
    grid = module.spec.grid(dtype=torch.float64)

    def affine(part, x, factor, bias_factor):
        weight = part.g * part.v / part.v.norm(dim=1, keepdim=True)
        return factor * weight @ x + bias_factor * part.bias

    at_bias = 12.0 if omega_bias else 1.0
    hidden = torch.sin(affine(module.first, grid.lags[None] / grid.extent, 12.0, at_bias))
    hidden = torch.sin(affine(module.second, hidden, 12.0, at_bias))
    expected = affine(module.last, hidden, 1.0, 1.0).view(8, 8, 65)
    torch.testing.assert_close(module(grid), expected, rtol=0, atol=1e-12)


def test_gradients_pass_gradcheck():
    module = siren(kernbench.KernelSpec(2, 1, kernel_size=5), hidden=4, omega_0=5.0).double()
    grid = module.spec.grid(dtype=torch.float64)
    names, values = zip(*((n, p.detach().clone().requires_grad_()) for n, p in module.named_parameters()), strict=True)

    def kernel(*parameters):
        return torch.func.functional_call(module, dict(zip(names, parameters, strict=True)), (grid,))

    assert torch.autograd.gradcheck(kernel, values)


def test_small_omega_gives_nearly_straight_kernels():
    residuals = []
    for omega_0 in (0.1, 0.01):
        torch.manual_seed(0)
        spec = kernbench.KernelSpec(8, 8, kernel_size=65)
        module = Siren(
            spec, hidden=256, init="siren-intended", omega_0=omega_0
        ).double()  # outside its space on purpose
        with torch.no_grad():
            for part in (module.first, module.second):
                part.bias.zero_()
            grid = module.spec.grid(dtype=torch.float64)
            kernel = module(grid).flatten(0, 1).numpy().T
        lags = grid.lags.numpy()
        line = np.polyfit(lags, kernel, 1)
        off = np.abs(kernel - (np.outer(lags, line[0]) + line[1])).max(0)
        residuals.append(np.median(off / np.ptp(kernel, axis=0)))
    assert residuals[1] < 1e-3
    assert 30 < residuals[0] / residuals[1] < 300


def test_hidden_phases_of_the_calibrated_start_have_unit_variance():
    module = Siren(kernbench.KernelSpec(1, 1, kernel_size=1025), hidden=512)
    with torch.no_grad():
        module.first.bias.zero_(), module.second.bias.zero_()
        position = torch.linspace(-1, 1, 1025)[None]
        second = module.second(torch.sin(module.first(position, 30.0, 30.0)), 30.0, 30.0)
    assert 0.7 <= second.var().item() <= 1.05


def test_starts_hold_in_the_effective_weights():
    hidden, omega_0 = 32, 30.0
    sine, default = math.sqrt(6 / hidden) / omega_0, 1 / math.sqrt(hidden)
    for init, bound in [("calibrated", sine), ("siren-intended", sine), ("ckconv-effective", default)]:
        largest = siren(init=init, hidden=hidden, omega_0=omega_0).second.weight().abs().max().item()
        assert 0.95 * bound < largest <= bound * (1 + 1e-6), init


def test_the_effective_start_ignores_omega():
    kernels = []
    for omega_0 in (3.0, 60.0):
        torch.manual_seed(3)
        kernels.append(siren(init="ckconv-effective", omega_0=omega_0).last.weight())
    assert torch.equal(*kernels)


def test_calibrated_kernels_are_not_odd():
    kernel = siren()(kernbench.KernelSpec(8, 8, kernel_size=65).grid()).detach()
    even, odd = kernel + kernel.flip(-1), kernel - kernel.flip(-1)
    assert 0.3 < (even.norm() / odd.norm()).item() < 3


@pytest.mark.parametrize("kernel_size", [17, 65, 257])
def test_the_calibrated_start_has_about_unit_gain_by_itself(kernel_size):
    from kernbench.kernels.layer import layer_gain

    spec = kernbench.KernelSpec(16, 16, kernel_size=kernel_size)
    gains = [layer_gain(siren(spec)(spec.grid())) for _ in range(8)]
    assert 0.4 < np.mean(gains) < 1.0


def test_a_larger_kernel_at_the_same_omega_is_a_slower_kernel():
    """The highest first-layer frequency is omega_0 / (2 pi extent) cycles per sample."""
    shares = []
    for kernel_size in (65, 527):
        torch.manual_seed(0)
        spec = kernbench.KernelSpec(16, 16, kernel_size=kernel_size)
        power = torch.fft.rfft(siren(spec)(spec.grid()).detach(), 4096).abs().square().sum((0, 1))
        shares.append((power.cumsum(0) / power.sum() < 0.95).sum().item() / 4096)
    assert shares[0] > 4 * shares[1]
