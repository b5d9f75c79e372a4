"""The sine network against published kernels, its formulas and its named starts; oracles 10, 11 and 26."""

import itertools
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


def stored_state(stored, new_names):
    """The published kernel network as a state dict, by the names of either torch."""
    names = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
    state = {}
    for key, value in stored.items():
        layer, _, part = key.partition(".")
        if layer.startswith("layer"):
            place = f"Kernel.kernel_net.{3 * int(layer[-1])}"
            state[f"{place}.{names.get(part, part) if new_names else part}"] = value
    return dict(reversed(state.items())) | {"omega_0": stored["omega_0"]}


@pytest.mark.parametrize("new_names", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_a_published_network_is_imported_and_gives_its_kernel(reference, name, new_names):
    _, stored = published(reference, name, torch.float64)
    rows, taps = stored["kernel_float64"].shape
    omega_0 = float(stored["omega_0"])
    module = siren(kernbench.KernelSpec(rows, 1, kernel_size=taps), omega_0=omega_0).double()
    module.import_state("ckconv", stored_state(stored, new_names))
    grid = kernbench.LagGrid(lags=torch.from_numpy(stored["positions"]).double(), extent=1.0)
    np.testing.assert_allclose(module(grid)[:, 0].detach().numpy(), stored["kernel_float64"], rtol=0, atol=1e-10)


def made_up(hidden=4, pairs=6):
    """A state dict of three layers."""
    widths = (1, hidden, hidden, pairs)
    state = {}
    for layer, (before, after) in enumerate(itertools.pairwise(widths)):
        state[f"net.{layer}.weight_g"] = torch.rand(after, 1, 1)
        state[f"net.{layer}.weight_v"] = torch.randn(after, before, 1)
        state[f"net.{layer}.bias"] = torch.randn(after)
    return state


def small(**hyper):
    return siren(kernbench.KernelSpec(3, 2, kernel_size=9), hidden=4, omega_0=20.0, **hyper)


def test_imported_weights_are_g_v_over_the_norm_of_v_by_row_in_the_order_of_numbers():
    state = {key.replace("net.2", "net.10"): value for key, value in made_up().items()}  # 10 comes after 2
    module = small()
    module.import_state("ckconv", dict(sorted(state.items())))
    g, v = (state[f"net.10.weight_{part}"].flatten(1) for part in "gv")
    torch.testing.assert_close(module.last.weight(), g * v / v.norm(dim=1, keepdim=True))
    torch.testing.assert_close(module.second.bias.flatten(), state["net.1.bias"], rtol=0, atol=0)


def without(key):
    return {name: value for name, value in made_up().items() if name != key}


@pytest.mark.parametrize(
    ("format_name", "state", "hyper", "said"),
    [
        ("flexconv", made_up(), {}, "imports the format ckconv, got 'flexconv'"),
        ("ckconv", made_up(), {"omega_bias": False}, "build siren with omega_bias = true"),
        ("ckconv", made_up() | {"omega_0": 30.0}, {}, r"omega_0 of the network is 30.0, .*20.0"),
        ("ckconv", made_up() | {"omega_0": "high"}, {}, "omega_0 must be a number, got 'high'"),
        ("ckconv", made_up() | {"positions": torch.ones(9)}, {}, "'positions' is no entry of a kernel network"),
        ("ckconv", made_up() | {3: torch.ones(9)}, {}, "3 is no entry of a kernel network"),
        ("ckconv", made_up() | {"bias": torch.ones(3)}, {}, "'bias' is no entry of a kernel network"),
        ("ckconv", made_up() | {"net.3.bias": torch.ones(3)}, {}, "expected 3 layers, got net.0, net.1, net.2, net.3"),
        ("ckconv", {}, {}, "expected 3 layers, got none"),
        ("ckconv", without("net.1.weight_g"), {}, "layer 'net.1' lacks g"),
        ("ckconv", made_up(hidden=5), {}, r"g of layer 'net.0' must have shape \(4, 1\) here, got \(5, 1, 1\)"),
        ("ckconv", made_up(pairs=7), {}, r"g of layer 'net.2' must have shape \(6, 1\) here, got \(7, 1, 1\)"),
        ("ckconv", made_up() | {"net.2.bias": torch.full((6,), math.nan)}, {}, "bias of layer 'net.2' has NaN"),
        ("ckconv", made_up() | {"net.2.bias": "none"}, {}, "'net.2.bias' must be an array, got str"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line_and_nothing_is_taken(format_name, state, hyper, said):
    module = small(**hyper)
    before = {name: value.clone() for name, value in module.named_parameters()}
    with pytest.raises(kernbench.KernbenchError, match=said) as caught:
        module.import_state(format_name, state)
    assert "\n" not in str(caught.value)
    assert all(torch.equal(value, before[name]) for name, value in module.named_parameters())
