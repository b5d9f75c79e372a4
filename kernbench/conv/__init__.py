"""Convolution backends behind one function, `convolve`."""

from typing import TYPE_CHECKING

from kernbench.host.lazy import lazy_names

if TYPE_CHECKING:
    from kernbench.conv.dispatch import convolve as convolve

__all__ = ["convolve"]

__getattr__, __dir__ = lazy_names(__name__, {"convolve": "dispatch"})
