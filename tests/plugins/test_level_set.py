"""Network `level_set`: its step moves fronts by whole samples, is stable, and has the stencils of `stencil`."""

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from kernbench_architectures.euler_block import OPERATIONS, upwind
from torch.nn import functional
from torch.overrides import TorchFunctionMode

import kernbench
from kernbench.networks.network import build
from kernbench.registry import find_network

LEVEL_SET = find_network("level_set").architecture


def step(front, speed, growth):
    """A step of one channel, (L,) -> (L - 2,)."""
    v, f = (torch.full((1, 1), float(each), dtype=front.dtype) for each in (speed, growth))
    return upwind(front.view(1, 1, -1), v, f).flatten()


def block(low, high, length=20):
    """1 from sample `low` to before `high`, else 0."""
    return ((torch.arange(length) >= low) & (torch.arange(length) < high)).float()


# front of samples 6 .. 11 -> where it is after a step
@pytest.mark.parametrize(
    ("speed", "growth", "after"),
    [(1, 0, (7, 13)), (-1, 0, (5, 11)), (0, -1, (5, 13)), (0, 1, (7, 11)), (0, 0, (6, 12))],
)
@pytest.mark.parametrize("steps", [1, 3])
def test_a_front_moves_by_exactly_one_sample_a_step(speed, growth, after, steps):
    front = block(6, 12)
    for _ in range(steps):
        front = step(front, speed, growth)
    low, high = (12 * (end == 1) + 6 * (end == 0) + steps * (after[end] - (6, 12)[end]) for end in (0, 1))
    assert torch.equal(front, block(low, high)[steps:-steps])


def test_differences_are_the_stencils_of_one_tap_each():
    """D- = -1 1 at lags -1, 0 and D+ = -1 1 at lags 0, 1, as the family `stencil` has them."""
    line = torch.randn(1, 1, 30, dtype=torch.float64)
    back = functional.conv1d(line, torch.tensor([[[-1.0, 1.0, 0.0]]], dtype=torch.float64)).flatten()
    ahead = functional.conv1d(line, torch.tensor([[[0.0, -1.0, 1.0]]], dtype=torch.float64)).flatten()
    middle = line.flatten()[1:-1]
    torch.testing.assert_close(step(line.flatten(), 0.3, 0), middle - 0.3 * back, rtol=0, atol=1e-14)
    torch.testing.assert_close(step(line.flatten(), -0.3, 0), middle + 0.3 * ahead, rtol=0, atol=1e-14)
    outwards = torch.maximum(back, -ahead).clamp(min=0)
    torch.testing.assert_close(step(line.flatten(), 0, 0.3), middle - 0.3 * outwards, rtol=0, atol=1e-14)


@given(
    values=st.lists(st.floats(-10, 10), min_size=3, max_size=12),
    speed=st.floats(-1, 1),
    share=st.floats(-1, 1),
)
def test_no_step_leaves_the_range_of_its_neighbours(values, speed, share):
    """The maximum principle: what makes an explicit scheme stable."""
    front = torch.tensor(values, dtype=torch.float64)
    after = step(front, speed, share * (1 - abs(speed)))
    around = front.unfold(0, 3, 1)
    assert (after <= around.amax(1) + 1e-12).all()
    assert (after >= around.amin(1) - 1e-12).all()


def test_learned_speeds_stay_where_the_scheme_is_stable():
    network = build("level_set", "discrete", 5, 4)
    with torch.no_grad():
        for each in network.blocks:
            each.speeds.normal_(std=5)
            each.speeds[0, :, 0] = torch.tensor([[0.3], [-0.2]])
    for each in network.blocks:
        bounded = each.bounded()
        assert (bounded.abs().sum(1) <= 1 + 1e-6).all()
        assert torch.equal(bounded[0, :, 0], each.speeds[0, :, 0])  # what is stable anyway stays


def test_every_speed_is_trained():
    torch.manual_seed(0)
    network = build("level_set", "discrete", 5, 4).train()
    network(torch.randn(4, 1, 100)).square().mean().backward()
    assert all((each.speeds.grad != 0).all() for each in network.blocks)


def test_without_a_step_it_is_the_plain_network_bit_for_bit():
    torch.manual_seed(0)
    ours = build(dataclasses.replace(LEVEL_SET, steps=0), "siren", 9, 4)
    torch.manual_seed(0)
    plain = build(kernbench.Architecture("row", 2, 4, 9), "siren", 9, 4)
    signal = torch.randn(3, 1, 60)
    for mode in (True, False):
        assert torch.equal(ours.train(mode)(signal), plain.train(mode)(signal))
    assert ours.padding == plain.padding


def test_one_output_of_a_step_takes_as_many_operations_as_are_counted():
    """Those on whole lines: of numbers of a channel alone, such as max(v, 0), a line has none."""
    counted = []

    class Counting(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor) and result.numel() == 98 and "getitem" not in str(function):
                counted.append(function)
            return result

    front, one = torch.randn(1, 1, 100), torch.full((1, 1), 0.2)
    with Counting():
        upwind(front, one, one)
    slices = [each for each in counted if "slice" in str(each) or "getitem" in str(each)]
    assert len(counted) - len(slices) == OPERATIONS


@pytest.mark.parametrize("steps", [-1, 2.0, True])
def test_what_is_no_number_of_steps_is_refused(steps):
    with pytest.raises(kernbench.KernbenchError, match="steps must be a whole number >= 0, got"):
        dataclasses.replace(LEVEL_SET, steps=steps)
