"""Floating-point operations of a convolution in closed form; counters of torch price an FFT at 0."""

import math

from scipy.fft import next_fast_len


def direct_flops(signal: tuple[int, ...], kernel: tuple[int, ...], dilation: int) -> int:
    """Forward operations of a direct convolution: 2 B P K L_out, P = Co Ci / groups.

    Args:
        signal: shape (B, Ci, L).
        kernel: shape (Co, Ci // groups, K).
        dilation: samples between neighbouring taps.
    """
    batch, _, length = signal
    outputs, inputs, taps = kernel
    return 2 * batch * outputs * inputs * taps * (length - dilation * (taps - 1))


def fft_flops(signal: tuple[int, ...], kernel: tuple[int, ...]) -> float:
    """Forward operations of an FFT convolution: 2.5 n log2 n (B Ci + P + B Co) + 8 B F P, F = n // 2 + 1.

    Shapes as for `direct_flops`; dilation does not enter.
    """
    batch, inputs, length = signal
    outputs, per_group, _ = kernel
    n = int(next_fast_len(length, real=True))
    pairs = outputs * per_group
    transforms = 2.5 * n * math.log2(max(n, 2)) * (batch * inputs + pairs + batch * outputs)
    return transforms + 8 * batch * (n // 2 + 1) * pairs
