"""The kernel size at which a whole network sees as far as a study asks for."""

from bisect import bisect_right
from typing import NamedTuple

from kernbench.errors import KernbenchError
from kernbench.networks.architecture import Architecture
from kernbench.networks.fitting import LARGEST, checked_length, layers_of

SMALLEST = 3  # taps: a kernel of one tap sees nothing beside its own sample


class Seen(NamedTuple):
    """A kernel size, and what a network with it sees.

    Attributes:
        kernel_size: taps, odd.
        field: receptive field [samples].
    """

    kernel_size: int
    field: int


def nearest_below(network: Architecture, field: int, channels: int | None = None, depth: int | None = None) -> Seen:
    """The largest odd kernel size whose network sees no further than a field.

    Args:
        network: an architecture; fields grow with the kernel size.
        field: receptive field that is wanted [samples].
        channels: width; the network's default if left out.
        depth: layers; the network's default if left out.

    Returns:
        The kernel size, 3 or more, and the receptive field that it gives.

    Raises:
        KernbenchError: kernels of 3 taps see further; says how far. A depth that the network refuses.
        PluginError: see `layers_of`.
    """

    def seen(taps: int) -> int:
        return checked_length(network, "receptive_field", layers_of(network, taps, channels, depth))

    odd = range(SMALLEST, LARGEST + 1, 2)
    place = bisect_right(odd, field, key=seen) - 1
    if place < 0:
        raise KernbenchError(
            f"network.field = {field}: network {network.name} sees {seen(SMALLEST)} samples with kernels of "
            f"{SMALLEST} taps; expected at least that; take a larger field, or fewer layers under "
            f"[networks.{network.name}]"
        )
    return Seen(odd[place], seen(odd[place]))
