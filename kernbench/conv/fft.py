"""Backend `fft`: one FFT for all taps, then one small complex matrix product per frequency.

Operations grow with log L instead of K, and the weights' spectrum is held once, not once per batch element.
Measured on a CPU, three things decide the speed: matrices that are contiguous per frequency, no lazy conjugation of
the weights, and gradients by real transforms (autograd's rfft gradient is a full complex FFT).
"""

from typing import Any

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn import functional, grad


def convolve_fft(signal: Tensor, kernel: Tensor, dilation: int, groups: int) -> Tensor:
    """Valid cross-correlation by FFT; shapes as for `kernbench.conv.convolve`, float32 or float64."""
    result = _SpectralConvolution.apply(signal, kernel, dilation, groups)
    assert isinstance(result, Tensor)
    return result


class _SpectralConvolution(torch.autograd.Function):
    """y = irfft(X W)[span - 1 : L], with X of the signal and W of the kernel reversed in time.

    An FFT of length n >= L is enough: the circular wrap reaches only the first span - 1 values, which a valid
    convolution drops. With O, I, B the channels and batch at one frequency and group:
    Y (B x O) = X (B x I) W^T, dX = G conj(W), dW = G^T conj(X), G the spectrum of the gradient.
    """

    @staticmethod
    def forward(ctx: Any, signal: Tensor, kernel: Tensor, dilation: int, groups: int) -> Tensor:
        length = signal.shape[-1]
        n = next_fast_len(length, real=True)  # a large prime factor would make the FFT several times slower
        reversed_kernel = spread(kernel, dilation).flip(-1)
        x = _by_frequency(torch.fft.rfft(signal, n), groups)
        w = _by_frequency(torch.fft.rfft(reversed_kernel, n), groups, leading=True)
        ctx.save_for_backward(signal, kernel, x, w)
        ctx.n, ctx.dilation, ctx.groups = n, dilation, groups
        y = _by_channel(torch.bmm(x, w.transpose(1, 2)), groups)
        # n must be given: without it an odd length comes back one sample short
        everything: Tensor = torch.fft.irfft(y, n)
        return everything[..., reversed_kernel.shape[-1] - 1 : length]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        signal, kernel, x, w = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is asked for: the saved spectra carry no graph
            return *_direct_gradients(gradient, signal, kernel, ctx.dilation, ctx.groups), None, None
        length, span = signal.shape[-1], ctx.dilation * (kernel.shape[-1] - 1) + 1
        g = _by_frequency(torch.fft.rfft(functional.pad(gradient, (span - 1, 0)), ctx.n), ctx.groups)
        to_signal = to_kernel = None
        if ctx.needs_input_grad[0]:
            # conj(conj(G) W) instead of G conj(W): the weights' spectrum is the large one
            dx = _by_channel(torch.bmm(_conj(g), w), ctx.groups)
            to_signal = torch.fft.irfft(_conj(dx), ctx.n)[..., :length]
        if ctx.needs_input_grad[1]:
            dw = _by_channel(torch.bmm(g.transpose(1, 2), _conj(x)), ctx.groups, leading=True)
            to_kernel = torch.fft.irfft(dw, ctx.n)[..., :span].flip(-1)[..., :: ctx.dilation]
        return to_signal, to_kernel, None, None


def spread(kernel: Tensor, dilation: int) -> Tensor:
    """The same kernel with dilation - 1 zeros between its taps: (.., K) -> (.., dilation (K - 1) + 1)."""
    if dilation == 1:
        return kernel
    with_zeros = functional.pad(kernel.unsqueeze(-1), (0, dilation - 1))
    return with_zeros.flatten(-2)[..., : dilation * (kernel.shape[-1] - 1) + 1]


def _direct_gradients(
    gradient: Tensor, signal: Tensor, kernel: Tensor, dilation: int, groups: int
) -> tuple[Tensor, Tensor]:
    to_signal = functional.conv_transpose1d(gradient, kernel, dilation=dilation, groups=groups)
    to_kernel = grad.conv1d_weight(signal, kernel.shape, gradient, dilation=dilation, groups=groups)
    return to_signal, to_kernel


def _conj(spectrum: Tensor) -> Tensor:
    return spectrum.conj().resolve_conj()  # a lazy conjugate makes bmm several times slower


def _by_frequency(spectrum: Tensor, groups: int, leading: bool = False) -> Tensor:
    """One matrix per frequency and group: (R, g C, F) -> (F g, R, C); groups may lie in R instead (leading)."""
    rows, columns, frequencies = spectrum.shape
    flat = spectrum.reshape(rows * columns, frequencies).t().contiguous()  # 2-D: torch transposes it in blocks
    if groups == 1 or leading:
        return flat.view(frequencies * groups, rows // groups if leading else rows, columns)
    return flat.view(frequencies, rows, groups, columns // groups).transpose(1, 2).flatten(0, 1)


def _by_channel(matrices: Tensor, groups: int, leading: bool = False) -> Tensor:
    """Back from one matrix per frequency and group: the inverse of `_by_frequency`."""
    count, rows, columns = matrices.shape
    frequencies = count // groups
    if groups > 1 and not leading:
        matrices = matrices.view(frequencies, groups, rows, columns).transpose(1, 2).contiguous()
    flat = matrices.reshape(frequencies, -1).t().contiguous()
    return flat.view(rows * groups, columns, frequencies) if leading else flat.view(rows, columns * groups, frequencies)
