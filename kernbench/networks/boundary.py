"""What a network takes for the samples beyond the ends of a line, and where: once at the input, or in every layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernbench.errors import KernbenchError, close_match
from kernbench.networks.altered import Altered, own_fields, pads_itself
from kernbench.networks.architecture import Architecture

if TYPE_CHECKING:
    from torch import nn

    from kernbench.kernels.base import KernelSpec
    from kernbench.kernels.layer import KernelConv

MIRROR, ZERO, REPLICATE, SYMMETRIC, CIRCULAR = POLICIES = ("mirror", "zero", "replicate", "symmetric", "circular")
INPUT, LAYER = PLACES = ("input", "layer")


@dataclass(frozen=True)
class Boundary:
    """A boundary policy, and where it is applied. The published networks mirror once, at the input.

    Attributes:
        policy: "mirror" (the last sample is not repeated), "zero", "replicate" (the last sample again and again),
            "symmetric" (mirrored, the last sample repeated) or "circular" (the line goes on at its other end).
        at: "input" pads the line once, by all that the layers need together; "layer" pads what each layer takes.

    Raises:
        KernbenchError: no such policy or place.
    """

    policy: str = MIRROR
    at: str = INPUT

    def __post_init__(self) -> None:
        """Refuse other names."""
        for name, value, known in (("boundary", self.policy, POLICIES), ("boundary_at", self.at, PLACES)):
            if value not in known:
                hint = close_match(str(value), known)
                raise KernbenchError(f"{name} must be one of {', '.join(known)}, got {value!r}{hint}")

    @property
    def in_layers(self) -> bool:
        """Whether every layer pads what it takes."""
        return self.at == LAYER

    def shortest(self, samples: int) -> int:
        """Samples that a line needs at least, to be padded by a number of samples at an end."""
        return max(1, {MIRROR: samples + 1, SYMMETRIC: samples, CIRCULAR: samples}.get(self.policy, 0))

    def at_one_time(self, each: Sequence[int], together: int) -> int:
        """Largest padding at an end: that of all layers together, or of one.

        Args:
            each: that of each layer [samples].
            together: that of all of them.
        """
        return max(each) if self.in_layers else together


PUBLISHED = Boundary()


@dataclass(frozen=True)
class Bounded(Altered):
    """Another network with another boundary.

    Attributes:
        boundary: of the network.
    """

    boundary: Boundary = PUBLISHED

    def layers(self, kernel_size: int, channels: int, depth: int) -> "Sequence[KernelSpec]":
        """The layers of the network.

        Raises:
            KernbenchError: the network pads by itself.
        """
        assert self.inner is not None
        if pads_itself(self):
            here, usual = self.boundary, PUBLISHED
            names = {"boundary": (here.policy, usual.policy), "boundary_at": (here.at, usual.at)}
            name, value = next((name, value) for name, (value, other) in names.items() if value != other)
            raise KernbenchError(
                f"network {self.name} pads lines by itself: expected layers in a row for network.{name} = {value!r}; "
                f"leave out network.{name}, or take another network"
            )
        return self.inner.layers(kernel_size, channels, depth)

    def build(self, layers: "Sequence[KernelConv]") -> "nn.Module":
        """As the network builds it, with the boundary."""
        from kernbench.networks.network import Network  # noqa: PLC0415  # with it comes torch

        network = super().build(layers)
        assert isinstance(network, Network)  # layers in a row
        network.set_boundary(self.boundary)
        return network


def bounded(network: Architecture, policy: str, at: str) -> Architecture:
    """A network with a boundary; with that of the published ones it is the network itself.

    Raises:
        KernbenchError: see `Boundary`.
    """
    boundary = Boundary(policy, at)
    return network if boundary == PUBLISHED else Bounded(**own_fields(network), inner=network, boundary=boundary)


def boundary_of(network: Architecture) -> Boundary:
    """The boundary of a network; one that pads by itself mirrors, as far as kernbench knows."""
    while isinstance(network, Altered) and network.inner is not None:
        if isinstance(network, Bounded):
            return network.boundary
        network = network.inner
    return PUBLISHED
