"""Whether bubbles move on the device as a general solver says, and lines are those of the CPU."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from kernbench.bench.simulation import solve
from kernbench.doctor.finding import Asked, Checks, Finding
from kernbench.doctor.works import BUBBLES, relative_difference, simulated
from kernbench.host.device import choose_device
from kernbench.ulm.simulator.simulate import simulate_bubbles

DEPTHS_M, RADII_M, PRESSURES_PA = (0.02, 0.06), (2.2e-6, 2.6e-6), (20e3, 120e3)
TIME_STEP_S = 4e-9  # at the 16 ns of data sets the step itself costs 0.6 %
MOTION = 2e-3  # of the peak excursion; CPUs gave 3e-4
LINES = 1e-3  # of the largest value of a line
_ADVICE = "do not simulate on this device: simulate the lines elsewhere, with --device cpu, and copy the cache folder"


def checks(asked: Asked) -> Checks:
    """The simulator."""
    return {"simulator": lambda: _simulator(choose_device(asked.device))}


def _simulator(device: str) -> Iterator[Finding]:
    motion = _motion(device)
    found = f"motion of {len(RADII_M)} bubbles within {motion:.1e} of scipy's solver"
    lines = 0.0
    if device != "cpu":
        lines = relative_difference(simulated(device), simulated("cpu"))
        found = f"{found}, a line of {BUBBLES} bubbles within {lines:.1e} of the CPU's"
    if motion <= MOTION and lines <= LINES:
        yield Finding("simulator", "ok", found)
    else:
        yield Finding("simulator", "fail", f"{found}, expected {MOTION:.0e} and {LINES:.0e}", _ADVICE)


def _motion(device: str) -> float:
    """Largest difference of radii from those of scipy in float64, in parts of the peak excursion."""
    trace = simulate_bubbles(DEPTHS_M, RADII_M, PRESSURES_PA, device=device, time_step_s=TIME_STEP_S)
    time, pressure, radii = trace.time_s.cpu(), trace.pressure_pa.cpu(), trace.radius_m.cpu()
    trace = dataclasses.replace(trace, time_s=time, pressure_pa=pressure, radius_m=radii)
    errors = []
    for bubble, radius in enumerate(RADII_M):
        right = solve(trace, bubble, radius)
        own = trace.radius_m[bubble].double().numpy()
        errors.append(np.abs(own - right).max() / np.abs(right - radius).max())
    worst = float(np.max(errors))
    return worst if np.isfinite(worst) else float("inf")
