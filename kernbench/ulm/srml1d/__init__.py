"""The published world of Blanken et al. (2022): its files and networks, in and out."""

from typing import TYPE_CHECKING

from kernbench.host.lazy import lazy_names

if TYPE_CHECKING:
    from kernbench.ulm.srml1d.networks import load_network as load_network
    from kernbench.ulm.srml1d.networks import load_thresholds as load_thresholds
    from kernbench.ulm.srml1d.networks import save_network as save_network
    from kernbench.ulm.srml1d.networks import save_thresholds as save_thresholds

__all__ = ["load_network", "load_thresholds", "save_network", "save_thresholds"]

__getattr__, __dir__ = lazy_names(__name__, dict.fromkeys(__all__, "networks"))
