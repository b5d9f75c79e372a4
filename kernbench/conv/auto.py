"""Backend `auto`: direct or fft, from shapes and device alone, so that the same cell always computes the same way."""

from kernbench.conv.cost import direct_flops, fft_flops

# benchmarks/crossover.py, one CPU thread, forward and backward: equal times at K = 10 (8 and 22 channels,
# 2048 samples), 18 (8 and 22 channels, 8446 samples), 24 (64 channels), 33 to 75 (1 input channel). Operations
# alone would send 9 taps of 64 channels to the FFT, where it is four times slower: hence two conditions.
_CPU_TAPS, _CPU_RATIO = 16, 2.0
# Not measured: a GPU does direct convolutions closer to its peak, so the FFT has to win by more.
_OTHER_TAPS, _OTHER_RATIO = 32, 8.0


def choose(signal: tuple[int, ...], kernel: tuple[int, ...], dilation: int, device: str) -> str:
    """The backend that should be faster, forward and backward together.

    Args:
        signal: shape (B, Ci, L).
        kernel: shape (Co, Ci // groups, K).
        dilation: samples between neighbouring taps.
        device: torch device type, "cpu" or "cuda".

    Returns:
        "direct" or "fft".
    """
    taps, ratio = (_CPU_TAPS, _CPU_RATIO) if device == "cpu" else (_OTHER_TAPS, _OTHER_RATIO)
    if kernel[2] < taps:
        return "direct"
    return "fft" if direct_flops(signal, kernel, dilation) > ratio * fft_flops(signal, kernel) else "direct"
