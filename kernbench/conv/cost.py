"""Floating-point operations of a convolution in closed form; counters of torch price an FFT at 0."""

import math
from collections.abc import Sequence

from kernbench.conv.plan import Plan, whole


def direct_flops(signal: Sequence[int], kernel: Sequence[int], dilation: int) -> int:
    """Forward operations of a direct convolution: 2 B P K L_out, P = Co Ci / groups.

    Args:
        signal: shape (B, Ci, L).
        kernel: shape (Co, Ci // groups, K).
        dilation: samples between neighbouring taps.
    """
    batch, _, length = signal
    outputs, inputs, taps = kernel
    return 2 * batch * outputs * inputs * taps * (length - dilation * (taps - 1))


def multiply_adds(signal: Sequence[int], kernel: Sequence[int], dilation: int) -> int:
    """Those of a direct convolution, forward and both gradients; arguments as for `direct_flops`."""
    return 3 * direct_flops(signal, kernel, dilation) // 2


def block_flops(signal: tuple[int, ...], kernel: tuple[int, ...], plan: Plan) -> float:
    """Forward operations of a convolution in blocks: 2.5 n log2 n (N Ci + P + N Co) + 8 N F P.

    n samples a block, N = B d blocks of them per channel, F = n // 2 + 1; other symbols as for `direct_flops`.
    """
    batch, inputs, _ = signal
    outputs, per_group, _ = kernel
    columns, pairs = batch * plan.phases * plan.blocks, outputs * per_group
    transforms = 2.5 * plan.size * math.log2(plan.size) * (columns * (inputs + outputs) + pairs)
    return transforms + 8 * columns * plan.frequencies * pairs


def fft_flops(signal: tuple[int, ...], kernel: tuple[int, ...], dilation: int = 1) -> float:
    """Forward operations of backend `fft`: `block_flops` with a single block per phase."""
    return block_flops(signal, kernel, whole(signal[2], kernel[2], dilation))
