"""Transmit and receive responses, and propagation of the plane wave through water.

Source: Blanken et al. (2022), IEEE Trans. Med. Imaging 41(9), for the transducer (P4-1); the second harmonic is the
quasi-linear solution of the Burgers equation.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from kernbench.ulm.line import SAMPLE_RATE_HZ
from kernbench.ulm.simulator import embedded_fits
from kernbench.ulm.simulator.physics import WATER, FloatArray
from kernbench.ulm.simulator.pulse import Pulse
from kernbench.ulm.simulator.response_file import Spectrum, load_response
from kernbench.ulm.simulator.waveforms import DRIVE_SAMPLES, FINE_RATE_HZ

RATE_HZ = SAMPLE_RATE_HZ
BAND_HZ = 25e6  # the driving pressure has nothing above, not even the second harmonic


@dataclass(frozen=True, eq=False)
class ReceiveFilter:
    """Receive response as taps at the RF rate: V[n] = sum_k taps[k] p[n - first - k]; first <= 0 [samples]."""

    taps: FloatArray
    first: int

    @property
    def last(self) -> int:
        """Largest delay in samples that the filter still passes on."""
        return self.first + len(self.taps) - 1


@dataclass(frozen=True, eq=False)
class DriveSpectrum:
    """Half spectra of the pulse and of its second-harmonic source, for `driving_pressure`.

    Attributes:
        linear: spectrum of p / PA, shape (bins,) complex64.
        source: spectrum of beta / (rho c^3) p dp/dt / PA^2 [1/(Pa m)], shape (bins,) complex64.
        attenuation: Np/m at each bin, shape (bins,) float32.
        attenuation_at_source: twice that at the frequency of the drive [Np/m].
        pulse: whose spectra these are.
    """

    linear: torch.Tensor
    source: torch.Tensor
    attenuation: torch.Tensor
    attenuation_at_source: float
    pulse: Pulse


def atoms_response(atoms: Sequence[embedded_fits.Atom], time_us: FloatArray) -> FloatArray:
    """Impulse response of a fit at times [us], as taps at 4 ns; zero before time 0."""
    total = np.zeros_like(time_us)
    for atom in atoms:
        since = time_us - atom.centre_us
        phase = 2 * np.pi * atom.frequency_mhz * since
        packet = atom.cosine * np.cos(phase) + atom.sine * np.sin(phase)
        total += np.exp(-((since / atom.width_us) ** 2)) * packet
    return np.where(time_us >= 0, total, 0.0)


def _taps_at(spectrum: Spectrum, rate_hz: float, wanted_hz: float) -> FloatArray:
    """Impulse response at another rate: its spectrum cut or padded at the new Nyquist frequency."""
    points = round(len(spectrum) * wanted_hz / rate_hz)
    return np.asarray(np.fft.irfft(spectrum[: min(len(spectrum), points) // 2 + 1], n=points))


def transmit_response(path: str | None = None) -> FloatArray:
    """Transmit impulse response as taps at 250 MHz, shape (50000,): the embedded fit, or a measured file."""
    if path is None:
        return atoms_response(embedded_fits.TRANSMIT_ATOMS, np.arange(DRIVE_SAMPLES) / FINE_RATE_HZ * 1e6)
    taps = _taps_at(*load_response(path, "transmit"), FINE_RATE_HZ)
    if len(taps) >= DRIVE_SAMPLES:
        return np.concatenate([taps[: DRIVE_SAMPLES // 2], taps[-DRIVE_SAMPLES // 2 :]])
    # A shorter record: what is in its second half belongs to negative times.
    half = (len(taps) + 1) // 2
    return np.concatenate([taps[:half], np.zeros(DRIVE_SAMPLES - len(taps)), taps[half:]])


@functools.cache
def receive_filter(path: str | None = None) -> ReceiveFilter:
    """Receive response at the RF rate: the embedded fit, or a measured .mat file.

    Raises:
        DataError: see `response_file.load_response`.
    """
    if path is None:
        time_us = np.arange(112) / RATE_HZ * 1e6  # the last atom has decayed to 2e-7
        return ReceiveFilter(_kept(atoms_response(embedded_fits.RECEIVE_ATOMS, time_us) * FINE_RATE_HZ / RATE_HZ), 0)
    taps = _taps_at(*load_response(path, "receive"), RATE_HZ)
    before, after = min(64, len(taps) // 2), min(192, len(taps) // 2)
    return ReceiveFilter(_kept(np.concatenate([taps[-before:], taps[:after]])), -before)


def _kept(array: FloatArray) -> FloatArray:
    """The array, read-only: every later call gets the same memory."""
    array.flags.writeable = False
    return array


def attenuation(frequency_hz: npt.ArrayLike) -> FloatArray:
    """Attenuation of water [Np/m] at frequencies [Hz], proportional to their square."""
    megahertz = np.asarray(frequency_hz, dtype=np.float64) / 1e6
    return np.asarray(WATER.attenuation_db_cm_mhz2 * megahertz**2 * 100 * np.log(10) / 20)


def drive_spectrum(pulse: Pulse, device: str = "cpu", *, harmonic: bool = True) -> DriveSpectrum:
    """Spectra from which the pressure at any depth follows.

    Args:
        pulse: at the array.
        device: where the spectra live.
        harmonic: False leaves out the second harmonic that grows in water.
    """
    strength = WATER.nonlinearity / (WATER.density * WATER.sound_speed**3) if harmonic else 0.0
    frequency = np.fft.rfftfreq(pulse.period_samples, 1 / FINE_RATE_HZ)
    bins = int(np.searchsorted(frequency, BAND_HZ))
    halves = (
        np.fft.rfft(signal, n=pulse.period_samples)[:bins]
        for signal in (pulse.pressure, strength * pulse.pressure * pulse.slope)
    )
    linear, source = (torch.as_tensor(half, dtype=torch.complex64, device=device) for half in halves)
    decay = torch.as_tensor(attenuation(frequency[:bins]), dtype=torch.float32, device=device)
    return DriveSpectrum(linear, source, decay, float(2 * attenuation(pulse.drive_hz)), pulse)


def driving_pressure(
    spectrum: DriveSpectrum, depth_m: torch.Tensor, amplitude_pa: torch.Tensor, points: int
) -> torch.Tensor:
    """Pressure of the transmitted wave at given depths, fundamental and second harmonic.

    Args:
        spectrum: from `drive_spectrum`.
        depth_m: axial distance from the array, shape (bubbles,) float32.
        amplitude_pa: pressure amplitude at the array, shape (bubbles,) float32.
        points: samples in the period of the pulse, which is 5.76 us of the default one.

    Returns:
        Pa, shape (bubbles, points) float32; time 0 is the arrival of the start of the drive.
    """
    depth = depth_m[:, None]
    excess = spectrum.attenuation - spectrum.attenuation_at_source
    decay = torch.exp(-spectrum.attenuation * depth)
    # (exp(-2 a1 d) - exp(-a d)) / (a - 2 a1), which is d exp(-2 a1 d) where the two rates meet
    safe = torch.where(excess == 0, 1.0, excess)
    growth = torch.where(excess == 0, depth, torch.expm1(-safe * depth).neg_() / safe)
    growth = growth.mul_(torch.exp(-spectrum.attenuation_at_source * depth))
    amplitude = amplitude_pa[:, None]
    total = (amplitude * decay) * spectrum.linear + (amplitude**2 * growth) * spectrum.source
    pressure: torch.Tensor = torch.fft.irfft(total, n=points)
    return pressure * (points / spectrum.pulse.period_samples)
