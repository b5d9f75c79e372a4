"""kernbench: which way of parameterizing a convolution kernel works best, and how that changes with kernel size.

Public names load lazily, so that `import kernbench` (and so `kernbench --help`) never imports torch.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernbench.errors import KernbenchError as KernbenchError
    from kernbench.hookspecs import hookimpl as hookimpl
    from kernbench.kernels.base import KernelModule as KernelModule
    from kernbench.kernels.base import KernelSpec as KernelSpec
    from kernbench.kernels.base import LagGrid as LagGrid
    from kernbench.kernels.family import KernelFamily as KernelFamily
    from kernbench.kernels.space import Choice as Choice
    from kernbench.kernels.space import Float as Float
    from kernbench.kernels.space import Int as Int

_HOMES = {
    "Choice": "kernels.space",
    "Float": "kernels.space",
    "Int": "kernels.space",
    "KernbenchError": "errors",
    "KernelFamily": "kernels.family",
    "KernelModule": "kernels.base",
    "KernelSpec": "kernels.base",
    "LagGrid": "kernels.base",
    "hookimpl": "hookspecs",
}

__all__ = [
    "Choice",
    "Float",
    "Int",
    "KernbenchError",
    "KernelFamily",
    "KernelModule",
    "KernelSpec",
    "LagGrid",
    "hookimpl",
]


def __getattr__(name: str) -> object:
    """Import a public name at its first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'kernbench' has no attribute {name!r}")
    return getattr(importlib.import_module(f"kernbench.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """Names shown by completion."""
    return sorted([*globals(), *_HOMES])
