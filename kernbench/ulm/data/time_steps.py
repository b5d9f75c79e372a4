"""Which step of the bubble equation a line needs, and lines that each have theirs."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from kernbench.ulm.simulator.scene import Scene
from kernbench.ulm.simulator.simulate import Lines, Progress, Window

# A bubble of 1.5 um at 250 kPa is compressed to 0.42 of its radius; at 16 ns it is off by 3.9 % of its excursion.
SMALL_M, STRONG_PA = 1.8e-6, 200e3
FINE_NS = 8.0


def step_ns(scene: Scene, usual_ns: float) -> float:
    """Step for a line [ns]: at most 8 where a bubble below 1.8 um meets more than 200 kPa, else the usual one."""
    small = np.asarray(scene.radius_m).min(initial=np.inf) < SMALL_M
    return min(usual_ns, FINE_NS) if small and scene.pressure_pa > STRONG_PA else usual_ns


def at_their_steps(
    simulate: Callable[..., Lines],
    scenes: Sequence[Scene],
    usual_ns: float,
    *,
    window: Window | None = None,
    progress: Progress | None = None,
    **options: Any,  # see simulate_lines
) -> Lines:
    """Lines of scenes, each at the step that it needs, so that a line does not depend on those beside it.

    Args:
        simulate: `simulate_lines`.
        scenes: one per line.
        usual_ns: step of lines that need no finer one [ns].
        window: as in `simulate_lines`.
        progress: called as progress(bubbles done, bubbles in all) for the lines of each step.
        options: of `simulate_lines`.

    Raises:
        DataError: see `simulate_lines`.
    """
    steps = np.array([step_ns(scene, usual_ns) for scene in scenes])
    if not (steps < usual_ns).any():
        return simulate(scenes, time_step_s=usual_ns * 1e-9, window=window, progress=progress, **options)
    parts: list[Lines] = []
    places: list[int] = []
    for step in np.unique(steps).tolist():
        rows = np.flatnonzero(steps == step).tolist()
        part = None if window is None else (np.asarray(window[0])[rows], window[1])
        chosen = [scenes[row] for row in rows]
        parts.append(simulate(chosen, time_step_s=step * 1e-9, window=part, progress=progress, **options))
        places += rows
    order = torch.from_numpy(np.argsort(places))
    tensors = [name for name, value in vars(parts[0]).items() if isinstance(value, torch.Tensor)]
    joined = {name: torch.cat([getattr(part, name) for part in parts])[order] for name in tensors}
    return Lines(**joined, stepped_again=sum(part.stepped_again for part in parts))
