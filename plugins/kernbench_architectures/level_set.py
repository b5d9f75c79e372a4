"""Network `level_set`: kernels, and finite-difference steps that move their output by learned speeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import kernbench
from kernbench_architectures.whole import check_whole


@dataclass(frozen=True)
class LevelSet(kernbench.Architecture):
    """Each of `depth` blocks is a convolution, BatchNorm, `steps` upwind steps of the level-set equation, and ReLU.

    A step is u <- u - v u' - F |u'|, by differences taken from the side that the front comes from. v and F are scalars
    of each channel and step, |v| + |F| <= 1: the whole stability region of the scheme. Sources: Osher, Sethian (1988),
    "Fronts propagating with curvature-dependent speed"; Actor (2019), lecture notes.

    Attributes:
        steps: Euler steps after each layer.
    """

    steps: int = 8

    def __post_init__(self) -> None:
        """Refuse what is no number of steps.

        Raises:
            KernbenchError: `steps` is not a whole number >= 0.
        """
        super().__post_init__()
        check_whole(self.name, "steps", self.steps, 0)

    def padding(self, layers: "Sequence[kernbench.KernelSpec]") -> int:
        """That of the layers in a row, and one sample for each step."""
        return super().padding(layers) + self.steps * len(layers)

    def receptive_field(self, layers: "Sequence[kernbench.KernelSpec]") -> int:
        """That of the layers in a row, and two samples for each step."""
        return super().receptive_field(layers) + 2 * self.steps * len(layers)

    def build(self, layers: Sequence[Any]) -> Any:  # of kernbench's layers; a torch module
        """Blocks in a row and a 1x1 convolution."""
        from kernbench_architectures.euler_block import LevelSetNetwork  # noqa: PLC0415  # with it comes torch

        specs = [layer.spec for layer in layers]
        return LevelSetNetwork(layers, self.padding(specs), self.receptive_field(specs), self.steps)
