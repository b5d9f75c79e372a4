"""Kernels of state spaces against scipy.signal and recurrences; oracles 7 to 9 and the inclusions of section 9."""

import math

import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import kernbench
from kernbench.registry import find_family


def built(family, taps, side="anticausal", channels=(1, 1), **hyper):
    spec = kernbench.KernelSpec(*channels, kernel_size=taps, side=side)
    return find_family(family).build(spec, hyper).double(), spec.grid(dtype=torch.float64)


def modes_of(module, taps):
    """Complex modes at the taps of one side, (J, taps)."""
    return module.modes(torch.arange(taps, dtype=torch.float64), 1.0).detach().numpy()


@pytest.mark.parametrize("modes", [1, 4, 8])
def test_s4d_is_the_zero_order_hold_of_scipy(modes):
    module, _ = built("s4d", 200, modes=modes)
    with torch.no_grad():
        module.log_decay.add_(0.3 * torch.randn(modes, 1))
    residues = np.random.default_rng(1).normal(size=(modes, 2)) @ [1, 1j]
    got = 2 * (residues[:, None] * modes_of(module, 200)).sum(0).real
    size = module.log_step.exp().detach().numpy()[:, 0]
    decay, frequency = module.log_decay.exp().detach().numpy()[:, 0], module.frequency.detach().numpy()[:, 0]
    expected = np.zeros(200)
    for j in range(modes):
        # one conjugate pair as a real block, its own step as the time
        block = np.array([[-decay[j], -frequency[j]], [frequency[j], -decay[j]]])
        output = np.array([[2 * residues[j].real, -2 * residues[j].imag]])
        system = scipy.signal.cont2discrete((block, np.array([[1.0], [0.0]]), output, np.zeros((1, 1))), size[j], "zoh")
        _, (response,) = scipy.signal.dimpulse(system, n=202)
        expected += response[1:201, 0]  # its first sample is the feed-through
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("taps", [1, 33, 65])
@pytest.mark.parametrize("side", ["centered", "anticausal"])
def test_taps_of_half_the_step_add_up_to_those_of_the_whole_one(side, taps):
    """A tap holds the stretch from its lag to the next one, so two of half the step hold that of a whole one."""
    module, grid = built("s4d", taps, side, (2, 3))
    lags = float(grid.lags[0]) + 0.5 * torch.arange(2 * taps, dtype=torch.float64)
    fine = kernbench.LagGrid(lags=lags, extent=grid.extent, spacing=0.5)
    pairs = (module(fine).detach() * fine.spacing).unflatten(-1, (taps, 2)).sum(-1)
    torch.testing.assert_close(pairs, module(grid).detach(), rtol=0, atol=1e-12)


def test_a_tap_of_twice_the_step_holds_two_of_the_training_grid():
    module, grid = built("s4d", 65, channels=(2, 3))
    twice = module.spec.grid(dtype=torch.float64, coarsen=2)
    pairs = module(grid).detach()[..., :-1].unflatten(-1, (32, 2)).sum(-1)
    torch.testing.assert_close(2 * module(twice).detach()[..., :-1], pairs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("family", ["s4d", "poles"])
def test_convolution_is_the_step_recurrence(family):
    module, _ = built(family, 256, "anticausal", modes=4)
    signal = torch.randn(256, dtype=torch.float64)
    modes = torch.from_numpy(modes_of(module, 256))
    first, ratio = modes[:, 0], modes[:, 1] / modes[:, 0]
    residues = torch.randn(4, 1, dtype=torch.complex128)
    kernel = 2 * (residues * modes).sum(0).real
    state = torch.zeros(4, dtype=torch.complex128)
    outputs = []
    for sample in signal:
        state = ratio * state + first * sample
        outputs.append(2 * (residues[:, 0] * state).sum().real)
    expected = scipy.signal.lfilter(kernel.numpy(), [1.0], signal.numpy())
    np.testing.assert_allclose(torch.stack(outputs).numpy(), expected, rtol=0, atol=1e-10)


def test_poles_with_the_poles_and_residues_of_a_state_space_are_that_state_space():
    state, _ = built("s4d", 129, modes=6)
    poles, _ = built("poles", 129, modes=6)
    size = state.log_step.exp()
    with torch.no_grad():
        poles.log_decay.copy_((state.log_decay.exp() * size).log())
        poles.angle.copy_((state.frequency * size).clamp(-math.pi, math.pi))
    of_state, of_poles = modes_of(state, 129), modes_of(poles, 129)
    factor = of_state[:, :1]  # (e^(D A) - 1) / A, which the residue takes up
    np.testing.assert_allclose(of_poles * factor, of_state, rtol=0, atol=1e-12)


def test_the_start_of_a_state_space_is_that_of_s4d():
    found = []
    for family, hyper in (("s4d", {}), ("poles", {"start": "s4d-lin"})):
        torch.manual_seed(3)
        found.append(built(family, 33, modes=5, **hyper)[0])
    state, poles = found
    np.testing.assert_allclose((state.log_step.exp() / 2).detach(), poles.log_decay.exp().detach(), rtol=1e-6)
    turn = (state.frequency * state.log_step.exp()).detach().numpy()
    np.testing.assert_allclose(np.minimum(turn, 0.9 * np.pi), poles.angle.detach(), rtol=1e-6)


@pytest.mark.parametrize("start", ["echo", "ring", "oscillators", "s4d-lin"])
def test_every_start_is_stable_and_in_its_band(start):
    module, _ = built("poles", 65, modes=64, start=start)
    assert (module.log_decay.exp() > 0).all()
    cycles = module.angle.detach() / (2 * math.pi)
    if start == "echo":
        assert ((cycles > 0.0159) & (cycles < 0.0801)).all()
        assert ((1 / module.log_decay.exp() > 19.9) & (1 / module.log_decay.exp() < 100.1)).all()
    assert (cycles.abs() < 0.5).all()


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.floats(0.1, 0.8))
def test_a_rational_transfer_function_is_a_recursive_filter_while_its_poles_die_out(seed, radius):
    taps = 256
    module, grid = built("rtf", taps, "anticausal", order=4)
    rng = np.random.default_rng(seed)
    angles = rng.uniform(0.1, 3.0, 2)
    below = np.poly(np.concatenate([radius * np.exp(1j * angles), radius * np.exp(-1j * angles)])).real
    with torch.no_grad():
        module.denominator.copy_(torch.from_numpy(below[1:]))
    impulse = np.zeros(taps)
    impulse[0] = 1
    expected = scipy.signal.lfilter(module.numerator.detach().numpy().ravel(), below, impulse)
    np.testing.assert_allclose(module(grid).detach().numpy().ravel(), expected, rtol=0, atol=1e-9)


