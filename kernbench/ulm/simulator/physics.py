"""Physics of one coated microbubble in water: shell, gas, thermal damping, and its equation of motion in batches.

Sources: Marmottant et al. (2005), J. Acoust. Soc. Am. 118, for the coated bubble; Prosperetti (1977), ibid. 61, for
thermal effects; Segers et al. (2018), Soft Matter 14, for the shell. Constants as in SRML-1D (Blanken et al. 2022).
SI units throughout.
"""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy  # not scipy.interpolate: it takes a quarter of a second, and only simulating needs it
import torch

from kernbench.ulm.line import PULSE_FREQUENCY_HZ, SPEED_OF_SOUND_M_PER_S
from kernbench.ulm.simulator import embedded_fits

FloatArray = npt.NDArray[np.float64]

REST_TENSION = 0.010  # N/m


@dataclass(frozen=True)
class Liquid:
    """Water around the bubbles: acoustic, viscous and thermal constants."""

    density: float = 998.0
    sound_speed: float = SPEED_OF_SOUND_M_PER_S
    viscosity: float = 1e-3
    pressure: float = 1.013e5
    temperature: float = 293.0
    heat_conductivity: float = 0.6
    heat_capacity: float = 4186.0
    nonlinearity: float = 1 + 5.2 / 2  # beta = 1 + B/(2A)
    attenuation_db_cm_mhz2: float = 0.002


@dataclass(frozen=True)
class Gas:
    """C4F10 in the bubbles; the density holds at ambient pressure."""

    heat_conductivity: float = 0.0138
    density: float = 10.1
    molar_mass: float = 0.238
    polytropic: float = 1.07
    heat_capacity: float = 809.0


WATER = Liquid()
C4F10 = Gas()
GAS_CONSTANT = 8.314

TABLE_SAMPLES = 4096
_AREAS = embedded_fits.AREA_FIRST + embedded_fits.AREA_STEP * np.arange(len(embedded_fits.TENSION_KNOTS))


def shell_viscosity(radius_m: FloatArray) -> FloatArray:
    """Surface dilatational viscosity of the shell [N s/m] of bubbles with these rest radii [m]."""
    return np.asarray(1.5e-9 * np.exp(8e5 * radius_m))


def thermal_damping(radius_m: FloatArray, frequency_hz: float = PULSE_FREQUENCY_HZ) -> tuple[FloatArray, FloatArray]:
    """Thermal viscosity and polytropic exponent at one frequency.

    Args:
        radius_m: rest radii, shape (bubbles,).
        frequency_hz: `thermal_hz` of the pulse.

    Returns:
        Viscosity to add to that of the liquid [Pa s] and polytropic exponent, each (bubbles,).

    Source: Prosperetti (1977), J. Acoust. Soc. Am. 61, 17-27.
    """
    omega = 2 * np.pi * frequency_hz
    at_rest = WATER.pressure + 2 * REST_TENSION / radius_m
    density = C4F10.density * at_rest / WATER.pressure
    gas_diffusivity = C4F10.heat_conductivity * C4F10.polytropic / (density * C4F10.heat_capacity)
    liquid_diffusivity = WATER.heat_conductivity / (WATER.density * WATER.heat_capacity)
    phi = _thermal_phi(
        C4F10.molar_mass * gas_diffusivity * omega / (C4F10.polytropic * GAS_CONSTANT * WATER.temperature),
        omega * radius_m**2 / gas_diffusivity,
        omega * radius_m**2 / liquid_diffusivity,
        C4F10.polytropic,
        WATER.heat_conductivity / C4F10.heat_conductivity,
    )
    viscosity = omega * density * radius_m**2 * phi.imag / 4
    return viscosity, omega**2 * density * radius_m**2 * phi.real / (3 * at_rest)


