"""Networks of the lag: limits and inclusions, and what their starts promise."""

import json
import math
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from kernbench_implicit.sines import SineNetwork

import kernbench
from kernbench.errors import KernbenchError
from kernbench.registry import find_family

SPEC = kernbench.KernelSpec(4, 3, kernel_size=65)


def built(family, spec=SPEC, **hyper):
    torch.manual_seed(7)
    return find_family(family).build(spec, hyper).double()


def test_finer_with_its_growing_frequency_dropped_is_the_sine_network():
    finer = built("finer")
    plain = SineNetwork(SPEC).double()
    plain.load_state_dict({k: v for k, v in finer.state_dict().items() if "extra" not in k}, strict=False)
    z = torch.linspace(-1e-4, 1e-4, 11, dtype=torch.float64)
    torch.testing.assert_close(finer.activation(z), plain.activation(z), rtol=0, atol=1e-6)
    finer.activation = plain.activation
    torch.testing.assert_close(finer(SPEC.grid(dtype=torch.float64)), plain(SPEC.grid(dtype=torch.float64)))


def test_the_gradient_of_finer_takes_its_growing_frequency_as_given():
    z = torch.tensor([0.3, -0.5], dtype=torch.float64, requires_grad=True)
    built("finer", omega_0=2.0).activation(z).sum().backward()
    factor = 2.0 * (z.detach().abs() + 1)
    torch.testing.assert_close(z.grad, factor * torch.cos(factor * z.detach()))


def test_wire_is_a_complex_gabor_wave_and_without_an_envelope_sines():
    z = torch.linspace(-1, 1, 21, dtype=torch.float64)[None]
    got = built("wire", omega_0=7.0, sharpness=3.0).activation(z).numpy()
    wave = np.exp(7j * z.numpy() - np.abs(3.0 * z.numpy()) ** 2)
    np.testing.assert_allclose(got, np.concatenate([wave.real, wave.imag]), rtol=0, atol=1e-12)


def test_winner_without_noise_is_the_sine_network():
    torch.manual_seed(7)
    plain = SineNetwork(SPEC).double()
    grid = SPEC.grid(dtype=torch.float64)
    torch.testing.assert_close(built("winner", noise=0.0)(grid), plain(grid), rtol=0, atol=0)
    assert not torch.allclose(built("winner", noise=1.0)(grid), plain(grid))


def test_several_frequencies_are_log_spaced_blocks_and_a_learned_factor_of_one_changes_nothing():
    module = built("siren_multi", blocks=4, hidden=32, lowest=1.0, highest=8.0)
    cycles = (module.frequency / (2 * math.pi)).ravel().tolist()
    assert cycles == pytest.approx([1.0] * 8 + [2.0] * 8 + [4.0] * 8 + [8.0] * 8)
    learned = built("siren_multi", blocks=4, hidden=32, lowest=1.0, highest=8.0, learned=True)
    grid = SPEC.grid(dtype=torch.float64)
    torch.testing.assert_close(learned(grid), module(grid), rtol=0, atol=0)


@pytest.mark.parametrize("learned", [False, True])
def test_fourier_features_are_frozen_unless_they_learn(learned):
    names = dict(built("rff", learned=learned).named_parameters())
    assert ("frequency" in names) == ("phase" in names) == learned
    state = built("rff", learned=learned).state_dict()
    assert {"frequency", "phase"} <= state.keys()


def test_fourier_features_have_their_bandwidth():
    torch.manual_seed(0)
    module = find_family("rff").build(SPEC, {"bandwidth": 5.0, "features": 128})
    assert (module.frequency / (2 * math.pi)).std().item() == pytest.approx(5.0, rel=0.2)


