"""Motion of bubbles in batches: by their full equation, again with a smaller step where it diverges, or linearized."""

from dataclasses import dataclass

import numpy as np
import torch

from kernbench.errors import DataError
from kernbench.ulm.line import SAMPLE_RATE_HZ
from kernbench.ulm.simulator.physics import (
    REST_TENSION,
    WATER,
    FloatArray,
    bubble_equation,
    integrate,
    shell_elasticity,
    shell_viscosity,
    thermal_damping,
)
from kernbench.ulm.simulator.pulse import RATIO
from kernbench.ulm.simulator.scene import Bubbles
from kernbench.ulm.simulator.transducer import DriveSpectrum, driving_pressure

SENSOR_DISTANCE_M = 1e-3  # where the scattered pressure is taken
TIME_STEP_S = 1 / SAMPLE_RATE_HZ
SMALLER = 4  # steps in place of one where the motion of a bubble diverges


@dataclass(frozen=True, eq=False)
class BubbleTrace:
    """Motion of single bubbles; time 0 is the arrival of the start of the drive at the bubble.

    Attributes:
        time_s: shape (steps,).
        pressure_pa: driving pressure, (bubbles, steps).
        radius_m: R, (bubbles, steps).
        scattered_pa: scattered pressure 1 mm from the bubble, (bubbles, steps).
        stepped_again: bubbles whose motion diverged at the time step and was computed at a quarter of it.
    """

    time_s: torch.Tensor
    pressure_pa: torch.Tensor
    radius_m: torch.Tensor
    scattered_pa: torch.Tensor
    stepped_again: int = 0


def trace(bubbles: Bubbles, spectrum: DriveSpectrum, substeps: int, area_at_rest: float) -> BubbleTrace:
    """Motion of a batch of bubbles; one that diverges is stepped again at a quarter of the time step.

    Args:
        bubbles: of any lines.
        spectrum: of the pulse that drives them.
        substeps: time steps per RF sample.
        area_at_rest: see `bubble_equation`.

    Raises:
        DataError: a bubble diverges at the smaller step, too.
    """
    first, diverged = _stepped(bubbles, spectrum, substeps, area_at_rest)
    if not diverged.any():
        return first
    again = bubbles[diverged]
    second, still = _stepped(again, spectrum, substeps * SMALLER, area_at_rest)
    if still.any():
        step_ns = TIME_STEP_S / substeps * 1e9
        smaller_ns = step_ns / SMALLER
        raise DataError(
            f"the motion of a bubble of {again.radius_m[still].min() * 1e6:.2f} um diverged with time steps of "
            f"{step_ns:g} and {smaller_ns:g} ns; use a smaller time step, such as {smaller_ns / 2:g} ns"
        )
    rows = torch.as_tensor(np.flatnonzero(diverged), device=first.radius_m.device)
    for name in ("radius_m", "scattered_pa"):
        getattr(first, name)[rows] = getattr(second, name)[:, ::SMALLER]
    return BubbleTrace(first.time_s, first.pressure_pa, first.radius_m, first.scattered_pa, len(again))


def _stepped(
    bubbles: Bubbles, spectrum: DriveSpectrum, substeps: int, area_at_rest: float
) -> tuple[BubbleTrace, np.ndarray]:
    """Motion at one time step, and which bubbles diverged."""
    step, device = TIME_STEP_S / substeps, str(spectrum.linear.device)
    radius = torch.as_tensor(bubbles.radius_m, dtype=torch.float32, device=device)
    pressure = _half_steps(bubbles, spectrum, substeps)
    thermal_hz = spectrum.pulse.thermal_hz
    equation = bubble_equation(bubbles.radius_m, step, device, area_at_rest=area_at_rest, thermal_hz=thermal_hz)
    x, u, a = integrate(equation, pressure.T)
    y = x + 1
    # rho R (2 R'^2 + R R'') / r0; times are in steps until here
    scattered = torch.addcmul(y * a, u, u, value=2).mul_(y)
    scattered *= WATER.density * radius**3 / (SENSOR_DISTANCE_M * step**2)
    time = torch.arange(len(x), dtype=torch.float64) * step
    diverged = ~torch.isfinite(a[-1]).cpu().numpy()
    return BubbleTrace(time, pressure[:, ::2], (y * radius).T, scattered.T), diverged


