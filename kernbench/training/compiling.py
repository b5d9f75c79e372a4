"""torch.compile for the training step: an option, off by default, because it changes the last bits of a result."""

import os
import shutil
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from kernbench.errors import KernbenchError

OFF = "off"
MODES = (OFF, "default", "reduce-overhead")  # the last one adds CUDA graphs, for shapes that do not change
_COMPILERS = ("g++", "clang++", "c++")


def compiled(network: nn.Module, mode: str, device: str) -> Callable[[Tensor], Tensor]:
    """The network's forward pass for training; shares its parameters.

    Args:
        network: (N, 1, L) -> (N, 1, L).
        mode: one of `MODES`; "off" returns the network itself.
        device: "cpu" or "cuda:0".

    Raises:
        KernbenchError: see `check_compile`.
    """
    if mode == OFF:
        return network
    check_compile(mode, device)
    # A batch that is smaller than the others gets a compilation of its own: fixed shapes are what graphs need.
    return cast("Callable[[Tensor], Tensor]", torch.compile(network, mode=mode, dynamic=False))


def check_compile(mode: str, device: str, recompute: bool = False) -> None:
    """Check that torch can compile for a device.

    Args:
        mode: one of `MODES`.
        device: "cpu" or "cuda:0".
        recompute: whether activations are recomputed, which a compiled network does not do.

    Raises:
        KernbenchError: unknown mode, CUDA graphs without CUDA, no C++ compiler on the CPU, or with `recompute`.
    """
    if mode not in MODES:
        raise KernbenchError(f"training.compile: expected one of {', '.join(MODES)}, got {mode!r}")
    if mode != OFF and recompute:
        raise KernbenchError(f"training.compile = {mode!r} does not go together with training.recompute; choose one")
    kind = torch.device(device).type
    if mode == "reduce-overhead" and kind != "cuda":
        raise KernbenchError(
            f"training.compile = 'reduce-overhead' records CUDA graphs and needs a CUDA device, this is {device}; "
            "use 'default' or 'off'"
        )
    if mode != OFF and kind == "cpu" and _compiler() is None:
        raise KernbenchError(
            f"training.compile = {mode!r} needs a C++ compiler on the CPU, and none was found "
            f"({', '.join(_COMPILERS)}, or what CXX names); install one, or set it to 'off'"
        )


def _compiler() -> str | None:
    names = [os.environ["CXX"]] if os.environ.get("CXX") else _COMPILERS
    return next((found for name in names if (found := shutil.which(name))), None)
