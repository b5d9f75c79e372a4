"""How a line is cut for the FFT: phases of a dilated kernel, blocks of a length, samples that each block yields."""

from dataclasses import dataclass
from functools import lru_cache

import scipy  # not scipy.fft: it takes a tenth of a second, which a command that convolves nothing need not wait


@dataclass(frozen=True)
class Plan:
    """Cutting of one line of L samples for a kernel of K taps at dilation d.

    A kernel at dilation d never mixes samples of different phase (position modulo d), so the line is d lines of
    ceil(L / d) samples that meet the K taps without gaps. Each is cut into blocks that overlap by K - 1 samples.

    Attributes:
        phases: d.
        taps: K.
        length: samples of a phase, ceil(L / d), the shorter ones filled up with a zero.
        size: samples of a block, the length of the FFT, even.
        step: outputs of a block, size - K + 1.
        blocks: blocks per phase.
    """

    phases: int
    taps: int
    length: int
    size: int
    step: int
    blocks: int

    @property
    def frequencies(self) -> int:
        """Frequencies of a block's spectrum, size // 2 + 1."""
        return self.size // 2 + 1


def cut(length: int, taps: int, dilation: int, size: int) -> Plan:
    """Plan with blocks of a given size.

    Args:
        length: samples of the line.
        taps: K.
        dilation: samples between neighbouring taps.
        size: samples of a block; at least 2 (K - 1), so that a block overlaps with its neighbours only, unless one
            block holds the phase.
    """
    per_phase = -(-length // dilation)
    step = size - taps + 1
    return Plan(dilation, taps, per_phase, size, step, -(-(per_phase - taps + 1) // step))


def whole(length: int, taps: int, dilation: int) -> Plan:
    """Plan with one block per phase: a single FFT.

    ceil(L / d) samples are enough: the circular wrap reaches only the first K - 1 values, which a valid convolution
    drops.
    """
    return cut(length, taps, dilation, good_size(-(-length // dilation)))


def candidates(length: int, taps: int, dilation: int) -> list[Plan]:
    """Plans to compare, the single FFT first: powers of two, 3/2 of them, and sizes that just give 2 to 6 blocks."""
    single = whole(length, taps, dilation)
    smallest = max(2 * (taps - 1), 8)
    outputs = single.length - taps + 1
    exact = {good_size(-(-outputs // blocks) + taps - 1) for blocks in range(2, 7)}
    powers = {base << shift for base in (2, 3) for shift in range(1, 20)}
    sizes = sorted(size for size in exact | powers if smallest <= size < single.size)
    return [single] + [cut(length, taps, dilation, size) for size in sizes]


@lru_cache(maxsize=4096)
def good_size(least: int) -> int:
    """Smallest even length >= least without a prime factor above 5: a large one makes the FFT several times slower."""
    return 2 * int(scipy.fft.next_fast_len(max(-(-least // 2), 1), real=True))
