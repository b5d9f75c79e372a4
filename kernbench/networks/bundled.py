"""The two published networks, offered through the hook that other networks use."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from kernbench.hookspecs import hookimpl
from kernbench.networks.architecture import Architecture

if TYPE_CHECKING:
    from kernbench.kernels.base import KernelSpec


class Dilated(Architecture):
    """Layer l has dilation 2 ** l: a few taps see far."""

    def layers(self, kernel_size: int, channels: int, depth: int) -> "Sequence[KernelSpec]":
        """Layers of the same kernel size, their taps ever further apart."""
        layers = super().layers(kernel_size, channels, depth)
        # extent 0: as the dilation says
        return [replace(layer, dilation=2**level, extent=0) for level, layer in enumerate(layers)]


DILATED = Dilated(
    "dilated",
    depth=12,
    channels=64,
    kernel_size=3,
    description="12 layers, 64 channels, dilation 1, 2, 4, ... 2048: a long view from few taps",
    source="Blanken et al. 2022, IEEE TMI (SRML-1D)",
)
SHALLOW = Architecture(
    "shallow",
    depth=4,
    channels=22,
    kernel_size=131,
    description="4 layers, 22 channels, dilation 1: a long view from many taps",
    source="Jonker 2023, University of Twente",
)


@hookimpl
def kernbench_networks() -> list[Architecture]:
    """The networks of kernbench itself."""
    return [DILATED, SHALLOW]