def test_hyenas_window_falls_from_one_over_the_published_range():
    module = built("hyena", kernbench.KernelSpec(64, 1, kernel_size=65), shift=0.0)
    assert module.delta.ravel()[[0, -1]].tolist() == pytest.approx([3.0701, 15.3506], abs=1e-3)
    ends = torch.exp(-module.delta.ravel())  # at the far end
    assert ends.max().item() == pytest.approx(0.01 ** (1 / 1.5))
    assert ends.min().item() == pytest.approx(0.01 ** (1 / 0.3), rel=1e-3)


def test_a_shorter_hyena_kernel_over_the_same_reach_is_a_prefix():
    spec = kernbench.KernelSpec(2, 1, kernel_size=33, side="anticausal", extent=64.0)
    longer = kernbench.KernelSpec(2, 1, kernel_size=65, side="anticausal", extent=64.0)
    module, other = built("hyena", spec), built("hyena", longer)
    other.load_state_dict({k: v for k, v in module.state_dict().items() if "extra" not in k}, strict=False)
    got = other(longer.grid(dtype=torch.float64))[..., :33]
    torch.testing.assert_close(got, module(spec.grid(dtype=torch.float64)))


def test_toeplitz_without_decay_is_its_network_alone():
    grid = SPEC.grid(dtype=torch.float64)
    plain, decayed = built("tnn", gamma=1.0)(grid), built("tnn", gamma=0.97)(grid)
    torch.testing.assert_close(decayed, plain * 0.97 ** grid.lags.abs())


def test_a_gabor_network_of_one_product_is_its_formula():
    module = built("gabor_mfn", layers=1, hidden=8)
    t = SPEC.grid(dtype=torch.float64).lags / SPEC.extent

    def wave(layer):
        sharp = module.log_sharpness[layer].exp()
        return torch.exp(-0.5 * (sharp * (t - module.place[layer])) ** 2) * torch.sin(
            module.frequency[layer] * t + module.phase[layer]
        )

    product = wave(1) * (module.maps[0].weight @ wave(0) + module.maps[0].bias)
    expected = module.last.weight @ product + module.last.bias
    torch.testing.assert_close(module(SPEC.grid(dtype=torch.float64)).flatten(0, 1), expected)


@pytest.mark.parametrize("inner", ["gabor_mfn", "siren", "rff"])
def test_a_mask_multiplies_the_kernel_of_its_network_and_a_wide_one_leaves_it(inner):
    module, grid = built("masked", inner=inner, width=0.3, place=0.5), SPEC.grid(dtype=torch.float64)
    plain = module.kernel(grid)
    t = grid.lags / grid.extent
    torch.testing.assert_close(module(grid), plain * torch.exp(-0.5 * ((t - 0.5) / 0.3) ** 2), rtol=0, atol=1e-6)
    with torch.no_grad():
        module.log_width.fill_(20.0)
    torch.testing.assert_close(module(grid), plain, rtol=0, atol=1e-12)


def test_first_and_last_tap_of_a_fourier_kan_are_two_taps():
    kernel = built("fourier_kan")(SPEC.grid(dtype=torch.float64))
    assert (kernel[..., 0] - kernel[..., -1]).abs().max() > 1e-3 * kernel.abs().max()


