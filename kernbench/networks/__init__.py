"""Networks: what they are in numbers, built, what they cost, and their weights as files."""

from typing import TYPE_CHECKING

from kernbench.host.lazy import lazy_names

if TYPE_CHECKING:
    from kernbench.networks.architecture import Architecture as Architecture
    from kernbench.networks.network import Network as Network
    from kernbench.networks.network import build as build

__all__ = ["Architecture", "Network", "build"]

__getattr__, __dir__ = lazy_names(__name__, {"Architecture": "architecture", "Network": "network", "build": "network"})
