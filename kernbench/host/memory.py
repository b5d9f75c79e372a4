"""Running out of memory: how to tell, what to say, and how to make room for what comes next."""

import contextlib
import ctypes
import gc
import resource
import sys
import traceback
from pathlib import Path

import torch

from kernbench.errors import first_line
from kernbench.host.accelerator import is_cpu, module_of, release_cached


def peak_memory(device: torch.device | str) -> int:
    """Largest memory used since `reset_peak_memory`, in bytes: of an accelerator's allocator, else of the process."""
    module = module_of(device)
    if module is not None:
        return int(module.max_memory_allocated(torch.device(device)))
    try:
        # getrusage would count the parent process, too, whose peak a child inherits on Linux
        status = Path("/proc/self/status").read_bytes()  # the name of the process may be any bytes
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024  # macOS counts in bytes, others in KiB
    return 1024 * int(status.partition(b"VmHWM:")[2].split()[0])


def reset_peak_memory(device: torch.device | str) -> None:
    """Let `peak_memory` start again from what is in use now, where the system can (accelerators, Linux)."""
    module = module_of(device)
    if module is not None:
        module.reset_peak_memory_stats(torch.device(device))
        return
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


# torch has an exception class for the allocators of accelerators only; other libraries say it in the message.
_SIGNS = (
    "DefaultCPUAllocator",
    "CUDA error: out of memory",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUFFT_ALLOC_FAILED",
    "std::bad_alloc",
    "DFTI ERROR: Memory allocation failed",
)

_M_MMAP_THRESHOLD = -3  # of glibc's mallopt
_OWN_PAGES = 2**20


def return_freed_tensors() -> None:
    """From now on, give tensors of a mebibyte and more pages of their own, which go back to the system when freed.

    glibc otherwise keeps freed blocks below 32 MiB, and the holes between them count as used. New pages cost time, so
    this is for those who have asked for less memory. Nothing happens where the C library is another one.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(_M_MMAP_THRESHOLD, _OWN_PAGES)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an exception, or one that caused it, says that memory ran out."""
    while error is not None:
        if isinstance(error, torch.OutOfMemoryError | MemoryError):
            return True
        if isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS):
            return True
        error = error.__cause__
    return False


def advice(error: BaseException, device: str, recompute: bool) -> str:
    """One line: what failed, how much memory was in use at most, and what helps.

    Args:
        error: for which `is_out_of_memory` is true.
        device: "cpu" or "cuda:0".
        recompute: whether activations are recomputed already.
    """
    what = "resident in the process" if is_cpu(device) else "allocated by torch"
    again = "" if recompute else "set training.recompute = true (the same result in less memory), or "
    return (
        f"{first_line(error)}; reached {peak_memory(device) / 2**30:.2f} GiB {what} on {device}; {again}take fewer "
        "channels or a smaller batch_size as another study (BatchNorm makes the batch a part of the result); then "
        "--retry-failed"
    )


def release(error: BaseException) -> None:
    """Free what the frames of an exception hold, so that the next cell has room; its traceback is gone then."""
    failed: BaseException | None = error
    while failed is not None:
        traceback.clear_frames(failed.__traceback__)
        failed.__traceback__ = None  # a frame without locals still holds what its function closes over
        failed = failed.__cause__ or failed.__context__
    gc.collect()
    release_cached()
