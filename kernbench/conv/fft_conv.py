"""Backend `fft_conv`: the package fft-conv-pytorch, as a peer and a second opinion; never chosen by `auto`.

It copies the weights' spectrum for every batch element, and it computes in float32 whatever it is given.
"""

import warnings

import torch
from torch import Tensor

from kernbench.errors import KernbenchError, KernbenchWarning


def convolve_fft_conv(signal: Tensor, kernel: Tensor, dilation: int, groups: int) -> Tensor:
    """Valid cross-correlation by fft-conv-pytorch; shapes as for `kernbench.conv.convolve`.

    float64 input is computed in float32, cast back, and a `KernbenchWarning` says so.
    """
    from fft_conv_pytorch import fft_conv  # noqa: PLC0415  # a peer: nothing else should wait for it

    if signal.dtype == torch.float64:
        warnings.warn(
            "backend fft_conv computes in float32: a float64 signal keeps about 7 digits; use direct or fft",
            KernbenchWarning,
            stacklevel=3,
        )
    with warnings.catch_warnings():
        # version 1.2.0 indexes a tensor with a list of slices, which torch announces it will read otherwise
        warnings.simplefilter("ignore")
        output: Tensor = fft_conv(signal, kernel, dilation=dilation, groups=groups)
    expected = (signal.shape[0], kernel.shape[0], signal.shape[2] - dilation * (kernel.shape[2] - 1))
    if tuple(output.shape) != expected:
        raise KernbenchError(
            f"fft-conv-pytorch answered with shape {tuple(output.shape)}, expected {expected}; this torch may read its "
            "list index as a tensor. Use backend fft."
        )
    return output.to(signal.dtype)
