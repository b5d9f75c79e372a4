"""A network whose layers see to one side only: what came before, or what comes after."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kernbench.errors import KernbenchError
from kernbench.networks.altered import Altered, own_fields, pads_itself
from kernbench.networks.architecture import Architecture

if TYPE_CHECKING:
    from kernbench.kernels.base import KernelSpec

CENTERED = "centered"


@dataclass(frozen=True)
class Sided(Altered):
    """Another network with all its layers on one side.

    Attributes:
        side: "causal" (lags <= 0) or "anticausal" (lags >= 0).
    """

    side: str = CENTERED

    def layers(self, kernel_size: int, channels: int, depth: int) -> "Sequence[KernelSpec]":
        """The layers of the network, of that side; padding follows, see `Architecture.padding`.

        Raises:
            KernbenchError: the network pads by itself, or has one-sided layers already.
        """
        assert self.inner is not None
        layers = self.inner.layers(kernel_size, channels, depth)
        taken = next((layer.side for layer in layers if layer.side != CENTERED), "")
        if pads_itself(self) or taken:
            why = f"has {taken} layers already" if taken else "pads lines by itself"
            raise KernbenchError(
                f"network {self.name} {why}: expected centered layers in a row for network.side = {self.side!r}; leave "
                "out network.side, or take another network"
            )
        # extent 0: as the side says
        return [replace(layer, side=self.side, extent=0) for layer in layers]


def on_side(network: Architecture, side: str) -> Architecture:
    """A network with its layers on a side; "centered" is the network itself."""
    return network if side == CENTERED else Sided(**own_fields(network), inner=network, side=side)
