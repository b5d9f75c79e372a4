"""What a kernel family is, and the layer that convolves with it."""

from typing import TYPE_CHECKING

from kernbench.host.lazy import lazy_names

if TYPE_CHECKING:
    from kernbench.kernels.base import KernelModule as KernelModule
    from kernbench.kernels.base import KernelSpec as KernelSpec
    from kernbench.kernels.base import LagGrid as LagGrid
    from kernbench.kernels.family import KernelFamily as KernelFamily
    from kernbench.kernels.inclusion import Inclusion as Inclusion
    from kernbench.kernels.space import Choice as Choice
    from kernbench.kernels.space import Float as Float
    from kernbench.kernels.space import Int as Int

_HOMES = {
    "Choice": "space",
    "Float": "space",
    "Inclusion": "inclusion",
    "Int": "space",
    "KernelFamily": "family",
    "KernelModule": "base",
    "KernelSpec": "base",
    "LagGrid": "base",
}

__all__ = ["Choice", "Float", "Inclusion", "Int", "KernelFamily", "KernelModule", "KernelSpec", "LagGrid"]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
