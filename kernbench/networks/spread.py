"""A network whose kernels reach equally far at every size: fewer taps are farther apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kernbench.errors import KernbenchError
from kernbench.networks.altered import Altered, own_fields
from kernbench.networks.architecture import Architecture
from kernbench.networks.boundary import PUBLISHED, bounded
from kernbench.networks.sided import CENTERED, on_side
from kernbench.registry import find_network

if TYPE_CHECKING:
    from kernbench.kernels.base import KernelSpec


@dataclass(frozen=True)
class Spread(Altered):
    """Another network with its taps apart, so that (K - 1) times the dilation is the same at each K.

    Attributes:
        reach: (K - 1) times the dilation [samples]; 0 stands for none.
    """

    reach: int = 0

    def layers(self, kernel_size: int, channels: int, depth: int) -> "Sequence[KernelSpec]":
        """The layers of the network, their taps apart.

        Raises:
            KernbenchError: the network has dilations of its own, or no whole dilation gives the reach.
        """
        assert self.inner is not None
        layers = self.inner.layers(kernel_size, channels, depth)
        if any(layer.dilation != 1 for layer in layers):
            raise KernbenchError(
                f"network {self.name} has dilations of its own: expected one without for network.reach = {self.reach}; "
                "leave out network.reach, or take another network"
            )
        # extent 0: as the dilation says
        return [replace(layer, dilation=self._dilation(layer.kernel_size), extent=0) for layer in layers]

    def _dilation(self, taps: int) -> int:
        if taps > 1 and self.reach % (taps - 1) == 0:
            return self.reach // (taps - 1)
        sizes = [gaps + 1 for gaps in range(2, self.reach + 1, 2) if self.reach % gaps == 0]
        near = sorted(sorted(sizes, key=lambda size: abs(size - taps))[:2])
        advice = f"use K = {' or '.join(map(str, near))}" if near else "take an even reach"
        raise KernbenchError(
            f"network.reach = {self.reach} does not fit K = {taps}: expected K - 1 to divide it; {advice}"
        )


def network_asked(plan: Mapping[str, Any]) -> Architecture:
    """The network of settings, with kernels of the reach and on the side, and the boundary, that they ask for.

    Args:
        plan: [network] of a study for one cell: `name`, and where they are asked for `reach`, `side`, `boundary` and
            `boundary_at`.

    Raises:
        PluginError: there is no such network.
    """
    network = on_side(find_network(plan["name"]).architecture, str(plan.get("side", CENTERED)))
    place = str(plan.get("boundary", PUBLISHED.policy)), str(plan.get("boundary_at", PUBLISHED.at))
    network = bounded(network, *place)
    reach = int(plan.get("reach", 0))
    return Spread(**own_fields(network), inner=network, reach=reach) if reach else network
