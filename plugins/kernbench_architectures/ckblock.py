"""Network `ckblock`: the residual blocks of CKConv."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import kernbench


@dataclass(frozen=True)
class CKBlocks(kernbench.Architecture):
    """Each of `depth` blocks is ReLU(D(s(k_2 * D(s(k_1 * u)))) + w u), s = ReLU of BatchNorm, D = dropout.

    w is the identity where a block gives as many channels as it takes, else a 1x1 convolution. CKConv normalizes over
    the whole line, and so has no finite field; here it is BatchNorm, as in the other networks. Sources: Romero et al.
    (2022), "CKConv: Continuous kernel convolution for sequential data"; Bai, Kolter, Koltun (2018).

    Attributes:
        dropout: share of the values that training sets to 0 after each layer, in [0, 1).
    """

    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no share.

        Raises:
            KernbenchError: `dropout` is not in [0, 1).
        """
        super().__post_init__()
        if isinstance(self.dropout, bool) or not isinstance(self.dropout, int | float) or not 0 <= self.dropout < 1:
            raise kernbench.KernbenchError(
                f"network {self.name!r}: dropout must be a number in [0, 1), got {self.dropout!r}"
            )

    def layers(self, kernel_size: int, channels: int, depth: int) -> "Sequence[kernbench.KernelSpec]":
        """Two for each block."""
        return super().layers(kernel_size, channels, 2 * depth)

    def build(self, layers: Sequence[Any]) -> Any:  # of kernbench's layers; a torch module
        """Blocks in a row and a 1x1 convolution."""
        from kernbench_architectures.residual_block import ResidualNetwork  # noqa: PLC0415  # with it comes torch

        specs = [layer.spec for layer in layers]
        return ResidualNetwork(layers, self.padding(specs), self.receptive_field(specs), self.dropout)
