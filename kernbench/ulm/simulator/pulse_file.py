"""A pulse of one's own: samples of its pressure in a file, checked before they are used."""

import io
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from kernbench.errors import DataError, first_line, one_line
from kernbench.host.files import sha256_of
from kernbench.ulm.simulator.pulse import FloatArray, Pulse
from kernbench.ulm.simulator.waveforms import DRIVE_SAMPLES, FINE_RATE_HZ

ENDINGS = (".npz", ".txt", ".csv")
SECONDS = (64e-9, 24e-6)  # of a pulse: a shorter one has no frequency, the echo of a longer one leaves the line
_WINDOW_S = DRIVE_SAMPLES / FINE_RATE_HZ
_RATES_HZ = (20e6, 10e9)
_PEAK_HZ = (0.2e6, 10e6)  # the simulator has nothing above 25 MHz, where a second harmonic must fit
_STEPS_NS = (16, 8, 4, 2, 1)
_FACTS = ("rate_hz", "drive_hz", "thermal_hz", "step_ns")


def is_pulse_file(name: str) -> bool:
    """Whether a pulse is named by a path."""
    return name.lower().endswith(ENDINGS)


def read_pulse(path: str) -> Pulse:
    """A pulse from samples of its pressure at the array, normalized to a peak of 1.

    Args:
        path: an .npz file with `pressure` (samples,) and `rate_hz`, or text with `# rate_hz: 250e6` at its head and one
            sample a line. Both may have `drive_hz` and `thermal_hz`, the peak of the spectrum where they are left out,
            and `step_ns`, 16 where it is left out.

    Returns:
        The pulse at 250 MHz.

    Raises:
        DataError: the file is missing or something in it cannot be used; with what was expected and what came.
    """
    facts, samples = _content(path)
    rate = _number(facts, "rate_hz", path, *_RATES_HZ)
    points = round(rate * _WINDOW_S)
    if not math.isclose(points, rate * _WINDOW_S, rel_tol=1e-9):
        raise DataError(f"pulse file {path}: rate_hz expected a multiple of 5 kHz, got {rate:g}; resample the pulse")
    _check_samples(samples, rate, path)
    spectrum = np.fft.rfft(samples / np.abs(samples).max(), n=points)  # any unit: no sum leaves the range of a float
    pressure, slope = _fine(spectrum, points, len(samples) / rate)
    peak_hz = int(np.abs(spectrum).argmax()) / _WINDOW_S
    if not _PEAK_HZ[0] <= peak_hz <= _PEAK_HZ[1]:
        raise DataError(
            f"pulse file {path}: its spectrum is largest at {peak_hz / 1e6:.4g} MHz; expected "
            f"{_PEAK_HZ[0] / 1e6:g} to {_PEAK_HZ[1] / 1e6:g} MHz; see whether rate_hz is its sampling rate in Hz"
        )
    drive, thermal = (
        _number(facts, name, path, *_PEAK_HZ) if name in facts else peak_hz for name in ("drive_hz", "thermal_hz")
    )
    step = facts.get("step_ns", _STEPS_NS[0])
    if step not in _STEPS_NS:
        raise DataError(f"pulse file {path}: step_ns expected one of {', '.join(map(str, _STEPS_NS))}, got {step}")
    peak = np.abs(pressure).max()
    return Pulse(pressure / peak, slope / peak, drive, thermal, int(step))


def _fine(spectrum: np.ndarray, points: int, seconds: float) -> tuple[FloatArray, FloatArray]:
    """Pressure and slope at 250 MHz, exact below both Nyquist frequencies."""
    omega = 2 * np.pi * np.arange(len(spectrum)) / _WINDOW_S
    kept = slice(min(len(spectrum), DRIVE_SAMPLES // 2 + 1))
    samples = math.ceil(seconds * FINE_RATE_HZ - 1e-9)
    pressure, slope = (
        np.fft.irfft(each[kept], n=DRIVE_SAMPLES)[:samples] * (DRIVE_SAMPLES / points)
        for each in (spectrum, 1j * omega * spectrum)
    )
    return pressure, slope


def _check_samples(samples: FloatArray, rate: float, path: str) -> None:
    where = f"pulse file {path}:"
    if samples.ndim != 1:
        raise DataError(f"{where} expected one row of samples, got shape {samples.shape}")
    if bad := int((~np.isfinite(samples)).sum()):
        raise DataError(f"{where} expected finite samples, got {bad} of {len(samples)} NaN or infinite")
    seconds = len(samples) / rate
    if not SECONDS[0] <= seconds <= SECONDS[1]:
        raise DataError(
            f"{where} {len(samples)} samples at {rate:g} Hz are {seconds * 1e6:.4g} us; expected {SECONDS[0] * 1e6:g} "
            f"to {SECONDS[1] * 1e6:g} us; see whether rate_hz is its sampling rate in Hz"
        )
    if not samples.any():
        raise DataError(f"{where} expected a pulse, got zeros")


def _number(facts: dict[str, float], name: str, path: str, low: float, high: float) -> float:
    if name not in facts:
        raise DataError(f"pulse file {path}: {name} is missing; expected a number [Hz] such as 250e6")
    if not low <= facts[name] <= high:  # false for NaN, too
        raise DataError(f"pulse file {path}: {name} expected {low:g} to {high:g} Hz, got {facts[name]:g}")
    return facts[name]


def pulse_checksum(path: str) -> str:
    """Checksum of a file, which stands for the pulse in the digest of lines.

    Raises:
        DataError: it cannot be read.
    """
    return f"file {sha256_of(_bytes(path))}"


def _bytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise DataError(f"pulse file {path} does not exist") from None
    except OSError as error:
        raise DataError(f"pulse file {path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # a name that no file can have
        raise DataError(f"pulse file {one_line(path)} cannot be read: {error}") from error


def _content(path: str) -> tuple[dict[str, float], FloatArray]:
    """Facts and samples of a file."""
    content = _bytes(path)
    return _npz(content, path) if path.lower().endswith(".npz") else _text(content, path)


def _npz(content: bytes, path: str) -> tuple[dict[str, float], FloatArray]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as data:
            found: dict[str, Any] = {name: data[name] for name in data.files}
    except Exception as error:  # numpy and zipfile have no type in common for a damaged file
        raise DataError(f"pulse file {path} is not a complete .npz file: {first_line(error)}") from error
    if "pressure" not in found:
        names = ", ".join(sorted(found)) or "nothing"
        raise DataError(f"pulse file {path}: expected pressure and rate_hz, found {names}")
    try:
        facts = {name: float(found[name]) for name in _FACTS if name in found}
        if np.iscomplexobj(found["pressure"]):
            raise TypeError(f"pressure is {found['pressure'].dtype}")  # numpy would drop the imaginary part
        return facts, np.array(found["pressure"], np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"pulse file {path}: expected real numbers: {first_line(error)}") from error


def _text(content: bytes, path: str) -> tuple[dict[str, float], FloatArray]:
    lines = content.decode("utf-8-sig", errors="replace").splitlines()
    facts, samples = {}, []
    for number, line in enumerate(map(str.strip, lines), 1):
        said = re.fullmatch(rf"# *({'|'.join(_FACTS)}) *: *(.*)", line)
        try:
            if said:
                facts[said[1]] = float(said[2])
            elif line and not line.startswith("#"):
                samples.append(float(line.rstrip(",")))
        except ValueError:
            raise DataError(f"pulse file {path}, line {number}: expected a number, got {line[:40]!r}") from None
    return facts, np.array(samples, np.float64)
