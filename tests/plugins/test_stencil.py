"""Stencils: moment identities, what they do to polynomials, and which fit a kernel; oracle 31."""

from fractions import Fraction
from math import factorial

import numpy as np
import pytest
import torch
from kernbench_stencil.stencils import SETS, STENCILS, fitting, taps

import kernbench
from kernbench.conv import convolve
from kernbench.registry import find_family

# name: (order of the derivative, degree up to which it is exact)
DERIVATIVES = {
    "forward_difference": (1, 1),
    "backward_difference": (1, 1),
    "central_difference": (1, 2),
    "second_difference": (2, 3),
    "third_difference": (3, 4),
    "fourth_difference": (4, 5),
    "first_derivative_order_4": (1, 4),
    "second_derivative_order_4": (2, 5),
}
AVERAGES = ("mean", "binomial", "trapezoid", "simpson")


def exact(name):
    """The stencil with its weights as fractions."""
    return {offset: Fraction(weight).limit_denominator(1000) for offset, weight in STENCILS[name].items()}


@pytest.mark.parametrize("name", DERIVATIVES)
def test_moments_of_a_difference_are_those_of_its_derivative(name):
    order, degree = DERIVATIVES[name]
    for power in range(degree + 1):
        moment = sum(weight * offset**power for offset, weight in exact(name).items())
        assert moment == (factorial(order) if power == order else 0), (name, power)


@pytest.mark.parametrize("name", [*AVERAGES, "identity", "shift_left", "shift_right", "sharpen"])
def test_averages_and_shifts_sum_to_one(name):
    assert sum(exact(name).values()) == 1


def test_quadrature_is_exact_on_its_polynomials():
    # over one step and over two steps, divided by the length
    assert [sum(w * o**p for o, w in exact("trapezoid").items()) for p in (0, 1)] == [1, Fraction(1, 2)]
    assert [sum(w * o**p for o, w in exact("simpson").items()) for p in range(4)] == [1, 0, Fraction(1, 3), 0]


def test_sharpen_is_identity_minus_second_difference():
    for offset in (-1, 0, 1):
        identity = STENCILS["identity"].get(offset, 0)
        assert STENCILS["sharpen"][offset] == identity - STENCILS["second_difference"][offset]


def test_shift_left_reads_the_next_sample():
    kernel = torch.zeros(1, 1, 3)
    for offset, weight in STENCILS["shift_left"].items():
        kernel[0, 0, 1 + offset] = weight
    assert convolve(torch.arange(6.0)[None, None], kernel)[0, 0].tolist() == [2, 3, 4, 5]


def test_the_upwind_step_moves_a_front_by_one_sample():
    front = np.array([0.0, 0, 0, 1, 1, 1])
    step = {o: STENCILS["identity"].get(o, 0) - STENCILS["backward_difference"].get(o, 0) for o in (-1, 0)}
    moved = [step[-1] * front[t - 1] + step[0] * front[t] for t in range(1, 6)]
    assert moved == front[:-1].tolist()


def test_a_step_multiplies_offsets():
    assert taps("second_difference", 4) == {-4: 1, 0: -2, 4: 1}


@pytest.mark.parametrize("chosen", SETS)
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 8, 65])
def test_only_stencils_that_fit_are_used_and_none_twice(chosen, kernel_size):
    found = fitting(chosen, 8, kernel_size)
    assert {0: 1.0} in found
    assert all(-((kernel_size - 1) // 2) <= offset <= kernel_size // 2 for stencil in found for offset in stencil)
    assert len({tuple(sorted(stencil.items())) for stencil in found}) == len(found)


def test_a_single_tap_is_a_gain():
    spec = kernbench.KernelSpec(2, 3, kernel_size=1)
    module = find_family("stencil").build(spec)
    assert torch.equal(module(spec.grid()), module.mix)


def test_the_kernel_is_the_mixture_written_out():
    spec = kernbench.KernelSpec(1, 1, kernel_size=9)
    module = find_family("stencil").build(spec, {"set": "difference", "scales": 2})
    expected = np.zeros(9)
    for amount, stencil in zip(module.mix[0, 0].tolist(), fitting("difference", 2, 9), strict=True):
        norm = np.sqrt(sum(weight**2 for weight in stencil.values()))
        for offset, weight in stencil.items():
            expected[4 + offset] += amount * weight / norm
    np.testing.assert_allclose(module(spec.grid())[0, 0].detach().numpy(), expected, atol=1e-6)


def test_the_compact_set_has_fewer_parameters_than_taps_for_large_kernels():
    for kernel_size in (65, 129, 257):
        assert len(fitting("compact", 8, kernel_size)) < kernel_size
