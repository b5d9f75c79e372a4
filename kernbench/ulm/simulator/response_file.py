"""Measured transfer functions of a transducer, read from a user's MATLAB file and checked before they are used."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kernbench.errors import DataError
from kernbench.ulm.simulator.mat_file import read_variables

Spectrum = npt.NDArray[np.complex128]

_VARIABLES = {"transmit": "Tfit", "receive": "Hfit"}
# Twice the band of the transducer, and far beyond any digitizer: a rate in MHz or kHz lies outside.
_RATES_HZ = (10e6, 100e9)
_SECONDS = (0.25e-6, 10e-3)  # of a record: shorter ones have no pulse, longer ones no memory to hold them
_HIGHEST_PEAK_HZ = 25e6  # the simulator has nothing above
_LARGEST = 1e30  # squares must not overflow
_LARGEST_ASYMMETRY = 0.01  # between both halves of a spectrum; noise of a measurement is the same in both


def load_response(path: str | Path, role: str) -> tuple[Spectrum, float]:
    """Measured transfer function of a transducer from a MATLAB file.

    Args:
        path: .mat file with `Fs` [Hz] and `Tfit` (transmit) or `Hfit` (receive), two-sided in FFT order.
        role: "transmit" or "receive".

    Returns:
        Two-sided spectrum (bins,) and its sampling rate [Hz].

    Raises:
        DataError: the file is missing or unreadable, lacks a variable of its role, or one of them is not what it has
            to be; with what was expected and what came.
    """
    name = _VARIABLES[role]
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise DataError(f"response file {path} does not exist") from None
    except OSError as error:
        raise DataError(f"response file {path} cannot be read: {error.strerror}") from error
    variables = read_variables(content, f"response file {path}")
    if not {"Fs", name} <= set(variables):
        found = ", ".join(sorted(key for key in variables if not key.startswith("_"))) or "nothing"
        raise DataError(f"{path} is no {role} response: expected Fs and {name}, found {found}")
    rate, spectrum = _rate(variables, str(path)), _spectrum(variables, name, str(path))
    seconds = len(spectrum) / rate
    if not _SECONDS[0] <= seconds <= _SECONDS[1]:
        raise DataError(
            f"{path}: {name} has {len(spectrum)} bins, which at Fs = {rate:g} Hz are {seconds * 1e6:.4g} us; expected "
            f"{_SECONDS[0] * 1e6:g} to {_SECONDS[1] * 1e6:g} us; see whether Fs is its sampling rate in Hz"
        )
    peak = int(np.abs(spectrum[: len(spectrum) // 2 + 1]).argmax()) / seconds
    if peak > _HIGHEST_PEAK_HZ:
        raise DataError(
            f"{path}: {name} is largest at {peak / 1e6:.4g} MHz; expected at most {_HIGHEST_PEAK_HZ / 1e6:g} MHz, with "
            "frequency 0 first; if that is in the middle write ifftshift(H)"
        )
    return spectrum, rate


def _rate(variables: Mapping[str, Any], path: str) -> float:
    """The sampling rate [Hz]."""
    wanted = f"{path}: Fs expected one number, a sampling rate in Hz such as 250e6, got"
    array = np.asarray(variables["Fs"])
    if array.dtype.kind not in "iuf" or array.size != 1:
        raise DataError(f"{wanted} {_said(array)}")
    rate = float(array.ravel()[0])
    if not _RATES_HZ[0] <= rate <= _RATES_HZ[1]:  # false for NaN, too
        unit = next((f"; is it in {name}?" for name, factor in (("MHz", 1e6), ("kHz", 1e3)) if _fits(rate, factor)), "")
        raise DataError(f"{wanted} {rate:g}{unit}")
    return rate


def _fits(rate: float, factor: float) -> bool:
    return _RATES_HZ[0] <= rate * factor <= 10e9


def _spectrum(variables: Mapping[str, Any], name: str, path: str) -> Spectrum:
    """The spectrum: one row or column of finite numbers, two-sided."""
    array = np.asarray(variables[name])
    if array.dtype.kind not in "iufc" or array.size < 2 or array.size != max(array.shape):
        raise DataError(f"{path}: {name} expected a row or column of complex numbers, got {_said(array)}")
    spectrum = array.astype(np.complex128).ravel()
    if bad := int((~np.isfinite(spectrum)).sum()):
        raise DataError(f"{path}: {name} expected finite numbers, got {bad} of {len(spectrum)} NaN or infinite")
    if not 0 < (largest := np.maximum(np.abs(spectrum.real), np.abs(spectrum.imag)).max()) < _LARGEST:
        raise DataError(
            f"{path}: {name} expected a spectrum, got {f'numbers up to {largest:g}' if largest else 'zeros'}"
        )
    differ = float(np.linalg.norm(spectrum[1:] - spectrum[:0:-1].conj()) / np.linalg.norm(spectrum))
    if differ > _LARGEST_ASYMMETRY:
        raise DataError(
            f"{path}: {name} expected a two-sided spectrum in FFT order, whose bin n - k is the conjugate of bin k, "
            f"got halves that differ by {differ:.0%}; of a one-sided one write [H, conj(H(end-1:-1:2))]"
        )
    return spectrum


def _said(array: npt.NDArray[Any]) -> str:
    """What a variable is, in MATLAB's words."""
    if array.dtype.names is not None:
        return "a struct"
    kind = {"O": "a cell", "U": "text", "S": "text", "b": "true or false"}.get(array.dtype.kind)
    return kind or f"numbers of size {' x '.join(map(str, array.shape))}"
