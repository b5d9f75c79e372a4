"""Backend `direct` where it takes a way of its own: large tensors in parts, first layers, dilated depthwise layers."""

import pytest
import torch
from gradients import with_gradients
from torch.nn import functional

from kernbench.conv import convolve, direct

# signal, kernel, dilation, groups
CASES = {
    "in parts": ((5, 4, 300), (6, 4, 7), 2, 1),
    "in parts, groups": ((5, 4, 300), (6, 2, 7), 1, 2),
    "first layer": ((3, 1, 4100), (5, 1, 9), 1, 1),
    "first layer in parts": ((5, 1, 4100), (3, 1, 4), 1, 1),
    "dilated depthwise": ((2, 8, 4100), (8, 1, 6), 3, 8),
    "dilated depthwise in parts": ((4, 16, 4100), (16, 1, 3), 64, 16),
}


@pytest.fixture(params=CASES)
def case(request, monkeypatch):
    """Signal and kernel in float64, dilation and groups; limits so low that a line or two are a part."""
    signal, kernel, dilation, groups = CASES[request.param]
    if "parts" in request.param:
        line = 8 * signal[2] * max(signal[1], kernel[0])
        monkeypatch.setattr(direct, "LARGE_BYTES", line)
        monkeypatch.setattr(direct, "PART_BYTES", 2 * line)
    generator = torch.Generator().manual_seed(3)
    made = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in (signal, kernel))
    return *made, dilation, groups


def derivatives(compute, signal, kernel):
    """Output, first derivatives of a weighted sum of it, and derivatives of their weighted sum."""
    x, k = signal.clone().requires_grad_(), kernel.clone().requires_grad_()
    output = compute(x, k)
    weights = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output).requires_grad_()
    first = torch.autograd.grad(output, (x, k), weights, create_graph=True)
    sums = sum((each * torch.linspace(0, 1, each.numel(), dtype=each.dtype).view_as(each)).sum() for each in first)
    return output, *first, *torch.autograd.grad(sums, (x, k, weights))


def ways(dilation, groups):
    return (
        lambda x, k: convolve(x, k, dilation, groups, "direct"),
        lambda x, k: functional.conv1d(x, k, dilation=dilation, groups=groups),
    )


def test_the_case_takes_its_own_way(case):
    signal, kernel, dilation, groups = case
    output = direct.convolve_direct(signal.requires_grad_(), kernel, dilation, groups)
    assert "DirectConvolution" in output.grad_fn.name()


def test_second_derivatives_are_those_of_conv1d(case):
    signal, kernel, *shape = case
    ours, theirs = (derivatives(compute, signal, kernel) for compute in ways(*shape))
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-9)


def test_float32_is_as_exact_as_elsewhere(case):
    signal, kernel, *shape = case
    ours, theirs = (
        with_gradients(way, *pair)
        for way, pair in zip(ways(*shape), ((signal.float(), kernel.float()), (signal, kernel)), strict=True)
    )
    for mine, expected in zip(ours, theirs, strict=True):
        assert mine.dtype == torch.float32
        assert (mine - expected).abs().max() <= 2e-5 * expected.abs().max()


@pytest.mark.parametrize("wanted", [(True, True), (True, False), (False, True)])
def test_values_and_the_gradients_that_are_asked_for_are_those_of_conv1d(case, wanted):
    signal, kernel, *shape = case
    ours, theirs = (with_gradients(compute, signal, kernel, wanted) for compute in ways(*shape))
    assert [each is not None for each in ours[1:]] == list(wanted)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-10)
