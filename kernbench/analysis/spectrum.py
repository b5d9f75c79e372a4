"""Spectra of kernels: their power by frequency in cycles per sample."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernbench.errors import KernbenchError

Floats = NDArray[np.float64]

PADDING = 8
QUANTILES = (0.05, 0.5, 0.95)
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


def layer_spectrum(kernels: ArrayLike) -> Spectrum:
    """Quantiles (5, 50, 95 %) over the kernels of one layer, each scaled to unit energy first.

    Args:
        kernels: taps along the last axis, (..., K); of more than 512 kernels an even selection counts.

    Returns:
        Spectrum with power of shape (3, F), lowest quantile first; all NaN when every kernel is zero.

    Raises:
        KernbenchError: no taps, or taps that are not finite.
    """
    spectrum = power_spectrum(_selected(kernels))
    total = spectrum.power.sum(axis=-1, keepdims=True)
    share = spectrum.power / np.where(total > 0, total, np.nan)
    return Spectrum(spectrum.frequency, np.quantile(share, QUANTILES, axis=0))


def energy_above(kernels: ArrayLike, frequency: float) -> float:
    """Share of the energy of the kernels of a layer above a frequency, pooled over them.

    Args:
        kernels: taps along the last axis, (..., K); of more than 512 kernels an even selection counts.
        frequency: cycles per sample, 0 to 0.5.

    Returns:
        Share in [0, 1]; NaN when every kernel is zero.

    Raises:
        KernbenchError: no taps, or taps that are not finite.
    """
    spectrum = power_spectrum(_selected(kernels))
    power = spectrum.power.sum(axis=0)
    total = float(power.sum())
    return float(power[spectrum.frequency > frequency].sum()) / total if total > 0 else float("nan")


SHARES = (0.5, 0.9, 0.95)  # of the energy, for bandwidths


@dataclass(frozen=True, eq=False)
class SpectralFacts:
    """Where the energy of kernels lies; the mean was not removed. Of a kernel of zeros all is NaN.

    Attributes:
        centroid: sum f S / sum S [cycles per tap step], (N,).
        bandwidth: share of the energy -> the smallest frequency with that share at or below it, likewise.
        above_half: share of the energy above half of Nyquist, 0.25 cycles per tap step: what half the rate aliases.
        constant: share of the energy in the mean, (sum k)^2 / (K sum k^2), (N,); 1 / K of white noise.
    """

    centroid: Floats
    bandwidth: Mapping[float, Floats]
    above_half: Floats
    constant: Floats


def spectral_facts(kernels: ArrayLike) -> SpectralFacts:
    """Centroid, bandwidths and shares of each kernel of a layer, by `power_spectrum`.

    Args:
        kernels: taps along the last axis, (..., K); of more than 512 kernels an even selection counts, and kernels of
            zeros only where all are.

    Raises:
        KernbenchError: no taps, or taps that are not finite.
    """
    taps = _selected(kernels)
    largest = np.abs(taps).max(axis=1, keepdims=True)
    taps = taps / np.where(largest > 0, largest, 1)  # squares of tiny numbers are 0
    spectrum = power_spectrum(taps)
    energy = np.square(taps).sum(axis=1)
    energy = np.where(energy > 0, energy, np.nan)
    share = spectrum.power / energy[:, None]  # sums to 1, by Parseval
    below = np.cumsum(share, axis=1)
    known = np.isfinite(energy)
    # the last bin has all of it, whatever rounding says
    reached = {each: np.argmax(below >= min(each, 1) * below[:, -1:], axis=1) for each in SHARES}
    return SpectralFacts(
        centroid=share @ spectrum.frequency,
        bandwidth={each: np.where(known, spectrum.frequency[at], np.nan) for each, at in reached.items()},
        above_half=share[:, spectrum.frequency > 0.25].sum(axis=1),
        constant=np.square(taps.sum(axis=1)) / (taps.shape[1] * energy),
    )


def _selected(kernels: ArrayLike) -> Floats:
    """Kernels that are not zero, (N, K), at most 512, evenly chosen; all where every one is zero."""
    taps = _finite(kernels)
    taps = taps.reshape(-1, taps.shape[-1])
    alive = taps[taps.any(axis=1)]
    taps = alive if len(alive) else taps
    rows = np.unique(np.linspace(0, len(taps) - 1, min(len(taps), MOST_KERNELS)).astype(int))
    return np.asarray(taps[rows])


def _finite(kernels: ArrayLike) -> Floats:
    taps = np.asarray(kernels, np.float64)
    if not taps.ndim or not taps.size:
        raise KernbenchError(f"a spectrum needs kernels of shape (..., K), got {taps.shape}")
    if not np.isfinite(taps).all():
        raise KernbenchError("a spectrum needs finite taps; this kernel has NaN or infinity")
    return taps
