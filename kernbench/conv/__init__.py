"""Convolution backends behind one function, `convolve`; their names and meanings are known without torch."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernbench.conv.dispatch import convolve as convolve

BACKENDS = {
    "auto": "direct, fft or overlap_save, from shapes and constants that were measured once",
    "direct": "torch.nn.functional.conv1d; best for few taps",
    "overlap_save": "the line in overlapping blocks, an FFT for each; best for kernels much shorter than the line",
    "fft": "one FFT of good length, then one complex matrix product per frequency; best for many taps",
    "fft_conv": "the package fft-conv-pytorch, as the thesis used it; float32 inside, much memory",
}

__all__ = ["BACKENDS", "convolve"]


def __getattr__(name: str) -> object:
    """Import torch only when something is convolved (PEP 562)."""
    if name != "convolve":
        raise AttributeError(f"module 'kernbench.conv' has no attribute {name!r}")
    return importlib.import_module("kernbench.conv.dispatch").convolve
