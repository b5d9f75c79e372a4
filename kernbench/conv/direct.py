"""Backend `direct`: the sum as it is written, by torch's own convolution."""

from torch import Tensor
from torch.nn import functional


def convolve_direct(signal: Tensor, kernel: Tensor, dilation: int, groups: int) -> Tensor:
    """Valid cross-correlation by torch.nn.functional.conv1d; shapes as for `kernbench.conv.convolve`."""
    return functional.conv1d(signal, kernel, dilation=dilation, groups=groups)
