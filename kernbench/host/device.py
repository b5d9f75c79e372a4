"""Which device and how many threads a process uses, and what makes its results repeatable."""

import os
import platform
from pathlib import Path

import torch

from kernbench.errors import KernbenchError
from kernbench.host.accelerator import count, is_cpu, is_kind
from kernbench.host.device_name import check_device_name


def choose_device(name: str) -> str:
    """Device of this process, with threads and determinism set.

    One thread on the CPU unless OMP_NUM_THREADS says more: on a busy machine a small convolution is a hundred
    times slower with more threads than free cores, and the thread count changes the last bits of a result.

    Args:
        name: "auto", "cpu", "cuda" or "cuda:1"; or an accelerator that an extension has registered with torch.

    Returns:
        "cpu" or "cuda:0".

    Raises:
        KernbenchError: not a device, or one that is not there.
    """
    threads = os.environ.get("OMP_NUM_THREADS", "1").partition(",")[0]
    torch.set_num_threads(max(1, int(threads)) if threads.isdigit() else 1)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return name
    kind, _, index = name.partition(":")
    if not is_kind(kind) or not (index == "" or index.isdecimal()):
        check_device_name(name)
    if int(index or 0) >= (there := count(kind)):
        shown = kind.upper() if kind == "cuda" else kind
        raise KernbenchError(
            f"--device {name}: this machine has {there} {shown} devices that torch can use; try cpu; "
            "see `kernbench doctor`"
        )
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    # torch lets convolutions of a GPU round to 10 bits of mantissa unless asked; all backends shall compute in float32
    torch.backends.cudnn.allow_tf32 = False
    return f"{kind}:{index or 0}"


def default_profile(device: str) -> str:
    """Profile when none is named: the published scale needs a GPU."""
    return "quick" if is_cpu(device) else "thesis"


def processor() -> str:
    """Name of the processor, as the system calls it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_bytes().decode(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
