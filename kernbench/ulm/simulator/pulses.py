"""Pulses by name or from a file: the pressure at the array, made of drive and transmit response or as it is given."""

import functools
from importlib.resources import files

import numpy as np

from kernbench.errors import DataError, close_match
from kernbench.ulm.line import DEFAULT_PULSE
from kernbench.ulm.simulator import embedded_fits
from kernbench.ulm.simulator.pulse import FloatArray, Pulse
from kernbench.ulm.simulator.pulse_file import is_pulse_file, pulse_checksum, read_pulse
from kernbench.ulm.simulator.transducer import transmit_response
from kernbench.ulm.simulator.waveforms import DRIVE_SAMPLES, FINE_RATE_HZ, GIVEN, WAVEFORMS, drive_signal

GIVEN_FILE = "given_pulses.npz"


def find_pulse(name: str = DEFAULT_PULSE, transmit: str | None = None) -> Pulse:
    """A pulse by its name, or from a file of one's own.

    Args:
        name: in `WAVEFORMS`, or the path of a file, see `pulse_file.read_pulse`.
        transmit: measured transmit response (.mat), or None for the embedded fit. A pressure that is given has none.

    Raises:
        DataError: no such pulse, a file that cannot be used, or a response for a pressure that needs none.
    """
    check_pulse_name(name)
    given = is_pulse_file(name) or WAVEFORMS[name].kind == GIVEN
    if given and transmit is not None:
        raise DataError(
            f"pulse {name!r} is a pressure, which no transmit response shapes; expected data.transmit_response empty, "
            f"got {transmit}"
        )
    return read_pulse(name) if is_pulse_file(name) else _named(name, transmit)


def pulse_facts(name: str) -> tuple[str, int]:
    """What lines depend on: the name of a pulse, or the checksum of its file, and its time step [ns].

    Raises:
        DataError: see `find_pulse`.
    """
    check_pulse_name(name)
    if not is_pulse_file(name):
        return name, WAVEFORMS[name].step_ns
    return pulse_checksum(name), read_pulse(name).step_ns


def check_pulse_name(name: str) -> None:
    """Raise DataError unless this is a pulse by name, or the path of a file; the file is not read."""
    if name not in WAVEFORMS and not is_pulse_file(name):
        hint = close_match(name, WAVEFORMS) or f"; known: {', '.join(WAVEFORMS)}"
        raise DataError(f"no pulse {name!r}{hint}; for one of your own give the path of an .npz or .txt file")


@functools.cache
def _named(name: str, transmit: str | None) -> Pulse:
    wave = WAVEFORMS[name]
    pressure, slope = _given(name) if wave.kind == GIVEN else _transmitted(name, transmit)
    peak = np.abs(pressure).max()
    pressure, slope = pressure / peak, slope / peak
    if name == DEFAULT_PULSE:
        # The line through both ends is taken off the pressure only, after normalization: the peak becomes 1.000152.
        pressure = pressure - np.linspace(pressure[0], pressure[-1], len(pressure))
        if transmit is None:
            pressure *= embedded_fits.PULSE_PEAK / np.abs(pressure).max()
    for array in (pressure, slope):
        array.flags.writeable = False  # every later call gets the same memory
    return Pulse(pressure, slope, wave.drive_mhz * 1e6, wave.thermal_mhz * 1e6, wave.step_ns)


def _transmitted(name: str, transmit: str | None) -> tuple[FloatArray, FloatArray]:
    """Drive times transmit response and its slope, cut to the samples of the pulse."""
    spectrum = np.fft.rfft(drive_signal(name)) * np.fft.rfft(transmit_response(transmit))
    return _cut(spectrum, WAVEFORMS[name].samples)


def _given(name: str) -> tuple[FloatArray, FloatArray]:
    """Pressure that came with the published code, and its slope."""
    with (files("kernbench.ulm.simulator") / GIVEN_FILE).open("rb") as file:
        pressure = np.load(file, allow_pickle=False)[name]
    return _cut(np.fft.rfft(pressure, n=DRIVE_SAMPLES), len(pressure))


def _cut(spectrum: np.ndarray, samples: int) -> tuple[FloatArray, FloatArray]:
    omega = 2 * np.pi * np.fft.rfftfreq(DRIVE_SAMPLES, 1 / FINE_RATE_HZ)
    pressure, slope = (np.fft.irfft(each, n=DRIVE_SAMPLES)[:samples] for each in (spectrum, 1j * omega * spectrum))
    return pressure, slope
