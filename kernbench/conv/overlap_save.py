"""Backend `overlap_save`: the line in overlapping blocks, an FFT for each."""

from torch import Tensor

from kernbench.conv.auto import block_plan
from kernbench.conv.spectral import convolve_spectral


def convolve_overlap_save(signal: Tensor, kernel: Tensor, dilation: int, groups: int) -> Tensor:
    """Valid cross-correlation by overlap-save; shapes as for `kernbench.conv.convolve`, float32 or float64."""
    plan = block_plan(signal.shape, kernel.shape, dilation, signal.device.type)
    return convolve_spectral(signal, kernel, groups, plan)
