"""Convolution backends behind one function, `convolve`."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernbench.conv.dispatch import convolve as convolve


__all__ = ["convolve"]


def __getattr__(name: str) -> object:
    """Import torch only when something is convolved (PEP 562)."""
    if name != "convolve":
        raise AttributeError(f"module 'kernbench.conv' has no attribute {name!r}")
    return importlib.import_module("kernbench.conv.dispatch").convolve
