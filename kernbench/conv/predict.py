"""Seconds that a convolution takes, forward and backward, from shapes and constants of a machine.

FFT methods are a sum of what they do (samples transformed, entries multiplied, calls) times a constant each; the
direct convolution, whose speed jumps between the library's own methods, is interpolated in a table of rates.
"""

import itertools
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kernbench.conv.cost import multiply_adds
from kernbench.conv.plan import Plan

# What is counted, in the order of `work`. A mixed size is one that is not a power of two.
TERMS = (
    "call",
    "size",  # samples of a block, for setting up the FFT
    "size_mixed",
    "row",  # FFTs
    "sample",  # in them
    "sample_log",  # times log2 of the size
    "sample_mixed",
    "sample_dilated",  # gathered from and put back to the phases of a dilated kernel
    "matrix",  # products
    "multiply_add",  # real ones, in the matrix products
    "weight",  # entries of the kernel's spectrum in them
    "pointwise",  # entries multiplied one by one
)

# torch's CPU library: up to so many taps a method that fills channels up to blocks of so many (with AVX-512)
PADDED_TAPS, PADDED_CHANNELS = 13, 16
# and a method for a single line of no more samples in all channels
SINGLE_SAMPLES = 20480


@dataclass(frozen=True)
class CostTable:
    """Direct convolution of one kind of layer: picoseconds per multiply-add, forward and backward together.

    Attributes:
        lengths: of lines that were measured, rising.
        channels: widths that were measured, rising.
        taps: kernel sizes that were measured, rising.
        picoseconds: for each length a row for each width, a number for each kernel size.
        call: nanoseconds of the smallest layer of this kind, forward and backward.
        padded: how many of input and output channels are filled up to full blocks for few taps, 0 to 2.
    """

    lengths: tuple[int, ...]
    channels: tuple[int, ...]
    taps: tuple[int, ...]
    picoseconds: tuple[tuple[tuple[float, ...], ...], ...]
    call: float
    padded: int = 0

    def at(self, length: int, channels: float, taps: int) -> float:
        """Interpolated in logarithms, per multiply-add of the channels as filled up; beyond the table its edge."""
        axes = (_place(self.lengths, length), _place(self.channels, channels), _place(self.taps, taps))
        total = 0.0
        for (h, a), (i, b), (j, c) in itertools.product(*axes):
            if a * b * c:
                total += a * b * c * math.log(self.picoseconds[h][i][j] / self._filled(self.channels[i], taps))
        return math.exp(total) * self._filled(channels, taps)

    def _filled(self, channels: float, taps: int) -> float:
        """Multiply-adds done for one that is asked for."""
        if taps > PADDED_TAPS:
            return 1.0
        return (math.ceil(channels / PADDED_CHANNELS) * PADDED_CHANNELS / channels) ** self.padded


@dataclass(frozen=True, eq=False)
class Constants:
    """What a machine needs for each kind of work, in nanoseconds; fitted by `kernbench.conv.fit`.

    Equal only to themselves, so that what was chosen by them is found again without a comparison of tables.

    Attributes:
        matrix: for kernels with several input channels per group, a number for each of `TERMS`.
        elementwise: the same for one input channel per group.
        direct: tables by kind of layer: "dense", "first" (one input channel), both also "_single" (one line only, for
            which torch has a method of its own if it is short), "depthwise"; each also with "_dilated".
    """

    matrix: Mapping[str, float]
    elementwise: Mapping[str, float]
    direct: Mapping[str, CostTable]


def work(signal: Sequence[int], kernel: Sequence[int], plan: Plan) -> tuple[float, ...]:
    """Amounts of work of a convolution in blocks, forward and backward, in the order of `TERMS`.

    Args:
        signal: shape (B, Ci, L).
        kernel: shape (Co, Ci // groups, K).
        plan: how the lines are cut.
    """
    batch, inputs, _ = signal
    outputs, per_group, _ = kernel
    columns, pairs = batch * plan.phases * plan.blocks, outputs * per_group
    rows = 2 * columns * (inputs + outputs) + 2 * pairs
    samples, mixed = rows * plan.size, plan.size & (plan.size - 1) != 0
    dense = per_group > 1
    return (
        1,
        plan.size,
        plan.size * mixed,
        rows,
        samples,
        samples * math.log2(plan.size),
        samples * mixed,
        2 * columns * (inputs + outputs) * plan.step * (plan.phases > 1),
        3 * plan.frequencies * (inputs // per_group) * dense,
        3 * 4 * plan.frequencies * columns * pairs * dense,
        3 * plan.frequencies * pairs * dense,
        3 * plan.frequencies * columns * outputs * (not dense),
    )


def seconds_in_blocks(signal: Sequence[int], kernel: Sequence[int], plan: Plan, constants: Constants) -> float:
    """Predicted seconds of a convolution in blocks; arguments as for `work`."""
    prices = constants.matrix if kernel[1] > 1 else constants.elementwise
    return 1e-9 * sum(amount * prices[term] for term, amount in zip(TERMS, work(signal, kernel, plan), strict=True))


def seconds_direct(signal: Sequence[int], kernel: Sequence[int], dilation: int, constants: Constants) -> float:
    """Predicted seconds of a direct convolution; shapes as for `work`."""
    outputs, per_group, taps = kernel
    kind, width = _layer(signal, outputs, per_group)
    table = constants.direct[kind if dilation == 1 else f"{kind}_dilated"]
    return 1e-9 * table.call + 1e-12 * multiply_adds(signal, kernel, dilation) * table.at(signal[2], width, taps)


def _layer(signal: Sequence[int], outputs: int, per_group: int) -> tuple[str, float]:
    """Table of a layer, and the width to read it at."""
    batch, inputs, length = signal
    single = "_single" if batch == 1 and inputs * length <= SINGLE_SAMPLES else ""
    if inputs == 1:
        return f"first{single}", outputs
    if per_group == 1:
        return "depthwise", outputs
    return f"dense{single if per_group == inputs else ''}", math.sqrt(per_group * outputs * per_group / inputs)


def _place(nodes: Sequence[int], value: float) -> tuple[tuple[int, float], ...]:
    """Nodes around a value with their weights, by logarithmic distance; ends are held."""
    if value <= nodes[0]:
        return ((0, 1.0),)
    if value >= nodes[-1]:
        return ((len(nodes) - 1, 1.0),)
    below = bisect_right(nodes, value) - 1
    share = math.log(value / nodes[below]) / math.log(nodes[below + 1] / nodes[below])
    return ((below, 1 - share), (below + 1, share))