def _thermal_phi(g1: FloatArray, g2: FloatArray, g3: FloatArray, gamma: float, k: float) -> npt.NDArray[np.complex128]:
    """Complex response Phi of the gas temperature; symbols of Prosperetti (1977)."""
    root = np.sqrt((1j - g1) ** 2 + 4j * g1 / gamma)
    beta1, beta2 = (np.sqrt(gamma * g2 / 2 * (1j - g1 + sign * root)) for sign in (1, -1))
    lam1, lam2 = (beta / np.tanh(beta) - 1 for beta in (beta1, beta2))
    gam1, gam2 = (1j + g1 + sign * root for sign in (1, -1))
    kf = k * (1 + (1 + 1j) * np.sqrt(g3 / 2))
    top = kf * (gam2 - gam1) + lam2 * gam2 - lam1 * gam1
    return np.asarray(top / (kf * (lam2 * gam1 - lam1 * gam2) - lam1 * lam2 * (gam2 - gam1)))


def surface_tension(area: npt.ArrayLike) -> FloatArray:
    """Surface tension of the shell [N/m] at normalized areas: 0 when buckled, that of water when ruptured."""
    return np.asarray(_tension_spline()(np.clip(area, _AREAS[0], _AREAS[-1])))


def _tension_spline() -> Any:  # scipy has no types
    start, end = embedded_fits.TENSION_END_SLOPES
    return scipy.interpolate.CubicSpline(_AREAS, embedded_fits.TENSION_KNOTS, bc_type=((1, start), (1, end)))


def shell_elasticity() -> float:
    """Elasticity of the shell at rest [N/m]: half the rest radius times the slope of the tension over the radius."""
    return float(embedded_fits.AREA_AT_REST * _tension_spline()(embedded_fits.AREA_AT_REST, 1))


