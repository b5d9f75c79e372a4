"""A network that is another one with other layers: the base of what settings change of any network."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from kernbench.networks.architecture import Architecture

if TYPE_CHECKING:
    from torch import nn

    from kernbench.kernels.base import KernelSpec
    from kernbench.kernels.layer import KernelConv


@dataclass(frozen=True)
class Altered(Architecture):
    """Another network; a subclass overrides `layers`.

    Attributes:
        inner: the network.
    """

    inner: Architecture | None = None

    def padding(self, layers: "Sequence[KernelSpec]") -> int:
        """As the network says."""
        assert self.inner is not None
        return self.inner.padding(layers)

    def receptive_field(self, layers: "Sequence[KernelSpec]") -> int:
        """As the network says."""
        assert self.inner is not None
        return self.inner.receptive_field(layers)

    def build(self, layers: "Sequence[KernelConv]") -> "nn.Module":
        """As the network builds it."""
        assert self.inner is not None
        return self.inner.build(layers)


def pads_itself(network: Architecture) -> bool:
    """Whether the network at the bottom has a padding or a module of its own: what pads layers in a row goes by."""
    own = type(unaltered(network))
    return any(getattr(own, name) is not getattr(Architecture, name) for name in ("build", "padding"))


def own_fields(network: Architecture) -> dict[str, Any]:  # Any: text and numbers
    """What a network that is made of another one takes over from it."""
    return {field.name: getattr(network, field.name) for field in fields(Architecture)}


def unaltered(network: Architecture) -> Architecture:
    """The network at the bottom."""
    while isinstance(network, Altered) and network.inner is not None:
        network = network.inner
    return network
