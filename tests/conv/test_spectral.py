"""Convolution in blocks at every cut: values and gradients are those of conv1d, whatever is kept or made in parts."""

import pytest
import torch
from gradients import with_gradients
from hypothesis import given, settings
from hypothesis import strategies as st
from retained import retained_bytes
from torch.nn import functional

from kernbench.conv import spectral
from kernbench.conv.plan import candidates, cut, good_size, whole
from kernbench.conv.spectral import convolve_spectral


@st.composite
def cuts(draw):
    """Float64 signal and kernel, groups, and a plan of one or many blocks."""
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    per_group, outputs = draw(st.sampled_from([1, 2, 3])), groups * draw(st.integers(1, 3))
    dilation, taps = draw(st.integers(1, 4)), draw(st.integers(1, 12))
    length = dilation * (taps - 1) + draw(st.integers(1, 90))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    signal = torch.randn(draw(st.integers(1, 3)), groups * per_group, length, generator=generator, dtype=torch.float64)
    kernel = torch.randn(outputs, per_group, taps, generator=generator, dtype=torch.float64)
    smallest = max(2 * (taps - 1), 2)
    size = good_size(draw(st.integers(smallest, smallest + 40)))
    plan = draw(st.sampled_from([cut(length, taps, dilation, size), whole(length, taps, dilation)]))
    return signal, kernel, groups, plan


@settings(max_examples=150)
@given(cuts())
def test_every_cut_gives_values_and_gradients_of_conv1d(case):
    signal, kernel, groups, plan = case
    ours = with_gradients(lambda x, k: convolve_spectral(x, k, groups, plan), signal, kernel)
    theirs = with_gradients(lambda x, k: functional.conv1d(x, k, dilation=plan.phases, groups=groups), signal, kernel)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


@settings(max_examples=40)
@given(cuts(), st.sampled_from([(1, 1, 0), (1, 10**9, 10**9), (700, 300, 10**9), (700, 300, 0)]))
def test_parts_and_what_is_kept_do_not_change_the_answer(case, limits):
    signal, kernel, groups, plan = case
    expected = with_gradients(lambda x, k: convolve_spectral(x, k, groups, plan), signal, kernel)
    names = ("KERNEL_PART_BYTES", "LINES_PART_BYTES", "KEPT_BYTES")
    with pytest.MonkeyPatch.context() as patch:
        for name, limit in zip(names, limits, strict=True):
            patch.setattr(spectral, name, limit)
        ours = with_gradients(lambda x, k: convolve_spectral(x, k, groups, plan), signal, kernel)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("size", [16, 32, 64, 128])
@pytest.mark.parametrize("length", [128, 127, 129])
def test_no_block_wraps_around(length, size):
    """Impulses at the line's ends and at every border of a block, a kernel with impulses at its ends."""
    plan = cut(length, 8, 1, size)
    signal = torch.zeros(1, 1, length, dtype=torch.float64)
    borders = [b * plan.step + offset for b in range(plan.blocks) for offset in (-1, 0, 1, plan.taps - 1)]
    signal[..., [0, length - 1, *(b for b in borders if 0 <= b < length)]] = 1
    kernel = torch.zeros(1, 1, 8, dtype=torch.float64)
    kernel[..., 0], kernel[..., -1] = 2, 3
    ours = convolve_spectral(signal, kernel, 1, plan)
    assert (ours - functional.conv1d(signal, kernel)).abs().max() <= 1e-12 * 5


@pytest.mark.parametrize("channels", [(2, 3, 1), (1, 3, 1), (2, 4, 2)])
def test_derivatives_of_a_cut_pass_gradcheck(channels):
    inputs, outputs, groups = channels
    plan = cut(40, 4, 2, 8)
    assert plan.blocks > 2
    signal = torch.randn(2, inputs, 40, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(outputs, inputs // groups, 4, dtype=torch.float64, requires_grad=True)
    compute = lambda x, k: convolve_spectral(x, k, groups, plan)  # noqa: E731
    assert torch.autograd.gradcheck(compute, (signal, kernel))
    assert torch.autograd.gradgradcheck(compute, (signal, kernel))


@pytest.mark.parametrize("wanted", [(True, False), (False, True), (False, False)])
def test_only_spectra_of_wanted_gradients_are_kept(wanted):
    signal = torch.randn(2, 4, 1000, requires_grad=wanted[0])
    kernel = torch.randn(8, 4, 65, requires_grad=wanted[1])
    plan = cut(1000, 65, 1, 256)
    own = 4 * (signal.numel() + kernel.numel())
    of_kernel = 8 * plan.frequencies * 8 * 4
    of_signal = 8 * plan.frequencies * plan.blocks * 2 * 4
    expected = own + wanted[0] * of_kernel + wanted[1] * of_signal if any(wanted) else 0
    assert retained_bytes(lambda: convolve_spectral(signal, kernel, 1, plan)) == expected


def test_the_result_can_be_changed_in_place():
    for dilation in (1, 3):
        signal = torch.randn(1, 2, 50, requires_grad=True)
        output = convolve_spectral(signal, torch.randn(2, 2, 5), 1, whole(50, 5, dilation)).add_(1)
        output.sum().backward()
        assert signal.grad is not None


@settings(max_examples=200)
@given(st.integers(1, 9000), st.integers(1, 2200), st.integers(1, 40))
def test_candidates_cover_the_line_and_overlap_neighbours_only(length, taps, dilation):
    if dilation * (taps - 1) + 1 > length:
        return
    outputs = -(-(length - dilation * (taps - 1)) // dilation)
    plans = candidates(length, taps, dilation)
    assert plans[0].blocks == 1
    for plan in plans:
        assert plan.size % 2 == 0
        assert plan.step == plan.size - taps + 1
        assert (plan.blocks - 1) * plan.step < outputs <= plan.blocks * plan.step
        assert plan.blocks == 1 or plan.size >= 2 * (taps - 1)
        assert 30**14 % plan.size == 0  # no prime factor above 5


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("channels", [(4, 6, 1), (1, 3, 1), (4, 4, 4), (4, 8, 2)])
def test_cuda_agrees_with_the_cpu(channels):
    inputs, outputs, groups = channels
    signal, kernel = torch.randn(3, inputs, 500), torch.randn(outputs, inputs // groups, 33)
    plan = cut(500, 33, 2, 128)
    expected = with_gradients(lambda x, k: convolve_spectral(x, k, groups, plan), signal.double(), kernel.double())
    ours = with_gradients(lambda x, k: convolve_spectral(x.cuda(), k.cuda(), groups, plan).cpu(), signal, kernel)
    for own, wanted in zip(ours, expected, strict=True):
        torch.testing.assert_close(own.double(), wanted, rtol=1e-4, atol=1e-3)
