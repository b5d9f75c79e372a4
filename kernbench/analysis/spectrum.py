"""Spectra of kernels: where their power lies, in cycles per sample, with MHz beside."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernbench.errors import KernbenchError
from kernbench.ulm.scores import SAMPLE_RATE_HZ

Floats = NDArray[np.float64]

PADDING = 8
QUANTILES = (0.05, 0.5, 0.95)
# What would alias at half the sampling rate.
HALF_NYQUIST = 0.25
# A layer of 64 x 64 long kernels has gigabytes of spectra; its quantiles settle far earlier.
MOST_KERNELS = 512


@dataclass(frozen=True, eq=False)
class Spectrum:
    """One-sided power of kernels; the mean was not removed.

    Attributes:
        frequency: cycles per sample, ascending from 0 to 0.5, (F,).
        power: energy per frequency, (..., F); it sums to the kernel's squared taps.
    """

    frequency: Floats
    power: Floats


@dataclass(frozen=True, eq=False)
class SpectralSummary:
    """Numbers of each kernel, all of the leading shape of the kernels; NaN for a kernel that is zero.

    Attributes:
        centroid: mean frequency weighted by power, cycles per sample.
        bandwidth_50: smallest frequency with half of the energy at or below it, cycles per sample.
        bandwidth_90: with 90 % of it.
        bandwidth_95: with 95 % of it.
        above_half_nyquist: share of the energy above 0.25 cycles per sample.
        dc_share: share of the energy that removing the mean would remove.
    """

    centroid: Floats
    bandwidth_50: Floats
    bandwidth_90: Floats
    bandwidth_95: Floats
    above_half_nyquist: Floats
    dc_share: Floats


def power_spectrum(kernels: ArrayLike) -> Spectrum:
    """Power of each kernel by a transform zero-padded to at least eight times its taps.

    Args:
        kernels: taps along the last axis, (..., K), finite.

    Returns:
        Spectrum with power of shape (..., F). Energy of negative frequencies is added to the positive ones.

    Raises:
        KernbenchError: no taps, or taps that are not finite.
    """
    taps = _finite(kernels)
    size = 1 << (PADDING * taps.shape[-1] - 1).bit_length()
    power = np.abs(np.fft.rfft(taps, size)) ** 2 / size
    power[..., 1:-1] *= 2
    return Spectrum(np.asarray(np.fft.rfftfreq(size), np.float64), power)


def centroid(spectrum: Spectrum) -> Floats:
    """Mean frequency weighted by power, cycles per sample, of the leading shape."""
    return np.asarray(_share(spectrum.power) @ spectrum.frequency)


def bandwidth(spectrum: Spectrum, share: float) -> Floats:
    """Smallest frequency with the given share of the energy at or below it, cycles per sample."""
    shares = _share(spectrum.power)
    # Rounding may leave the last entry a hair below 1.
    reached = np.cumsum(shares, axis=-1) >= share - 1e-12
    reached[..., -1] = True
    found = spectrum.frequency[reached.argmax(axis=-1)]
    return np.where(np.isnan(shares[..., 0]), np.nan, found)


def energy_above(spectrum: Spectrum, frequency: float = HALF_NYQUIST) -> Floats:
    """Share of the energy above a frequency [cycles per sample]; the default is what aliases at half the rate."""
    return np.asarray(_share(spectrum.power)[..., spectrum.frequency > frequency].sum(axis=-1))


def dc_share(kernels: ArrayLike) -> Floats:
    """Share of a kernel's energy that its mean carries, 0 to 1: K mean^2 / sum of squared taps."""
    taps = _finite(kernels)
    energy = np.square(taps).sum(axis=-1)
    energy = np.where(energy > 0, energy, np.nan)
    return np.asarray(taps.shape[-1] * np.square(taps.mean(axis=-1)) / energy)


def summarize(kernels: ArrayLike) -> SpectralSummary:
    """Centroid, bandwidths, energy above half of Nyquist and share of the mean of each kernel.

    Args:
        kernels: taps along the last axis, (..., K).

    Raises:
        KernbenchError: no taps, or taps that are not finite.
    """
    spectrum = power_spectrum(kernels)
    return SpectralSummary(
        centroid(spectrum),
        bandwidth(spectrum, 0.5),
        bandwidth(spectrum, 0.9),
        bandwidth(spectrum, 0.95),
        energy_above(spectrum),
        dc_share(kernels),
    )


def layer_spectrum(kernels: ArrayLike) -> Spectrum:
    """Quantiles (5, 50, 95 %) over the kernels of one layer, each scaled to unit energy first.

    Args:
        kernels: taps along the last axis, (..., K); of more than 512 kernels an even selection counts.

    Returns:
        Spectrum with power of shape (3, F), lowest quantile first; all NaN when every kernel is zero.

    Raises:
        KernbenchError: no taps, or taps that are not finite.
    """
    taps = _finite(kernels)
    taps = taps.reshape(-1, taps.shape[-1])
    taps = taps[np.square(taps).sum(axis=1) > 0]
    if not len(taps):
        empty = power_spectrum(np.zeros((3, np.shape(kernels)[-1])))
        return Spectrum(empty.frequency, np.full_like(empty.power, np.nan))
    rows = np.unique(np.linspace(0, len(taps) - 1, min(len(taps), MOST_KERNELS)).astype(int))
    spectrum = power_spectrum(taps[rows])
    return Spectrum(spectrum.frequency, np.quantile(_share(spectrum.power), QUANTILES, axis=0))


def megahertz(frequency: ArrayLike, rate_hz: float = SAMPLE_RATE_HZ) -> Floats:
    """Cycles per sample as MHz at a sampling rate; Nyquist is 31.25 MHz at 62.5 MHz."""
    return np.asarray(frequency, np.float64) * (rate_hz / 1e6)


def _share(power: Floats) -> Floats:
    """Power as shares of its sum; NaN where there is none."""
    total = power.sum(axis=-1, keepdims=True)
    return power / np.where(total > 0, total, np.nan)


def _finite(kernels: ArrayLike) -> Floats:
    taps = np.asarray(kernels, np.float64)
    if not taps.ndim or not taps.size:
        raise KernbenchError(f"a spectrum needs kernels of shape (..., K), got {taps.shape}")
    if not np.isfinite(taps).all():
        raise KernbenchError("a spectrum needs finite taps; this kernel has NaN or infinity")
    return taps
