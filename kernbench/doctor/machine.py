"""The processor with its threads, and the device."""

import os
from collections.abc import Iterator
from pathlib import Path

import torch

from kernbench.doctor.finding import Asked, Checks, Finding
from kernbench.errors import KernbenchError, counted, first_line
from kernbench.host.device import choose_device, processor

DRIVER = Path("/proc/driver/nvidia/version")  # there where the kernel module of an NVIDIA GPU is loaded
GIGA = 1e9


def checks(asked: Asked) -> Checks:
    """Processor and device."""
    return {"processor": _processor, "device": lambda: _device(asked.device)}


def _processor() -> Iterator[Finding]:
    choose_device("cpu")  # sets the number of threads
    cores, threads = usable_cores(), torch.get_num_threads()
    found = f"{processor()}, {counted(cores, 'core')} for this process, {counted(threads, 'thread')}"
    if threads > cores:
        advice = f"set OMP_NUM_THREADS to {cores} or less: with more threads than cores small convolutions crawl"
        yield Finding("processor", "note", found, advice)
    else:
        yield Finding("processor", "ok", found)


def usable_cores() -> int:
    """Cores that this process may use: a batch system gives it some of the machine's."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # no Linux
        return os.cpu_count() or 1


def _device(name: str) -> Iterator[Finding]:
    try:
        device = choose_device(name)
    except KernbenchError as error:
        missing = str(error).partition(";")[0]
        yield Finding("device", "fail", missing, f"{_why_no_cuda()}, or give --device cpu")
        return
    yield _cpu(name) if device == "cpu" else _cuda(device)


def _cpu(name: str) -> Finding:
    if DRIVER.exists() and not torch.cuda.is_available():
        return Finding("device", "note", "cpu; there is an NVIDIA driver, but torch cannot use it", _why_no_cuda())
    others = torch.cuda.device_count() if torch.cuda.is_available() else 0
    also = f"; {counted(others, 'CUDA device')} beside it" if others else "; no CUDA device"
    return Finding("device", "ok", f"cpu{' (auto)' if name == 'auto' else ''}{also}")


def _why_no_cuda() -> str:
    """What to do so that torch can use a CUDA device."""
    if not DRIVER.exists():
        return "no NVIDIA driver is loaded: install it, or take a machine with a GPU"
    if torch.version.cuda is None:
        release = torch.__version__.partition("+")[0]
        return f"torch {torch.__version__} is built without CUDA: pip install --force-reinstall torch=={release}"
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        return f"torch says {first_line(error)}; compare with `nvidia-smi`"
    return f"torch sees {counted(torch.cuda.device_count(), 'CUDA device')}; look at CUDA_VISIBLE_DEVICES"


def _cuda(device: str) -> Finding:
    about = torch.cuda.get_device_properties(device)
    free, total = (size / GIGA for size in torch.cuda.mem_get_info(device))
    found = f"{device}, {about.name}, {free:.1f} of {total:.1f} GB free, CUDA {torch.version.cuda}"
    if free < total / 2:
        return Finding("device", "note", found, "another process holds the rest; `nvidia-smi` lists it")
    return Finding("device", "ok", found)
