"""Driving pulses by name: drive signals, lengths and frequencies as published; no transducer yet.

Source: Zorgdrager et al. (2025), IEEE Trans. Ultrason. Ferroelectr. Freq. Control 72(4), 427-439, doi
10.1109/TUFFC.2025.3537298, and its code (super-resolution-waveforms, MIT). `TRI` and the default are the tri-level
cycle of Blanken et al. (2022).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kernbench.ulm.line import DEFAULT_PULSE

FloatArray = npt.NDArray[np.float64]

FINE_RATE_HZ = 250e6  # of drives, pulses and measured responses
DRIVE_SAMPLES = 50_000

TRI_LEVEL, SINE, CHIRP, TRAIN, GIVEN = "tri-level", "sine", "chirp", "train", "given"
BURST_STARTS = (0, 998, 2955, 3913)  # of the pulse train; delays are 0.3742, 1.6947 and 0.3191 of 2.905 us


@dataclass(frozen=True)
class Waveform:
    """One driving pulse.

    Attributes:
        kind: "tri-level", "sine", "chirp" and "train" are drive voltages; "given" is the pressure itself.
        drive_mhz: frequency of the drive, at which the source of the second harmonic is attenuated. For sines it was
            moved until drive times transmit response peaks at the nominal frequency, so it differs from that.
        thermal_mhz: nominal frequency, or the centre of a chirp, at which thermal damping is taken.
        samples: kept of the pressure, at 250 MHz; computed from the nominal frequency.
        drive_samples: of the drive, zero after.
        sweep_mhz: first and last frequency of a chirp.
        step_ns: time step at which bubbles are stable and their echoes accurate.
        text: for tables, a few words.
        cycles: of the drive.
    """

    kind: str
    drive_mhz: float
    thermal_mhz: float
    samples: int
    drive_samples: int
    text: str
    cycles: float
    sweep_mhz: tuple[float, float] = (0.0, 0.0)
    step_ns: int = 16


def _sine(
    cycles: float, nominal: float, drive: float, samples: int, drive_samples: int, *, step_ns: int = 16
) -> Waveform:
    text = f"sine, {cycles:g} cycle{'s' if cycles > 1 else ''} of {nominal:g} MHz"
    return Waveform(SINE, drive, nominal, samples, drive_samples, text, cycles, step_ns=step_ns)


def _chirp(first: float, last: float, micros: float, samples: int, drive_samples: int) -> Waveform:
    text = f"chirp {first:.1f} to {last:.1f} MHz in {micros:g} us"
    return Waveform(CHIRP, 2.6, 2.6, samples, drive_samples, text, 2.6 * micros, (first, last))


WAVEFORMS: dict[str, Waveform] = {
    DEFAULT_PULSE: Waveform(TRI_LEVEL, 1.7, 1.7, 1424, 124, "tri-level, 1 cycle of 1.7 MHz, ends lifted to zero", 1),
    "TRI": Waveform(TRI_LEVEL, 1.7, 1.7, 1424, 124, "tri-level, 1 cycle of 1.7 MHz", 1),
    "REF": _sine(1, 2.5, 2.435, 1377, 103),
    "S1.7": _sine(3, 1.7, 1.575, 1718, 477, step_ns=4),
    "S2.5": _sine(4.5, 2.5, 2.5, 1727, 451),
    "S3.4": _sine(6, 3.4, 3.505, 1718, 428),
    "L1.7": _sine(6, 1.7, 1.66, 2159, 904, step_ns=4),
    "L2.5": _sine(9, 2.5, 2.5, 2177, 901),
    "L3.4": _sine(12, 3.4, 3.4, 2159, 883),
    "SUC": _chirp(1.2, 4.0, 5, 2527, 1251),
    "SDC": _chirp(4.0, 1.2, 5, 2527, 1251),
    "LUC": _chirp(1.2, 4.0, 15, 5027, 3751),
    "LDC": _chirp(4.0, 1.2, 15, 5027, 3751),
    "DPT": Waveform(TRAIN, 2.5, 2.5, 5640, 4364, "4 bursts of S2.5 with unequal delays", 18),
    "ExpREF": Waveform(GIVEN, 2.43, 2.43, 610, 0, "experiment, 1 cycle near 2.4 MHz", 1),
    "ExpSDC": Waveform(GIVEN, 1.595, 1.595, 1866, 0, "experiment, chirp 1.2 to 4.0 MHz (upwards)", 13, step_ns=8),
}


def drive_signal(name: str = DEFAULT_PULSE) -> FloatArray:
    """Drive voltage of a pulse, largest level 1, shape (50000,) at 250 MHz; rectangular window.

    Args:
        name: in `WAVEFORMS`, not one of those whose pressure is given.
    """
    drive = np.zeros(DRIVE_SAMPLES)
    if WAVEFORMS[name].kind == TRAIN:
        burst = WAVEFORMS["S2.5"]
        for start in BURST_STARTS:
            drive[start : start + burst.drive_samples] = _cycles(burst)
    else:
        shape = _cycles(WAVEFORMS[name])
        drive[: len(shape)] = shape
    return drive


def _cycles(wave: Waveform) -> FloatArray:
    """The drive from its first to its last sample."""
    if wave.kind == TRI_LEVEL:
        levels = np.zeros(wave.drive_samples)
        levels[:50], levels[74:] = 1, -1
        return levels
    time_us = np.arange(wave.drive_samples) / (FINE_RATE_HZ / 1e6)
    if wave.kind == CHIRP:
        first, last = wave.sweep_mhz
        duration = (wave.drive_samples - 1) / (FINE_RATE_HZ / 1e6)
        return np.asarray(np.sin(2 * np.pi * (first * time_us + (last - first) * time_us**2 / (2 * duration))))
    return np.asarray(np.sin(2 * np.pi * wave.drive_mhz * time_us))
