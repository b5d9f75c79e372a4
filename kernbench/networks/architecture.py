"""A network in numbers: its layers, and what follows from them. Importing this imports no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernbench.errors import PluginError
from kernbench.kernels.family import check_name

if TYPE_CHECKING:
    from torch import nn

    from kernbench.kernels.base import KernelSpec
    from kernbench.kernels.layer import KernelConv


@dataclass(frozen=True)
class Architecture:
    """A network, declared once: options of a study, padding, receptive field, costs and weights follow from it.

    By itself it is [convolution, BatchNorm, ReLU] x depth at dilation 1 and a 1x1 convolution. A subclass overrides
    `layers` for other layers in a row, and `build`, `padding` and `receptive_field` for anything else.

    Attributes:
        name: what a study says as `network.name`.
        depth: number of layers where nothing else is asked for.
        channels: width, likewise.
        kernel_size: taps, likewise.
        description: one line for `kernbench list networks`.
        source: where the network comes from.
    """

    name: str
    depth: int
    channels: int
    kernel_size: int
    description: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot work, where the plugin author can see it."""
        check_name("network", self.name)
        for field in ("depth", "channels", "kernel_size"):
            value = getattr(self, field)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise PluginError(f"network {self.name!r}: {field} must be a whole number >= 1, got {value!r}")

    def layers(self, kernel_size: int, channels: int, depth: int) -> "Sequence[KernelSpec]":
        """The convolution layers, input side first; the first takes 1 channel, the next what the one before gives.

        Args:
            kernel_size: of the study; odd. Each layer may have another odd number of taps.
            channels: of the study.
            depth: of the study, at least 1.

        Returns:
            One `kernbench.KernelSpec` for each layer.
        """
        from kernbench.kernels.base import KernelSpec  # noqa: PLC0415  # with it comes torch, which a list does not need

        return [KernelSpec(channels, channels if level else 1, kernel_size=kernel_size) for level in range(depth)]

    def padding(self, layers: "Sequence[KernelSpec]") -> int:
        """Samples of reflection on each side of a line: the sum over layers of dilation (K - 1) / 2, K odd.

        One-sided layers take all of it, twice that, at the one end that they look to: causal ones at the start.

        Args:
            layers: as `layers` gives them.

        Returns:
            A number of samples, 0 or more.
        """
        reach = sum(layer.dilation * (layer.kernel_size - 1) for layer in layers)
        return reach // 2 if all(layer.side == "centered" for layer in layers) else reach

    def receptive_field(self, layers: "Sequence[KernelSpec]") -> int:
        """Input samples that can reach one output sample: 1 + the sum over layers of dilation (K - 1).

        Source: Araujo, Norris, Sim (2019), "Computing receptive fields of convolutional neural networks", Distill.

        Args:
            layers: as `layers` gives them.

        Returns:
            A number of samples, 1 or more.
        """
        return 1 + sum(layer.dilation * (layer.kernel_size - 1) for layer in layers)

    def build(self, layers: "Sequence[KernelConv]") -> "nn.Module":
        """The module that maps RF lines (N, 1, L) to scores (N, 1, L).

        Args:
            layers: one convolution for each of `layers(...)`, its kernel made by the family, biased, at the gain asked
                for. All of them must be used; other modules are drawn from torch's global random generator.

        Returns:
            A `kernbench.networks.Network`, or any module that keeps `kernbench.networks.contract.KernelNetwork`.
        """
        from kernbench.networks.network import Network  # noqa: PLC0415  # see `layers`

        specs = [layer.spec for layer in layers]
        return Network(layers, self.padding(specs), self.receptive_field(specs))
