"""Backend `direct`: the sum as it is written, by torch's own convolution, in the parts and forms that suit a CPU."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional, grad

# Lines go through the convolution a few at a time where the tensors are large: torch copies them into a layout of its
# own, and on Linux a copy of tens of MiB is new memory from the system each time, whose page faults cost as much as
# the convolution itself.
LARGE_BYTES = 16 * 2**20
PART_BYTES = 4 * 2**20


def convolve_direct(signal: Tensor, kernel: Tensor, dilation: int, groups: int) -> Tensor:
    """Valid cross-correlation by torch.nn.functional.conv1d; shapes as for `kernbench.conv.convolve`."""
    if signal.device.type != "cpu" or not (
        _in_parts(signal, kernel)
        or (signal.requires_grad and (_line_by_line(signal, kernel, dilation) or _turned(signal, kernel, dilation)))
    ):
        return functional.conv1d(signal, kernel, dilation=dilation, groups=groups)
    result = _DirectConvolution.apply(signal, kernel, dilation, groups)
    assert isinstance(result, Tensor)
    return result


class _DirectConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, signal: Tensor, kernel: Tensor, dilation: int, groups: int) -> Tensor:
        ctx.save_for_backward(signal, kernel)
        ctx.dilation, ctx.groups = dilation, groups
        if not _in_parts(signal, kernel):
            return functional.conv1d(signal, kernel, dilation=dilation, groups=groups)
        length = signal.shape[2] - dilation * (kernel.shape[2] - 1)
        output = signal.new_empty(signal.shape[0], kernel.shape[0], length)
        lines = _lines_in_part(signal, kernel)
        for into, part in zip(output.split(lines), signal.split(lines), strict=True):
            into.copy_(functional.conv1d(part, kernel, dilation=dilation, groups=groups))
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        signal, kernel = ctx.saved_tensors
        wanted, shape = ctx.needs_input_grad, (ctx.dilation, ctx.groups)
        if torch.is_grad_enabled():  # a second derivative is asked for: undivided, by functions that carry a graph
            to_signal = _signal_gradient(gradient, signal, kernel, *shape) if wanted[0] else None
            return to_signal, _kernel_gradient(gradient, signal, kernel, *shape) if wanted[1] else None, None, None
        to_signal = torch.empty_like(signal) if wanted[0] else None
        to_kernel = torch.zeros_like(kernel) if wanted[1] else None
        lines = _lines_in_part(signal, kernel)
        parts = zip(*(tensor.split(lines) for tensor in (signal, gradient)), strict=True)
        for number, (some, its_gradient) in enumerate(parts):
            if to_signal is not None:
                into = to_signal[number * lines : (number + 1) * lines]
                into.copy_(_signal_gradient(its_gradient, some, kernel, *shape))
            if to_kernel is not None:
                to_kernel += _kernel_gradient(its_gradient, some, kernel, *shape)
        return to_signal, to_kernel, None, None


def _signal_gradient(gradient: Tensor, signal: Tensor, kernel: Tensor, dilation: int, groups: int) -> Tensor:
    if _turned(signal, kernel, dilation):
        beyond = dilation * (kernel.shape[2] - 1)
        padded = functional.pad(gradient, (beyond, beyond))
        return functional.conv1d(padded, kernel.flip(-1), dilation=dilation, groups=groups)
    shape = list(signal.shape)
    if _line_by_line(signal, kernel, dilation):
        return torch.cat([grad.conv1d_input([1, *shape[1:]], kernel, line) for line in gradient.split(1)])
    return torch.as_tensor(grad.conv1d_input(shape, kernel, gradient, dilation=dilation, groups=groups))


def _kernel_gradient(gradient: Tensor, signal: Tensor, kernel: Tensor, dilation: int, groups: int) -> Tensor:
    shape = list(kernel.shape)
    return torch.as_tensor(grad.conv1d_weight(signal, shape, gradient, dilation=dilation, groups=groups))


def _in_parts(signal: Tensor, kernel: Tensor) -> bool:
    """Whether the lines are too large to be convolved in one call."""
    return signal.shape[0] > 1 and signal.shape[0] * _line_bytes(signal, kernel) > LARGE_BYTES


def _lines_in_part(signal: Tensor, kernel: Tensor) -> int:
    return max(1, PART_BYTES // _line_bytes(signal, kernel)) if _in_parts(signal, kernel) else signal.shape[0]


def _line_bytes(signal: Tensor, kernel: Tensor) -> int:
    """Bytes of a line's input or output channels, whichever are more."""
    return signal.element_size() * signal.shape[2] * max(signal.shape[1], kernel.shape[0])


def _line_by_line(signal: Tensor, kernel: Tensor, dilation: int) -> bool:
    """First layers of few taps: for one line of up to 20,480 samples torch has a method of its own.

    The signal's gradient by it is 1.2 to 15 times as fast as that of several lines in one call; where lines are
    short, only for some kernel sizes.
    """
    (batch, inputs, length), taps = signal.shape, kernel.shape[2]
    if batch == 1 or inputs != 1 or dilation != 1:
        return False
    return taps <= 25 if 4096 <= length <= 20480 else 2048 <= length < 4096 and 8 <= taps <= 13


def _turned(signal: Tensor, kernel: Tensor, dilation: int) -> bool:
    """Dilated depthwise layers: the signal's gradient is a convolution with the reversed kernel.

    As a convolution forward it is 3 to 5 times as fast as torch's gradient of a dilated depthwise one.
    """
    depthwise = kernel.shape[1] == 1 and kernel.shape[0] == signal.shape[1] > 1
    return depthwise and dilation > 1 and signal.numel() >= 2**16
