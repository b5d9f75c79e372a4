"""What ran where: versions, processor, threads, GPU and the state of the source tree, with a digest."""

import os
import platform
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

import kernbench
from kernbench.conv.constants import origin
from kernbench.errors import PLUGIN_FILE_MODULE
from kernbench.host.accelerator import name_of
from kernbench.host.device import processor
from kernbench.host.files import sha256_of_parts
from kernbench.kernels.family import KernelFamily
from kernbench.registry import version_of

_PACKAGES = ("kernbench", "torch", "numpy", "scipy", "optuna", "sqlalchemy", "fft-conv-pytorch")


def environment(device: str) -> dict[str, Any]:
    """The environment that may change a score or a time.

    Args:
        device: "cpu" or "cuda:0".

    Returns:
        A JSON object; values are text, numbers or None.
    """
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: version_of(name) for name in _PACKAGES},
        "cpu": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": device,
        "gpu": name_of(device),
        **({"driver": _driver()} if device.startswith("cuda") else {}),
        "cuda": torch.version.cuda,
        "tf32": _tf32(device),
        "convolution": origin(device.partition(":")[0]),
        "git": _git(),
        "executable": Path(sys.executable).name,
    }


def remember(family: KernelFamily) -> None:
    """Read, before the first cell, what may change on the disk while cells run: source tree and plugin.

    Args:
        family: that will make the kernels.
    """
    _git()
    source_digest(family)


def source_digest(family: KernelFamily) -> str:
    """First 12 hex digits of the SHA-256 of the Python files that make a family: its package, or its one file.

    A version says what was released; an edited checkout has the same one.
    """
    name = family.module.partition(":")[0] if isinstance(family.module, str) else family.module.__module__
    if not name.startswith(PLUGIN_FILE_MODULE):
        name = name.partition(".")[0]
    try:
        spec = find_spec(name)
        return "" if spec is None or spec.origin is None else _files_digest(name, Path(spec.origin))
    except (ImportError, ValueError, OSError):  # no module of that name, made by hand, or not made of files
        return ""


@cache  # what was imported at the start is what runs
def _files_digest(_module: str, first: Path) -> str:  # an edited plugin file is another module
    folder = first.parent
    files = sorted(folder.rglob("*.py")) if first.name == "__init__.py" else [first]
    named = (f"{file.relative_to(folder).as_posix()}\n".encode() + file.read_bytes() + b"\n" for file in files)
    return sha256_of_parts(named, 12)


def _tf32(device: str) -> bool:
    """Whether products or convolutions of a GPU may round to ten bits of mantissa."""
    convolutions = device.startswith("cuda") and torch.backends.cudnn.allow_tf32
    return bool(torch.backends.cuda.matmul.allow_tf32 or convolutions)


def _driver() -> str | None:
    """First line about NVIDIA's driver; None where the system does not say."""
    try:
        said = Path("/proc/driver/nvidia/version").read_bytes()
    except OSError:
        return None
    return said.decode(errors="replace").partition("\n")[0].strip()


@cache  # what was imported at the start is what runs
def _git() -> str | None:
    """Commit of the source tree, with "+" when files differ; None outside a checkout of kernbench."""
    assert kernbench.__file__ is not None
    folder = Path(kernbench.__file__).resolve().parent.parent
    if not (folder / ".git").exists():
        return None
    commit = _run_git(folder, "rev-parse", "HEAD")
    return None if commit is None else commit[:12] + ("+" if _run_git(folder, "status", "--porcelain") else "")


def _run_git(folder: Path, *words: str) -> str | None:
    command = ["git", "-C", str(folder), *words]
    try:
        done = subprocess.run(command, capture_output=True, timeout=10, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace").strip()
