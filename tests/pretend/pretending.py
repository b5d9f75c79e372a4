"""A machine that has the pretend accelerator, for a while."""

import contextlib
from unittest import mock

import torch
from pretend_gpu import gpu
from pretend_tensor import GpuTensor, Manners, PretendError


@contextlib.contextmanager
def pretending(*, float64=True, memory=None):
    """Let torch find the accelerator; gives it, with empty notes.

    Args:
        float64: whether it computes in double precision.
        memory: bytes that it has; None for no limit.
    """
    gpu.there, gpu.float64, gpu.memory = True, float64, memory
    gpu.to_host.clear()
    gpu.from_host.clear()
    gpu.reset_peak_memory_stats()
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device=) makes a CPU tensor, and then a copy
    try:
        with mock.patch.object(torch.Tensor, "pin_memory", _pinned), Manners():
            yield gpu
    finally:
        torch._C._set_only_lift_cpu_tensors(False)
        gpu.there, gpu.memory = False, None


def _pinned(tensor, device=None):
    """The same numbers on the CPU; this build of torch can pin nothing."""
    if tensor.device.type != "cpu":
        raise PretendError(f"cannot pin memory of {tensor.device}: only dense CPU tensors can be pinned")
    return tensor.clone()


def values(tensor):
    """Values of a tensor of the accelerator, read behind its back: a test that looks is no copy to the host."""
    return tensor.held if isinstance(tensor, GpuTensor) else tensor
