"""`convolve` against torch and scipy, which have the identities of a correlation; oracles 2, 3, 4 and 28."""

import numpy as np
import pytest
import scipy.signal
import torch
from gradients import with_gradients
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from kernbench.conv import convolve
from kernbench.conv.backends import BACKENDS
from kernbench.errors import KernbenchError, KernbenchWarning

EXACT = ("direct", "fft", "overlap_save", "auto")
ALL = tuple(BACKENDS)


@st.composite
def cases(draw):
    """A signal and a kernel in float64 with any groups, dilation, odd or even K, K up to L, any L."""
    groups = draw(st.integers(1, 3))
    inputs, outputs = groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
    dilation, taps = draw(st.integers(1, 4)), draw(st.integers(1, 20))
    span = dilation * (taps - 1) + 1
    length = draw(st.sampled_from([span, span + 1, 64, 97, 101, 120])) if span <= 64 else span + draw(st.integers(0, 9))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    signal = torch.randn(draw(st.integers(1, 3)), inputs, max(length, span), generator=generator, dtype=torch.float64)
    kernel = torch.randn(outputs, inputs // groups, taps, generator=generator, dtype=torch.float64)
    return signal, kernel, dilation, groups


@settings(max_examples=60)
@given(cases(), st.sampled_from(EXACT))
def test_values_and_gradients_are_those_of_conv1d(case, backend):
    signal, kernel, dilation, groups = case
    ours = with_gradients(lambda x, k: convolve(x, k, dilation, groups, backend), signal, kernel)
    theirs = with_gradients(lambda x, k: functional.conv1d(x, k, dilation=dilation, groups=groups), signal, kernel)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


@settings(max_examples=40)
@given(cases(), st.sampled_from(ALL))
def test_float32_error_is_small_against_the_kernels_l1_norm(case, backend):
    signal, kernel, dilation, groups = case
    output = convolve(signal.float(), kernel.float(), dilation, groups, backend)
    expected = functional.conv1d(signal, kernel, dilation=dilation, groups=groups)
    scale = kernel.abs().sum(dim=(1, 2)).max() * signal.abs().max()
    assert output.dtype == torch.float32
    assert (output.double() - expected).abs().max() <= 2e-5 * scale


@pytest.mark.parametrize("backend", EXACT)
@pytest.mark.parametrize(("length", "taps"), [(50, 7), (64, 8), (97, 97), (128, 65)])
def test_equals_scipy_correlate(backend, length, taps):
    rng = np.random.default_rng(length)
    x, k = rng.standard_normal(length), rng.standard_normal(taps)
    ours = convolve(torch.from_numpy(x)[None, None], torch.from_numpy(k)[None, None], backend=backend)[0, 0].numpy()
    np.testing.assert_allclose(ours, scipy.signal.correlate(x, k, "valid"), rtol=0, atol=1e-12)


@pytest.mark.parametrize("backend", EXACT)
@pytest.mark.parametrize(("groups", "dilation"), [(1, 1), (2, 3)])
def test_first_and_second_derivatives_pass_gradcheck(backend, groups, dilation):
    signal = torch.randn(2, 2 * groups, 21, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(2 * groups, 2, 5, dtype=torch.float64, requires_grad=True)

    def compute(x, k):
        return convolve(x, k, dilation, groups, backend)

    assert torch.autograd.gradcheck(compute, (signal, kernel))
    assert torch.autograd.gradgradcheck(compute, (signal, kernel))


@pytest.mark.parametrize("wanted", [(True, False), (False, True)])
def test_fft_gives_only_the_gradient_that_is_asked_for(wanted):
    signal = torch.randn(1, 2, 30, requires_grad=wanted[0])
    kernel = torch.randn(3, 2, 20, requires_grad=wanted[1])
    convolve(signal, kernel, backend="fft").sum().backward()
    assert (signal.grad is not None, kernel.grad is not None) == wanted


@pytest.mark.parametrize("backend", ALL)
@pytest.mark.parametrize(("length", "taps", "dilation"), [(8, 9, 1), (20, 6, 4), (1, 2, 1)])
def test_a_kernel_longer_than_the_signal_is_refused(backend, length, taps, dilation):
    with pytest.raises(KernbenchError, match=rf"K = {taps} taps at dilation {dilation} spans .* has {length}"):
        convolve(torch.zeros(1, 1, length), torch.zeros(1, 1, taps), dilation, backend=backend)


@pytest.mark.parametrize("backend", ALL)
@pytest.mark.parametrize(
    ("signal", "kernel", "groups"),
    [((1, 3, 9), (2, 2, 3), 1), ((1, 4, 9), (3, 2, 3), 2), ((3, 9), (2, 2, 3), 1), ((1, 2, 9), (2, 2, 3), 0)],
)
def test_shapes_that_do_not_fit_are_one_clear_line(backend, signal, kernel, groups):
    with pytest.raises(KernbenchError) as caught:
        convolve(torch.zeros(signal), torch.zeros(kernel), 1, groups, backend)
    assert "\n" not in str(caught.value)


def test_mixed_dtypes_are_refused():
    with pytest.raises(KernbenchError, match="share dtype"):
        convolve(torch.zeros(1, 1, 9), torch.zeros(1, 1, 3, dtype=torch.float64))


def test_an_unknown_backend_is_refused_with_the_nearest():
    with pytest.raises(KernbenchError, match="did you mean 'direct'"):
        convolve(torch.zeros(1, 1, 9), torch.zeros(1, 1, 3), backend="diret")


@pytest.mark.parametrize("backend", ALL)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(backend, dtype):
    signal, kernel = torch.randn(1, 2, 300).to(dtype), torch.randn(2, 2, 101).to(dtype)
    output = convolve(signal, kernel, backend=backend)
    assert output.dtype == dtype
    expected = functional.conv1d(signal.float(), kernel.float())
    torch.testing.assert_close(output, expected.to(dtype), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("backend", EXACT)
def test_autocast_does_not_lower_the_precision(backend):
    signal, kernel = torch.randn(1, 2, 300), torch.randn(2, 2, 33)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = convolve(signal, kernel, backend=backend)
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, functional.conv1d(signal, kernel), rtol=1e-4, atol=1e-4)


def test_fft_conv_warns_that_float64_is_computed_in_float32():
    signal, kernel = torch.randn(1, 1, 50, dtype=torch.float64), torch.randn(1, 1, 9, dtype=torch.float64)
    with pytest.warns(KernbenchWarning, match="float32"):
        output = convolve(signal, kernel, backend="fft_conv")
    assert output.dtype == torch.float64
    torch.testing.assert_close(output, functional.conv1d(signal, kernel), rtol=0, atol=1e-4)


def test_an_answer_of_the_wrong_length_from_fft_conv_is_caught(monkeypatch):
    import fft_conv_pytorch

    monkeypatch.setattr(fft_conv_pytorch, "fft_conv", lambda *args, **kwargs: torch.zeros(1, 1, 3))
    with pytest.raises(KernbenchError, match="Use backend fft"):
        convolve(torch.zeros(1, 1, 50), torch.zeros(1, 1, 9), backend="fft_conv")


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int32, torch.int64, torch.complex64])
@pytest.mark.parametrize("backend", list(BACKENDS))
def test_numbers_that_a_spectrum_cannot_hold_are_refused_by_every_backend(dtype, backend):
    signal, kernel = torch.ones(1, 1, 64).to(dtype), torch.ones(1, 1, 5).to(dtype)
    with pytest.raises(KernbenchError, match=rf"floating-point numbers, got {dtype}; convert both"):
        convolve(signal, kernel, backend=backend)
