"""From scenes to RF lines and labels: every echo of every bubble of many lines, simulated in batches.

Source: SRML-1D, Blanken et al. (2022), IEEE Trans. Med. Imaging 41(9). One plane wave out (delay z/c), one receiving
element at the origin (delay sqrt(x^2 + z^2)/c), no interaction between bubbles, echoes added.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy  # not scipy.fft, for the same reason as in kernbench.conv.plan
import torch

from kernbench.errors import DataError
from kernbench.host.accelerator import is_cpu
from kernbench.ulm.line import DEFAULT_PULSE, SAMPLES
from kernbench.ulm.simulator import embedded_fits
from kernbench.ulm.simulator.motion import SENSOR_DISTANCE_M, BubbleTrace, linear_trace, substeps_of, trace
from kernbench.ulm.simulator.physics import FloatArray
from kernbench.ulm.simulator.pulse import RATIO, Pulse
from kernbench.ulm.simulator.pulses import find_pulse
from kernbench.ulm.simulator.scene import Bubbles, IntArray, Scene, depth_m, flatten, line_counts
from kernbench.ulm.simulator.transducer import (
    RATE_HZ,
    DriveSpectrum,
    ReceiveFilter,
    attenuation,
    drive_spectrum,
    driving_pressure,
    receive_filter,
)

__all__ = ["BubbleTrace", "Lines", "Scene", "simulate_bubbles", "simulate_lines"]

Progress = Callable[[int, int], None]
Window = tuple[Sequence[int] | IntArray, int]

FIELD_PLANES = 257  # depths at which the pressure field is computed
NONLINEAR, LINEAR = "nonlinear", "linear"


@dataclass(frozen=True, eq=False)
class Lines:
    """Simulated RF lines, each (lines, samples).

    Attributes:
        voltage: received signal, float32, arbitrary units of SRML-1D.
        counts: bubbles whose geometric arrival rounds to the sample, int64.
        pressure_field_pa: largest pressure at the depth of the sample, float32; by depth, not by off-axis arrival.
        echo_pa: pressure of the echoes at the element, before the receive response, float32.
        stepped_again: bubbles whose motion diverged at the time step and was computed at a quarter of it.
    """

    voltage: torch.Tensor
    counts: torch.Tensor
    pressure_field_pa: torch.Tensor
    echo_pa: torch.Tensor
    stepped_again: int = 0


def simulate_lines(
    scenes: Sequence[Scene],
    *,
    pulse: str = DEFAULT_PULSE,
    bubbles: str = NONLINEAR,
    device: str = "cpu",
    time_step_s: float | None = None,
    window: Window | None = None,
    transmit_response: str | None = None,
    receive_response: str | None = None,
    batch: int | None = None,
    progress: Progress | None = None,
) -> Lines:
    """RF lines and labels of scenes.

    Args:
        scenes: one per line; they may differ in bubbles and pressure.
        pulse: name of the driving pulse, or the path of a file with one, see `pulses.find_pulse`.
        bubbles: "nonlinear", or "linear": bubbles linearized at rest, and no second harmonic in water.
        device: "cpu", "cuda" or "cuda:i".
        time_step_s: step of the bubble equation: 16 ns, or 16 ns over an integer; None takes that of the pulse, 16 ns
            for most. Bubbles below 1 um need 8 ns. A bubble that diverges is stepped again at a quarter of it.
        window: None for whole lines of 8446 samples, or (first sample per line (lines,), length). Only bubbles whose
            echo reaches the window are simulated; the result equals the same slice of the whole line.
        transmit_response: measured response (.mat) in place of the embedded fit.
        receive_response: the same for reception.
        batch: bubbles per batch; None takes what suits the device.
        progress: called as progress(bubbles done, bubbles in all).

    Returns:
        Lines on the CPU, each tensor (lines, 8446 or window length).

    Raises:
        DataError: a scene, window, step or response file that cannot be used, or an integration that diverged.
    """
    linear = _is_linear(bubbles)
    sent, receive = find_pulse(pulse, transmit_response), receive_filter(receive_response)
    substeps = steps_of(time_step_s, sent)
    starts, length = _window(window, len(scenes))
    everything = flatten(scenes)
    spectrum = drive_spectrum(sent, device, harmonic=not linear)
    stride = _stride(sent)
    pressure = torch.zeros(len(scenes) * stride, dtype=torch.float64, device=device)
    # Small enough for the cache of a core; a GPU needs far more to hide its launches.
    size = batch or (2048 if is_cpu(device) else 1 << 16)
    reaching, again = reaching_of(everything, starts, length, receive, sent.echo_samples), 0
    for first in range(0, len(reaching), size):
        again += _add_echoes(pressure, reaching[first : first + size], spectrum, substeps, linear=linear)
        if progress is not None:
            progress(min(first + size, len(reaching)), len(reaching))
    echoes = pressure.view(len(scenes), stride)[:, :SAMPLES].cpu().numpy()
    columns = starts[:, None] + np.arange(length)
    complete = (line_counts(everything, len(scenes)), _pressure_field(scenes, spectrum), echoes.astype(np.float32))
    windows = (np.take_along_axis(lines, columns, axis=1) for lines in complete)
    voltage = _receive(echoes, receive, starts, length)
    counts, field, echo = map(torch.from_numpy, windows)
    return Lines(torch.from_numpy(voltage), counts, field, echo, again)


def simulate_bubbles(
    z_m: npt.ArrayLike,
    radius_m: npt.ArrayLike,
    pressure_pa: npt.ArrayLike,
    *,
    pulse: str = DEFAULT_PULSE,
    bubbles: str = NONLINEAR,
    device: str = "cpu",
    time_step_s: float | None = None,
    transmit_response: str | None = None,
    area_at_rest: float = embedded_fits.AREA_AT_REST,
) -> BubbleTrace:
    """Motion of single bubbles.

    Args:
        z_m: depths, shape (bubbles,) or one for all.
        radius_m: rest radii, the same.
        pressure_pa: amplitudes of the pulse at the array, the same.
        pulse: as in `simulate_lines`.
        bubbles: as in `simulate_lines`.
        device: "cpu", "cuda" or "cuda:i".
        time_step_s: as in `simulate_lines`.
        transmit_response: measured response (.mat) in place of the embedded fit.
        area_at_rest: see `bubble_equation`; lines always start in equilibrium.

    Raises:
        DataError: as `simulate_lines`.
    """
    z, radius, amplitude = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(v, float)) for v in (z_m, radius_m, pressure_pa))
    )
    scenes = [Scene([zi], [0.0], [ri], float(pi)) for zi, ri, pi in zip(z, radius, amplitude, strict=True)]
    linear, sent = _is_linear(bubbles), find_pulse(pulse, transmit_response)
    spectrum, substeps = drive_spectrum(sent, device, harmonic=not linear), steps_of(time_step_s, sent)
    table = flatten(scenes)
    return linear_trace(table, spectrum, substeps) if linear else trace(table, spectrum, substeps, area_at_rest)


def _add_echoes(
    line_pressure: torch.Tensor, bubbles: Bubbles, spectrum: DriveSpectrum, substeps: int, *, linear: bool
) -> int:
    """Add the echoes of a batch of bubbles to the pressure at the element, (lines * stride,) float64.

    Returns:
        Bubbles that were stepped again.
    """
    echoes, first, again = echoes_of(bubbles, spectrum, substeps, linear=linear)
    start = torch.as_tensor(bubbles.line * _stride(spectrum.pulse) + first, device=echoes.device)
    target = start[:, None] + torch.arange(echoes.shape[1], device=echoes.device)
    # float64 sums do not depend on the order of bubbles once rounded to float32
    line_pressure.index_add_(0, target.ravel(), echoes.ravel().double())
    return again


def echoes_of(
    bubbles: Bubbles, spectrum: DriveSpectrum, substeps: int, *, linear: bool
) -> tuple[torch.Tensor, IntArray, int]:
    """Echo of each bubble at the element, before the receive response.

    Args:
        bubbles: of any lines.
        spectrum: of the pulse that drives them.
        substeps: time steps per RF sample, see `steps_of`.
        linear: whether the bubbles are linearized.

    Returns:
        Pa, (bubbles, echo samples of the pulse); the sample of the line where each begins, (bubbles,); how many bubbles
        were stepped again.

    Raises:
        DataError: see `simulate_lines`.
    """
    if linear:
        motion = linear_trace(bubbles, spectrum, substeps)
    else:
        motion = trace(bubbles, spectrum, substeps, embedded_fits.AREA_AT_REST)
    arrival = bubbles.arrival_samples
    first = np.ceil(arrival).astype(np.int64)
    # Full samples stay integers: a float32 phase over the full delay would lose the fourth digit.
    echoes = _propagate(motion.scattered_pa, bubbles.range_m, first - arrival, substeps, spectrum.pulse)
    return echoes, first, motion.stepped_again


def _stride(pulse: Pulse) -> int:
    """Samples of a line and of an echo that runs past its end, to be cut off."""
    return SAMPLES + pulse.echo_samples


def _propagate(
    scattered: torch.Tensor, range_m: FloatArray, advance_samples: FloatArray, substeps: int, pulse: Pulse
) -> torch.Tensor:
    """Echoes at the element on the RF grid: spreading, attenuation and a fractional shift, all in frequency.

    Args:
        scattered: pressure at 1 mm, (bubbles, steps).
        range_m: distance to the element, (bubbles,).
        advance_samples: 0 <= advance < 1, (bubbles,).
        substeps: steps per RF sample.
        pulse: whose echoes these are.

    Returns:
        Pa, (bubbles, echo samples of the pulse).
    """
    points = pulse.period_samples // RATIO
    frequency = np.fft.rfftfreq(points, 1 / RATE_HZ)
    distance, advance, decay, omega = (
        torch.as_tensor(values, dtype=torch.float32, device=scattered.device)
        for values in (range_m, advance_samples, attenuation(frequency), 2 * np.pi * frequency / RATE_HZ)
    )
    bins = torch.fft.rfft(scattered, n=points * substeps)[:, : len(frequency)]
    level = SENSOR_DISTANCE_M / substeps / distance[:, None] * torch.exp(-decay * distance[:, None])
    shifted = bins * torch.polar(level, omega * advance[:, None])
    echoes: torch.Tensor = torch.fft.irfft(shifted, n=points)
    return echoes[:, : pulse.echo_samples]


def _receive(pressure: FloatArray, receive: ReceiveFilter, starts: IntArray, length: int) -> npt.NDArray[np.float32]:
    """Voltage in the window of each line, (lines, length): circular convolution with the receive response."""
    reach = len(receive.taps) - 1
    columns = (starts[:, None] - receive.last + np.arange(length + reach)) % SAMPLES
    points = scipy.fft.next_fast_len(length + reach, real=True)
    taps = scipy.fft.rfft(receive.taps, n=points)
    voltage = np.empty((len(pressure), length), dtype=np.float32)
    for line, (row, wanted) in enumerate(zip(pressure, columns, strict=True)):
        filtered = scipy.fft.irfft(scipy.fft.rfft(row[wanted], n=points) * taps, n=points)
        voltage[line] = filtered[reach : reach + length]
    return voltage


def _window(window: Window | None, lines: int) -> tuple[IntArray, int]:
    """First sample of each line (lines,) and length of the window, checked."""
    if window is None:
        return np.zeros(lines, np.int64), SAMPLES
    starts, length = np.asarray(window[0], dtype=np.int64), int(window[1])
    if starts.shape != (lines,):
        raise DataError(f"window: expected one start per line, shape ({lines},), got {starts.shape}")
    if length < 1 or (lines and (starts.min() < 0 or starts.max() + length > SAMPLES)):
        raise DataError(f"window: starts and length {length} must stay within the {SAMPLES} samples of a line")
    return starts, length


def check_bubbles(bubbles: str) -> None:
    """Raise DataError unless this is a kind of bubbles."""
    if bubbles not in (NONLINEAR, LINEAR):
        raise DataError(f"bubbles: expected {NONLINEAR} or {LINEAR}, got {bubbles!r}")


def _is_linear(bubbles: str) -> bool:
    check_bubbles(bubbles)
    return bubbles == LINEAR


def steps_of(time_step_s: float | None, pulse: Pulse) -> int:
    """Steps per RF sample: of a time step [s], or of the one that the pulse needs.

    Raises:
        DataError: see `substeps_of`.
    """
    return substeps_of(pulse.step_ns * 1e-9 if time_step_s is None else time_step_s)


def reaching_of(bubbles: Bubbles, starts: IntArray, length: int, receive: ReceiveFilter, echo_samples: int) -> Bubbles:
    """Bubbles whose echo, receive response included, touches the window of their line."""
    if length == SAMPLES:
        return bubbles  # the receive response is circular: every echo counts
    first = np.ceil(bubbles.arrival_samples).astype(np.int64)
    start = starts[bubbles.line]
    end = np.minimum(first + echo_samples, SAMPLES)
    direct = (first + receive.first < start + length) & (end + receive.last > start)
    wrapped = (end + receive.last - SAMPLES > start) | (first + receive.first + SAMPLES < start + length)
    return bubbles[direct | wrapped]


def _pressure_field(scenes: Sequence[Scene], spectrum: DriveSpectrum) -> npt.NDArray[np.float32]:
    """Largest pressure at the depth of each sample, (lines, 8446); interpolated between planes."""
    planes = torch.linspace(0, float(depth_m(SAMPLES)), FIELD_PLANES, device=spectrum.linear.device)
    peaks = planes.new_empty(len(scenes), FIELD_PLANES)
    for line, scene in enumerate(scenes):
        amplitude = torch.full_like(planes, float(scene.pressure_pa))
        peaks[line] = driving_pressure(spectrum, planes, amplitude, spectrum.pulse.period_samples).abs().amax(dim=1)
    grid, depths = depth_m(np.arange(SAMPLES)), planes.cpu().numpy()
    field = np.empty((len(scenes), SAMPLES), dtype=np.float32)
    for line, peak in enumerate(peaks.cpu().numpy()):  # one copy of all lines: each would wait for the device
        field[line] = np.interp(grid, depths, peak)
    return field
