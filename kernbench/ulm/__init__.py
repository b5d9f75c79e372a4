"""The task: localizing microbubbles in single-channel ultrasound RF lines."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

__all__ = ["Lines", "Scene", "simulate_lines", "tolerance_counts"]


def __getattr__(name: str) -> object:
    """Import a public name at its first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'kernbench.ulm' has no attribute {name!r}")
    return getattr(importlib.import_module(f"kernbench.ulm.{_HOMES[name]}"), name)
