"""Templates: echoes of single bubbles on the axis, simulated, from their geometric arrival on."""

import functools
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import scipy.fft
import torch
from torch import Tensor

from kernbench.ulm.detectors.recording import robust_scale
from kernbench.ulm.line import DEFAULT_PULSE, SAMPLES, depth_range_of
from kernbench.ulm.simulator.physics import WATER
from kernbench.ulm.simulator.pulses import find_pulse
from kernbench.ulm.simulator.scene import Scene
from kernbench.ulm.simulator.simulate import NONLINEAR, simulate_lines
from kernbench.ulm.simulator.transducer import RATE_HZ

ECHO_SAMPLES = 256  # of the default pulse: where its echo has ended
RADIUS_M = 2.4e-6
PRESSURE_PA = 100e3
DEPTH_M = 0.05
BANK_PRESSURES_PA: tuple[float, ...] = tuple(np.geomspace(5e3, 250e3, 8).tolist())
BANK_DEPTHS_M = (0.010, 0.035, 0.060, 0.090)
LEVELS = ("expected", "line")  # units of the score of a sparse deconvolution


class Bank(NamedTuple):
    """Echoes of single bubbles.

    Attributes:
        echoes: voltage from the geometric arrival on, (B, K) float32, a.u.; K is 256 for the default pulse.
        pressure_pa: of the pulse, (B,).
        arrival: sample of the arrival in a whole line, (B,).
    """

    echoes: Tensor
    pressure_pa: Tensor
    arrival: Tensor

    @property
    def norm(self) -> Tensor:
        """Root of the energy of each echo, (B,)."""
        return self.echoes.square().sum(dim=1).sqrt()

    @property
    def unit(self) -> Tensor:
        """Echoes of energy 1, (B, K)."""
        return self.echoes / self.norm[:, None]

    def to(self, device: torch.device | str) -> "Bank":
        """The same on a device."""
        return Bank(*(each.to(device) for each in self))

    def by_pressure(self) -> dict[float, "Bank"]:
        """The echoes of each pressure, rising."""
        pressures = self.pressure_pa.unique().tolist()
        return {pressure: Bank(*(each[self.pressure_pa == pressure] for each in self)) for pressure in pressures}

    def summed(self, amplitude: Tensor, depth: Tensor, gain: str) -> Tensor:
        """Sums of amplitudes over the bank: relative to what their pressure lets expect, and as they are, (2, N, L).

        Args:
            amplitude: of unit-energy echoes, (N, B, L).
            depth: share of the line's length, (N, L); echoes fall as 1/r.
            gain: "depth" where the lines have been multiplied by the depth, so that 1/r is out of them, or "none".
        """
        at_template = self.arrival / SAMPLES
        relative = (amplitude / (self.norm * at_template)[:, None]).sum(dim=1)
        return torch.stack([relative if gain == "depth" else relative * depth, amplitude.sum(dim=1)])


def in_unit(level: str, sums: Tensor, voltage: Tensor) -> Tensor:
    """Sums of `Bank.summed` as a score, (N, L).

    Args:
        level: "line" for amplitudes in units of the line's `robust_scale`, or "expected" for relative ones.
        sums: (2, N, L).
        voltage: conditioned lines, (N, L).
    """
    return sums[1] / robust_scale(voltage) if level == "line" else sums[0]


@functools.cache
def simulated_bank(
    pressures_pa: Sequence[float] = (PRESSURE_PA,),
    depths_m: Sequence[float] = (DEPTH_M,),
    transmit_response: str | None = None,
    receive_response: str | None = None,
    pulse: str = DEFAULT_PULSE,
    bubbles: str = NONLINEAR,
) -> Bank:
    """Echoes of a 2.4 um bubble at every pressure and depth, pressures outermost; the default is the single template.

    Depths are rounded to integer samples of arrival, and no larger than those of bubbles under the pulse. What an echo
    has beyond the end of the line is zero.

    Args:
        pressures_pa: of the pulse at the array, a tuple.
        depths_m: a tuple.
        transmit_response: measured response (.mat), or None for the embedded fit.
        receive_response: the same for reception.
        pulse: see `simulate_lines`.
        bubbles: see `simulate_lines`.

    Raises:
        DataError: a response or pulse file that cannot be used.
    """
    sample_m = WATER.sound_speed / (2 * RATE_HZ)
    deepest, taps = depth_range_of(pulse)[1], template_samples(pulse)
    depths = [min(depth, deepest) for depth in depths_m]
    pairs = [(pressure, round(depth / sample_m)) for pressure, depth in product(pressures_pa, depths)]
    scenes = [Scene([arrival * sample_m], [0.0], [RADIUS_M], pressure) for pressure, arrival in pairs]
    pressure, arrival = (np.array(column) for column in zip(*pairs, strict=True))
    inside = min(taps, SAMPLES - int(arrival.max()))
    lines = simulate_lines(
        scenes,
        pulse=pulse,
        bubbles=bubbles,
        window=(arrival, inside),
        transmit_response=transmit_response,
        receive_response=receive_response,
    )
    echoes = torch.nn.functional.pad(lines.voltage, (0, taps - inside))
    return Bank(echoes, torch.from_numpy(pressure).float(), torch.from_numpy(arrival))


def template_samples(pulse: str = DEFAULT_PULSE) -> int:
    """Samples from the arrival on that hold an echo, K: of other pulses than the default one, as many as they last.

    Raises:
        DataError: a pulse file that cannot be used.
    """
    return ECHO_SAMPLES if pulse == DEFAULT_PULSE else find_pulse(pulse).echo_samples


def fft_length(samples: int, taps: int) -> int:
    """A fast FFT length at which an echo of so many taps that starts inside a line of samples does not wrap around."""
    return int(scipy.fft.next_fast_len(samples + taps - 1, real=True))


def correlation(voltage: Tensor, templates: Tensor) -> Tensor:
    """Correlation c[n] = sum_k V[n + k] s[k] of lines with templates that start at the arrival; zeros behind the line.

    Args:
        voltage: (N, L).
        templates: (B, K).

    Returns:
        (N, B, L).
    """
    points = fft_length(voltage.shape[1], templates.shape[1])
    spectrum = torch.fft.rfft(voltage, n=points)[:, None] * torch.fft.rfft(templates, n=points).conj()
    result: Tensor = torch.fft.irfft(spectrum, n=points)[..., : voltage.shape[1]]
    return result
