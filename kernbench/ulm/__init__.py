"""The task: localizing microbubbles in single-channel ultrasound RF lines."""

from typing import TYPE_CHECKING

from kernbench.host.lazy import lazy_names

if TYPE_CHECKING:
    from kernbench.ulm import srml1d as srml1d
    from kernbench.ulm.scoring.tolerance_counts import tolerance_counts as tolerance_counts
    from kernbench.ulm.simulator.simulate import Lines as Lines
    from kernbench.ulm.simulator.simulate import Scene as Scene
    from kernbench.ulm.simulator.simulate import simulate_lines as simulate_lines

_HOMES = {
    "Lines": "simulator.simulate",
    "Scene": "simulator.scene",
    "simulate_lines": "simulator.simulate",
    "tolerance_counts": "scoring.tolerance_counts",
}

__all__ = ["Lines", "Scene", "simulate_lines", "srml1d", "tolerance_counts"]

__getattr__, __dir__ = lazy_names(__name__, _HOMES, ("srml1d",))
