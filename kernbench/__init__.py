"""kernbench: which way of parameterizing a convolution kernel works best, and how that changes with kernel size.

Public names load lazily, so that `import kernbench` (and so `kernbench --help`) never imports torch.
"""

from typing import TYPE_CHECKING

from kernbench.host.lazy import lazy_names

if TYPE_CHECKING:
    from kernbench import conv as conv
    from kernbench import kernels as kernels
    from kernbench import networks as networks
    from kernbench import statistics as statistics
    from kernbench import ulm as ulm
    from kernbench.errors import KernbenchError as KernbenchError
    from kernbench.hookspecs import hookimpl as hookimpl
    from kernbench.kernels.base import KernelModule as KernelModule
    from kernbench.kernels.base import KernelSpec as KernelSpec
    from kernbench.kernels.base import LagGrid as LagGrid
    from kernbench.kernels.family import KernelFamily as KernelFamily
    from kernbench.kernels.inclusion import Inclusion as Inclusion
    from kernbench.kernels.space import Choice as Choice
    from kernbench.kernels.space import Float as Float
    from kernbench.kernels.space import Int as Int
    from kernbench.networks.architecture import Architecture as Architecture
    from kernbench.report.results import results as results

_HOMES = {
    "Architecture": "networks.architecture",
    "Choice": "kernels.space",
    "Float": "kernels.space",
    "Inclusion": "kernels.inclusion",
    "Int": "kernels.space",
    "KernbenchError": "errors",
    "KernelFamily": "kernels.family",
    "KernelModule": "kernels.base",
    "KernelSpec": "kernels.base",
    "LagGrid": "kernels.base",
    "hookimpl": "hookspecs",
    "results": "report.results",
}

__all__ = [
    "Architecture",
    "Choice",
    "Float",
    "Inclusion",
    "Int",
    "KernbenchError",
    "KernelFamily",
    "KernelModule",
    "KernelSpec",
    "LagGrid",
    "conv",
    "hookimpl",
    "kernels",
    "networks",
    "results",
    "statistics",
    "ulm",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES, ("conv", "kernels", "networks", "statistics", "ulm"))