@dataclass(frozen=True, eq=False)
class TensionTable:
    """Surface tension sampled finely in x = R/R0 - 1, the same for all bubbles; linear in between (error < 2e-8 N/m).

    Attributes:
        first: x of the first sample.
        per_x: samples per unit of x.
        values: N/m, shape (samples + 1,); row 0 stands for everything below `first`.
        rises: difference to the next sample, 0 in the first and the last row.
    """

    first: float
    per_x: float
    values: torch.Tensor
    rises: torch.Tensor

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Tension [N/m] at x, any shape."""
        position = (x - (self.first - 1 / self.per_x)).mul_(self.per_x)
        # Clamping the integer, not the position, keeps NaN out of the index and in the result.
        row = position.to(torch.int32).clamp_(0, len(self.values) - 1)
        fraction = position.sub_(row)
        return torch.addcmul(self.values.index_select(0, row), self.rises.index_select(0, row), fraction)


@functools.cache
def tension_table(device: str, area_at_rest: float) -> TensionTable:
    """Table of `surface_tension` between buckling and rupture, float32 on a device."""
    first, last = (np.sqrt(area / area_at_rest) - 1 for area in _AREAS[[0, -1]].tolist())
    x = np.linspace(first, last, TABLE_SAMPLES)
    values = np.concatenate([[0.0], surface_tension(area_at_rest * (1 + x) ** 2)])
    rises = np.concatenate([[0.0], np.diff(values)[1:], [0.0]])
    tensors = (torch.as_tensor(array, dtype=torch.float32, device=device) for array in (values, rises))
    return TensionTable(float(first), float((TABLE_SAMPLES - 1) / (last - first)), *tensors)


@dataclass(frozen=True, eq=False)
class BubbleEquation:
    """Coefficients of the equation of motion of a batch, time in steps, x = R/R0 - 1 (so the step is 1 for all).

    (1+x) x'' = -3/2 x'^2 + gas (1+x)^exponent (1 - reradiation x') - drive
                - (tension sigma + x' (viscous + shell / (1+x))) / (1+x), with drive = (P0 + p_ac) s^2 / P0,
    where s is the time step over R0 sqrt(rho / P0). All tensors are float32 of shape
    (bubbles,).
    """

    table: TensionTable
    exponent: torch.Tensor
    gas: torch.Tensor
    gas_reradiation: torch.Tensor
    tension: torch.Tensor
    viscous: torch.Tensor
    shell: torch.Tensor
    drive_per_pa: torch.Tensor
    drive_at_rest: torch.Tensor

    def acceleration(
        self, x: torch.Tensor, u: torch.Tensor, drive: torch.Tensor, out: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Second derivative of x of each bubble, for x, u = x' and the drive, each (bubbles,)."""
        y = x + 1
        gas = torch.pow(y, self.exponent).mul_(torch.addcmul(self.gas, self.gas_reradiation, u, value=-1))
        inverse = y.reciprocal_()
        damping = torch.addcmul(self.viscous, self.shell, inverse).mul_(u)
        wall = damping.addcmul_(self.tension, self.table(x)).mul_(inverse)
        force = gas.sub_(wall).sub_(drive).addcmul_(u, u, value=-1.5)
        return torch.mul(force, inverse, out=out)


def bubble_equation(
    radius_m: FloatArray,
    time_step_s: float,
    device: str = "cpu",
    *,
    area_at_rest: float = embedded_fits.AREA_AT_REST,
    thermal_hz: float = PULSE_FREQUENCY_HZ,
) -> BubbleEquation:
    """Equation of motion of bubbles with these rest radii (bubbles,), thermal damping per bubble included.

    Args:
        radius_m: rest radii, shape (bubbles,).
        time_step_s: step of the integration; times in the equation are in steps.
        device: where the coefficients live.
        area_at_rest: normalized area of the shell at rest. Any other value than the default starts the bubble with a
            tension that differs from the 0.010 N/m of the gas pressure, as the runs of SRML-1D did (0.94649).
        thermal_hz: frequency at which thermal damping is taken.
    """
    thermal_viscosity, kappa = thermal_damping(radius_m, thermal_hz)
    pressure, density = WATER.pressure, WATER.density
    step = time_step_s / (radius_m * np.sqrt(density / pressure))
    pressure_at_rest = 1 + 2 * REST_TENSION / (radius_m * pressure)
    viscous = 4 * (WATER.viscosity + thermal_viscosity) / (radius_m * np.sqrt(density * pressure))
    shell = 4 * shell_viscosity(radius_m) / (radius_m**2 * np.sqrt(density * pressure))
    coefficients = (
        -3 * kappa,
        pressure_at_rest * step**2,
        pressure_at_rest * step * 3 * kappa / WATER.sound_speed * np.sqrt(pressure / density),
        2 / (radius_m * pressure) * step**2,
        viscous * step,
        shell * step,
        step**2 / pressure,
        step**2,
    )
    columns = [torch.as_tensor(values, dtype=torch.float32, device=device) for values in coefficients]
    return BubbleEquation(tension_table(device, area_at_rest), *columns)


def integrate(equation: BubbleEquation, pressure_pa: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Motion of a batch of bubbles from rest, by the classical Runge-Kutta rule of order 4.

    Args:
        equation: coefficients for the time step.
        pressure_pa: driving pressure on half steps, shape (2 steps - 1, bubbles), contiguous or not.

    Returns:
        x, x' and x'' per step, each (steps, bubbles) float32. The last comes from the equation, which is far more
        accurate at 16 ns than a difference of velocities.
    """
    # new memory: `contiguous()` of a transposed table copies nothing where there is one bubble
    drive = torch.mul(pressure_pa, equation.drive_per_pa, out=pressure_pa.new_empty(pressure_pa.shape))
    drive.add_(equation.drive_at_rest)
    steps = (len(drive) + 1) // 2
    x, u, a = (drive.new_zeros(steps, drive.shape[1]) for _ in range(3))
    f = equation.acceleration
    f(x[0], u[0], drive[0], out=a[0])
    for n in range(steps - 1):  # of length 1; the Nystroem form of the rule saves sums over the velocity stages
        x1, u1, k1, middle, end = x[n], u[n], a[n], drive[2 * n + 1], drive[2 * n + 2]
        u2 = torch.add(u1, k1, alpha=0.5)
        k2 = f(torch.add(x1, u1, alpha=0.5), u2, middle)
        u3 = torch.add(u1, k2, alpha=0.5)
        k3 = f(torch.add(x1, u2, alpha=0.5), u3, middle)
        k4 = f(x1 + u3, u1 + k3, end)
        inner = k2.add_(k3)
        torch.add(u1, x1, out=x[n + 1]).add_(k1, alpha=1 / 6).add_(inner, alpha=1 / 6)
        torch.add(u1, k1, alpha=1 / 6, out=u[n + 1]).add_(inner, alpha=1 / 3).add_(k4, alpha=1 / 6)
        f(x[n + 1], u[n + 1], end, out=a[n + 1])
    return x, u, a
