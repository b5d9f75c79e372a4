"""Lines of another sampling rate, brought to the 62.5 MHz for which networks are made."""

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from kernbench.errors import DataError
from kernbench.ulm.line import IMAGING_DEPTH_M, SAMPLE_RATE_HZ, SAMPLES, SPEED_OF_SOUND_M_PER_S

RATES_HZ = (5e6, 1e9)  # lower ones lose the second harmonic of the pulse; others are most likely given in MHz
_WINDOW = ("kaiser", 8.0)  # of the filter: ripple and aliases below 1e-4, where the usual 5.0 has 1.5e-3
_LARGEST_FACTOR = 1000  # of a ratio of rates: 62.5 MHz is 25 / 16 of 40 MHz

Array = npt.NDArray[np.float64]


def checked_rate(rate_hz: float, where: str) -> float:
    """A sampling rate [Hz] that can be one.

    Raises:
        DataError: it is outside of 5 MHz to 1 GHz, or no ratio of small numbers to 62.5 MHz.
    """
    low, high = RATES_HZ
    if not low <= rate_hz <= high:
        limits = f"{low / 1e6:g} to {high / 1e6:g} MHz"
        raise DataError(f"{where} expected a sampling rate of {limits}, got {rate_hz:.9g} Hz")
    ratio = _ratio(rate_hz)
    if not math.isclose(ratio, SAMPLE_RATE_HZ / rate_hz, rel_tol=1e-9):
        raise DataError(
            f"{where}: {rate_hz / 1e6:.9g} MHz is no ratio of whole numbers up to {_LARGEST_FACTOR} to "
            f"{SAMPLE_RATE_HZ / 1e6:g} MHz; resample the lines before"
        )
    return rate_hz


def file_rate(own_hz: float, given_hz: float | None, name: str) -> float:
    """The sampling rate [Hz] that a MATLAB file names.

    Args:
        own_hz: RF.fs.
        given_hz: by the user or a manifest; None if nothing was.
        name: of the file, for messages.

    Raises:
        DataError: it cannot be one, or another one was given.
    """
    rate = checked_rate(own_hz, f"{name}: RF.fs")
    if given_hz is not None and not math.isclose(given_hz, rate, rel_tol=1e-9):
        raise DataError(f"{name}: RF.fs says {rate / 1e6:.9g} MHz, --rate {given_hz / 1e6:.9g}; leave --rate out")
    return rate


def line_samples(rate_hz: float) -> int:
    """Samples of a whole line, 0.1 m of depth and back: 8446 at 62.5 MHz, 5406 at 40 MHz."""
    return math.floor(2 * IMAGING_DEPTH_M / SPEED_OF_SOUND_M_PER_S * rate_hz) + 1


def is_native(rate_hz: float) -> bool:
    """Whether lines of this rate need no resampling."""
    return math.isclose(rate_hz, SAMPLE_RATE_HZ, rel_tol=1e-9)


def at_native_rate(signal: Array, rate_hz: float) -> Array:
    """A signal at 62.5 MHz: polyphase filter with a linear-phase low pass below the lower of both Nyquist frequencies.

    Args:
        signal: (samples,), sampled at `rate_hz`; around its mean, it is 0 outside.
        rate_hz: checked by `checked_rate`.

    Returns:
        ceil(samples * 62.5 MHz / rate) samples; the first one is at the time of the first one of the signal.
    """
    if is_native(rate_hz):
        return signal
    from scipy.signal import resample_poly  # noqa: PLC0415  few files need it, and it takes half a second to import

    ratio = _ratio(rate_hz)
    moved = resample_poly(signal, ratio.numerator, ratio.denominator, window=_WINDOW, padtype="mean")
    return np.asarray(moved, np.float64)


def resampled(lines: npt.ArrayLike, factor: float) -> npt.NDArray[np.float32]:
    """Lines at another rate, by the filter of `at_native_rate`; mirrored at both ends, as networks mirror them.

    Args:
        lines: (N, L), any number type.
        factor: new rate over the old one.

    Returns:
        (N, ceil(L * factor)) float32; the first sample is at the time of the first one.
    """
    from scipy.signal import resample_poly  # noqa: PLC0415  see `at_native_rate`

    ratio = Fraction(factor).limit_denominator(_LARGEST_FACTOR)
    old = np.asarray(lines, np.float64)
    moved = resample_poly(old, ratio.numerator, ratio.denominator, axis=-1, window=_WINDOW, padtype="reflect")
    return np.asarray(moved, np.float32)


def field_at_native_rate(field: Array, rate_hz: float) -> Array:
    """A pressure field (samples,) at the 8446 samples of 62.5 MHz: smooth, so straight lines between its samples do."""
    if is_native(rate_hz):
        return field
    places = np.arange(SAMPLES) * (rate_hz / SAMPLE_RATE_HZ)
    return np.asarray(np.interp(places, np.arange(len(field)), field))


def nearest_samples(samples: npt.ArrayLike, rate_hz: float, length: int) -> npt.NDArray[np.int64]:
    """Samples of a line at 62.5 MHz nearest to those of a line at another rate, half rounded up, within the line.

    Args:
        samples: from 0, (n,).
        rate_hz: of these samples.
        length: of the line at 62.5 MHz.
    """
    moved = np.floor(np.asarray(samples, np.float64) * float(_ratio(rate_hz)) + 0.5)
    return np.minimum(moved, length - 1).astype(np.int64)


def conversion_notes(rate_hz: float, stored: str) -> tuple[str, ...]:
    """What was done to a line, for people; nothing for floats at 62.5 MHz.

    Args:
        rate_hz: of its file.
        stored: type of the integers in its file; empty for floats.
    """
    resampled = "" if is_native(rate_hz) else f"resampled from {rate_hz / 1e6:.9g} to {SAMPLE_RATE_HZ / 1e6:g} MHz"
    integers = f"stored as {stored}, read as float32" if stored else ""
    return tuple(note for note in (resampled, integers) if note)


def _ratio(rate_hz: float) -> Fraction:
    return Fraction(SAMPLE_RATE_HZ / rate_hz).limit_denominator(_LARGEST_FACTOR)