def test_one_edge_of_one_layer_is_a_fourier_series():
    module = built("fourier_kan", harmonics=6, hidden=2, inner=1)
    x = math.pi * torch.linspace(-1, 1, 33, dtype=torch.float64)
    n = torch.arange(1, 7, dtype=torch.float64)[:, None]
    sums = module.first @ torch.cat([torch.cos(n * x), torch.sin(n * x)])
    expected = torch.cat([torch.cos(sums), torch.sin(sums)])
    torch.testing.assert_close(module.hidden(x / (math.pi * 64 / 65)), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("width", [0.1, 0.4, 2.0])
@pytest.mark.parametrize("place", [-0.8, 0.0, 0.6])
def test_a_kernel_that_is_cut_to_its_learned_support_keeps_the_bound_on_its_outputs(width, place):
    module, grid = built("masked", width=width, place=place), SPEC.grid(dtype=torch.float64)
    low, high = module.support(grid)
    kernel, unmasked = module(grid).detach(), module.unmasked(grid).detach()
    cropped = torch.zeros_like(kernel)
    cropped[..., low:high] = kernel[..., low:high]
    bound = 0.1 * unmasked.abs().sum((1, 2))
    worst = (kernel - cropped).sign()  # no signal of this size tells more: each output channel sees its own
    for signal in (torch.randn(16, 3, 300, dtype=torch.float64), worst):
        full, cut = (torch.nn.functional.conv1d(signal, each) for each in (kernel, cropped))
        assert ((full - cut).abs().amax((0, 2)) <= bound * signal.abs().max()).all()
    t = (grid.lags / grid.extent).numpy()
    inside = np.flatnonzero(np.exp(-0.5 * ((t - place) / width) ** 2) >= 0.1)
    assert (low, high) == (inside[0], inside[-1] + 1)


def test_a_mask_that_lies_between_taps_keeps_one():
    module = built("masked")
    with torch.no_grad():
        module.log_width.fill_(math.log(1e-3))
        module.place.fill_(0.51 / 32)
    assert module.support(SPEC.grid(dtype=torch.float64)) == (33, 34)


@pytest.mark.parametrize(
    ("spec", "nyquist"),
    [
        (kernbench.KernelSpec(1, 1, kernel_size=65), 16.0),  # (K - 1) / 4 cycles per extent
        (kernbench.KernelSpec(1, 1, kernel_size=65, dilation=8), 16.0),
        (kernbench.KernelSpec(1, 1, kernel_size=65, side="causal"), 32.0),
    ],
)
def test_the_anti_alias_penalty_is_its_formula(spec, nyquist):
    module = built("gabor_mfn", spec, layers=3, hidden=8, scale=100.0)
    frequency, sharp = module.frequency.detach().numpy(), module.log_sharpness.exp().detach().numpy()
    highest = (np.abs(frequency) + sharp).max((1, 2)) / (2 * np.pi)
    expected = (np.maximum(highest - nyquist / 4, 0) ** 2).sum()
    assert expected > 0
    assert module.regularizers()["anti_alias"].item() == pytest.approx(expected, rel=1e-12)
    with torch.no_grad():
        module.frequency.mul_(1e-3)
        module.log_sharpness.fill_(0.0)
    assert module.regularizers()["anti_alias"].item() == 0


def test_a_masked_network_has_the_penalty_of_a_gabor_network_and_of_no_other_one():
    assert built("masked", inner="siren").regularizers() == {}
    module = built("masked", inner="gabor_mfn")
    assert module.regularizers()["anti_alias"] == module.kernel.regularizers()["anti_alias"]


@pytest.mark.parametrize("family", ["masked", "gabor_mfn"])
@pytest.mark.parametrize(("weight", "refused"), [(0.0, False), (0.1, True)])
def test_weights_of_before_there_was_a_penalty_are_those_of_weight_0(family, weight, refused):
    module, other = built(family), built(family, anti_alias=weight)
    state = module.state_dict()
    named = json.loads(bytes(state["_extra_state"].tolist()))
    assert named.pop("hyper.anti_alias") == 0.0
    state["_extra_state"] = torch.tensor(list(json.dumps(named).encode()), dtype=torch.uint8)
    with pytest.raises(KernbenchError, match=r"anti_alias expected 0\.1, got 0\.0") if refused else nullcontext():
        other.load_state_dict(state)
    grid = SPEC.grid(dtype=torch.float64)
    assert refused or torch.equal(other(grid), module(grid))


def test_learned_factors_are_held_between_a_hundredth_and_two():
    module = built("siren_multi", learned=True)
    with torch.no_grad():
        module.factor[:3, 0] = torch.tensor([-1.0, 0.5, 7.0])
        module.constrain_()
    assert module.factor[:3, 0].tolist() == [0.01, 0.5, 2.0]
    assert "factor" not in dict(built("siren_multi").named_parameters())
    built("siren_multi").constrain_()
