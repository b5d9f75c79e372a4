"""Hermite functions for kernbench: a family, a network, a study."""

import kernbench
from kernbench_hermite.network import Tapered


@kernbench.hookimpl
def kernbench_kernels() -> list[kernbench.KernelFamily]:
    """The family; its class is a path, so that listing plugins imports no torch."""
    return [
        kernbench.KernelFamily(
            "hermite",
            "kernbench_hermite.kernel:Hermite",
            space={
                "order": kernbench.Int(0, 24, default=11, budget=True, doc="highest order; below K"),
                "width": kernbench.Float(0.05, 1.0, log=True, default=0.2, doc="at the start, share of the extent"),
            },
            description="Hermite functions of learned place and width",
            citation="Martens 1990, The Hermite transform, IEEE TASSP",
        )
    ]


@kernbench.hookimpl
def kernbench_networks() -> list[kernbench.Architecture]:
    """The network."""
    return [
        Tapered(
            "tapered",
            depth=4,
            channels=22,
            kernel_size=131,
            description="each layer has half the taps of the one before",
        )
    ]
