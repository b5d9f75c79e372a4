"""Networks: what they are in numbers, built, what they cost, and their weights as files."""

from typing import TYPE_CHECKING

from kernbench.host.lazy import lazy_names

if TYPE_CHECKING:
    from kernbench.networks.architecture import Architecture as Architecture
    from kernbench.networks.network import Network as Network
    from kernbench.networks.network import build as build
    from kernbench.networks.rates import at_rate as at_rate

__all__ = ["Architecture", "Network", "at_rate", "build"]

_HOMES = {"Architecture": "architecture", "Network": "network", "at_rate": "rates", "build": "network"}

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