def test_a_rational_transfer_function_starts_as_its_numerator():
    module, grid = built("rtf", 33, "centered", (2, 3), order=4)
    kernel = module(grid).detach()
    torch.testing.assert_close(kernel[..., 16:20], module.numerator.detach()[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(kernel[..., 12:16].flip(-1), module.numerator.detach()[1], rtol=0, atol=1e-12)
    assert kernel[..., 20:].abs().max() < 1e-12


def test_distinct_poles_are_a_rational_transfer_function_by_partial_fractions():
    taps = 200
    poles, _ = built("poles", taps, modes=2)
    with torch.no_grad():
        poles.log_decay.copy_(torch.tensor([[0.2], [0.3]]).log())
        poles.angle.copy_(torch.tensor([[0.4], [1.0]]))
    residues = np.array([0.7 - 0.2j, -0.4 + 0.9j])
    kernel = 2 * (residues[:, None] * modes_of(poles, taps)).sum(0).real
    roots = modes_of(poles, 2)[:, 1]
    every, weights = np.concatenate([roots, roots.conj()]), np.concatenate([residues, residues.conj()])
    above, below = scipy.signal.invresz(weights, every, [])
    rational, grid = built("rtf", taps, "anticausal", order=4)
    with torch.no_grad():
        rational.numerator.copy_(torch.tensor(above.real.tolist(), dtype=torch.float64))
        rational.denominator.copy_(torch.tensor(below.real[1:].tolist(), dtype=torch.float64))
    np.testing.assert_allclose(rational(grid).detach().numpy().ravel(), kernel, rtol=0, atol=1e-12)


@pytest.mark.parametrize("family", ["s4d", "poles"])
@pytest.mark.parametrize(("side", "taps"), [("anticausal", 40), ("causal", 41), ("centered", 41), ("centered", 40)])
@pytest.mark.parametrize("dilation", [1, 3])
def test_the_state_space_of_each_side_has_the_taps_as_its_impulse_response(family, side, taps, dilation):
    spec = kernbench.KernelSpec(2, 3, kernel_size=taps, side=side, dilation=dilation)
    module = find_family(family).build(spec, {"modes": 3}).double()
    kernel = module(spec.grid(dtype=torch.float64)).detach().numpy()
    later = spec.grid().lags.numpy() >= 0 if side == "centered" else np.ones(taps, bool)
    outwards = [kernel[..., later]] if side != "causal" else [kernel[..., ::-1]]
    if side == "centered":
        outwards.append(kernel[..., ~later][..., ::-1])
    systems = module.to_state_space()
    assert len(systems) == len(outwards)
    for tensors, expected in zip(systems, outwards, strict=True):
        a, b, c, d = (each.detach().numpy() for each in tensors)
        assert (np.abs(np.linalg.eigvals(a)) < 1).all()
        for out in range(2):
            for into in range(3):
                system = (a, b, c[out, into][None], d[out, into].reshape(1, 1), 1)
                _, (response,) = scipy.signal.dimpulse(system, n=expected.shape[-1])
                np.testing.assert_allclose(response[:, 0], expected[out, into], rtol=0, atol=1e-12)


def test_two_recurrences_one_each_way_are_the_two_sided_layer():
    spec = kernbench.KernelSpec(1, 1, kernel_size=129)
    module = find_family("poles").build(spec, {"modes": 4}).double()
    signal = np.random.default_rng(0).normal(size=64)
    (a, b, c, d), (a2, b2, c2, d2) = ([e.detach().numpy() for e in s] for s in module.to_state_space())
    # y[t] has x[t + lag]: lags >= 0 run backwards in time, the others forwards, one sample late
    ahead = scipy.signal.dlsim((a, b, c[0], d, 1), signal[::-1])[1][::-1, 0]
    behind = scipy.signal.dlsim((a2, b2, c2[0], d2, 1), np.concatenate([[0], signal[:-1]]))[1][:, 0]
    kernel = module(spec.grid(dtype=torch.float64)).detach().numpy().ravel()
    expected = scipy.signal.correlate(np.pad(signal, 64), kernel, "valid")
    np.testing.assert_allclose(ahead + behind, expected, rtol=0, atol=1e-10)
