"""Convolution under `torch.func` transforms and `torch.jit.trace`: plain operations, which carry any of them.

Gradients written by hand know neither, and work in place on tensors that a transform has not batched.
"""

import torch
from torch import Tensor
from torch.jit import is_tracing  # type: ignore[attr-defined]  # public, but not for mypy
from torch.nn import functional

from kernbench.conv.plan import good_size


def is_transformed() -> bool:
    """Whether a transform of `torch.func` (vmap, grad, jvp, ...) or a trace of `torch.jit` is under way."""
    if torch.compiler.is_compiling():  # which has means of its own
        return False
    # no public name says so; torch.autograd.Function.apply asks the same before it refuses
    return is_tracing() or bool(torch._C._are_functorch_transforms_active())


def convolve_transformed(signal: Tensor, kernel: Tensor, dilation: int, groups: int, *, spectral: bool) -> Tensor:
    """Valid cross-correlation, by one spectrum of each whole line or as torch's convolution.

    Args:
        signal: shape (B, Ci, L).
        kernel: shape (Co, Ci // groups, K).
        dilation: samples between neighbouring taps.
        groups: blocks of channels that do not see each other.
        spectral: whether by spectra.
    """
    if not spectral:
        return functional.conv1d(signal, kernel, dilation=dilation, groups=groups)
    length, taps = signal.shape[2], kernel.shape[2]
    span = dilation * (taps - 1) + 1
    # A trace keeps numbers that Python computes: it would cut lines that are longer than those it was made with.
    size = length if is_tracing() else good_size(length)
    spread = functional.pad(kernel.unsqueeze(-1), (0, dilation - 1)).flatten(2)[..., :span]
    lines = torch.fft.rfft(functional.pad(signal, (0, size - length)))
    filters = torch.fft.rfft(functional.pad(spread, (0, size - span))).conj()
    product = torch.einsum("bgif,goif->bgof", lines.unflatten(1, (groups, -1)), filters.unflatten(0, (groups, -1)))
    return torch.as_tensor(torch.fft.irfft(product, n=size)[..., : length - span + 1].flatten(1, 2))
