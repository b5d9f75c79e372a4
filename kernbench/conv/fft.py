"""Backend `fft`: one FFT for all taps, then one small complex matrix product per frequency."""

from torch import Tensor

from kernbench.conv.plan import whole
from kernbench.conv.spectral import convolve_spectral


def convolve_fft(signal: Tensor, kernel: Tensor, dilation: int, groups: int) -> Tensor:
    """Valid cross-correlation by FFT; shapes as for `kernbench.conv.convolve`, float32 or float64."""
    return convolve_spectral(signal, kernel, groups, whole(signal.shape[2], kernel.shape[2], dilation))
