"""Network `recurrent`: layers whose output comes back to them through a second kernel."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import kernbench
from kernbench_architectures.whole import check_whole


@dataclass(frozen=True)
class Recurrent(kernbench.Architecture):
    """Each of `depth` blocks is z_0 = s(f * u), z_t = s(f * u + r * z_{t-1}), t = 1 .. steps, s = ReLU of BatchNorm.

    The field grows by d (K - 1) with each step, the parameters do not. At steps = 0 there is no r, and the network is
    [convolution, BatchNorm, ReLU] x depth. Source: Liang, Hu (2015), "Recurrent convolutional neural network for object
    recognition".

    Attributes:
        steps: T, how often r is used.
    """

    steps: int = 3

    def __post_init__(self) -> None:
        """Refuse what is no number of steps.

        Raises:
            KernbenchError: `steps` is not a whole number >= 0.
        """
        super().__post_init__()
        check_whole(self.name, "steps", self.steps, 0)

    def layers(self, kernel_size: int, channels: int, depth: int) -> "Sequence[kernbench.KernelSpec]":
        """For each block f and, if there is a step, r, of as many taps."""
        again = [kernbench.KernelSpec(channels, channels, kernel_size=kernel_size)] if self.steps else []
        return [spec for drive in super().layers(kernel_size, channels, depth) for spec in (drive, *again)]

    def padding(self, layers: "Sequence[kernbench.KernelSpec]") -> int:
        """Half the sum of d (K - 1) over all uses."""
        return super().padding(self._uses(layers))

    def receptive_field(self, layers: "Sequence[kernbench.KernelSpec]") -> int:
        """1 + the sum over blocks of d (K - 1) of f and T times that of r."""
        return super().receptive_field(self._uses(layers))

    def build(self, layers: Sequence[Any]) -> Any:  # of kernbench's layers; a torch module
        """Blocks in a row and a 1x1 convolution."""
        from kernbench_architectures.recurrent_block import RecurrentNetwork  # noqa: PLC0415  # with it comes torch

        specs = [layer.spec for layer in layers]
        return RecurrentNetwork(layers, self.padding(specs), self.receptive_field(specs), self.steps)

    def _uses(self, layers: "Sequence[kernbench.KernelSpec]") -> "list[kernbench.KernelSpec]":
        """The layers in the order in which they convolve."""
        if not self.steps:
            return list(layers)
        pairs = zip(layers[::2], layers[1::2], strict=True)
        return [spec for drive, again in pairs for spec in (drive, *[again] * self.steps)]