def linear_trace(bubbles: Bubbles, spectrum: DriveSpectrum, substeps: int) -> BubbleTrace:
    """Motion of a batch of bubbles by their equation linearized at rest, solved in frequency.

    Args:
        bubbles: of any lines.
        spectrum: of the pulse that drives them, without a second harmonic to be linear throughout.
        substeps: time samples per RF sample.

    Source: Zorgdrager et al. (2025), published code: X = -P / (rho R0^2 (w0^2 - w^2 + i w delta)).
    """
    step, device = TIME_STEP_S / substeps, spectrum.linear.device
    pressure = _half_steps(bubbles, spectrum, substeps)[:, ::2]
    points = 2 * pressure.shape[1]  # twice as long: what still rings at the end must not come in at the start
    omega = np.asarray(2 * np.pi * np.fft.rfftfreq(points, step), np.float64)
    response = torch.as_tensor(_linear_response(bubbles.radius_m, omega, spectrum.pulse.thermal_hz), device=device)
    bins = torch.fft.rfft(pressure.double(), n=points) * response
    x = torch.fft.irfft(bins, n=points)
    acceleration = torch.fft.irfft(bins * torch.as_tensor(-(omega**2), device=device), n=points)
    radius = torch.as_tensor(bubbles.radius_m, dtype=torch.float64, device=device)[:, None]
    steps = pressure.shape[1]
    scattered = WATER.density * radius**3 / SENSOR_DISTANCE_M * acceleration[:, :steps]
    time = torch.arange(steps, dtype=torch.float64) * step
    return BubbleTrace(time, pressure, (radius * (1 + x[:, :steps])).float(), scattered.float())


def _linear_response(radius_m: FloatArray, omega: FloatArray, thermal_hz: float) -> np.ndarray:
    """Relative excursion over pressure [1/Pa], (bubbles, bins) complex128."""
    viscosity, kappa = thermal_damping(radius_m, thermal_hz)
    gas = WATER.pressure + 2 * REST_TENSION / radius_m
    inertia = WATER.density * radius_m**2
    stiffness = 3 * kappa * gas - 2 * REST_TENSION / radius_m + 4 * shell_elasticity() / radius_m
    damping = (
        3 * kappa * gas * radius_m / WATER.sound_speed
        + 4 * (WATER.viscosity + viscosity)
        + 4 * shell_viscosity(radius_m) / radius_m
    )
    denominator = stiffness[:, None] - inertia[:, None] * omega**2 + 1j * omega * damping[:, None]
    return np.asarray(-1 / denominator)


def _half_steps(bubbles: Bubbles, spectrum: DriveSpectrum, substeps: int) -> torch.Tensor:
    """Driving pressure of each bubble on half steps, (bubbles, 2 steps - 1)."""
    device = str(spectrum.linear.device)
    z, amplitude = (
        torch.as_tensor(column, dtype=torch.float32, device=device) for column in (bubbles.z_m, bubbles.pressure_pa)
    )
    pulse = spectrum.pulse
    pressure = driving_pressure(spectrum, z, amplitude, 2 * pulse.period_samples // RATIO * substeps)
    return pressure[:, : 2 * pulse.echo_samples * substeps - 1]


def substeps_of(time_step_s: float) -> int:
    """Steps per RF sample.

    Raises:
        DataError: not 16 ns, nor 16 ns over an integer.
    """
    steps = round(TIME_STEP_S / time_step_s) if time_step_s > 0 else 0
    if steps < 1 or abs(steps * time_step_s - TIME_STEP_S) > 1e-6 * TIME_STEP_S:
        raise DataError(f"time step: expected 16 ns or 16 ns over an integer, got {time_step_s * 1e9:g} ns")
    return steps
