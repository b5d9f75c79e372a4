"""MATLAB results of the SRML-1D simulator, one line each; the only files with continuous bubble positions.

Source: Blanken et al. (2022), IEEE Trans. Med. Imaging 41(9), and its code SRML-1D.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy  # not scipy.io: every command that knows networks would load it, and few read such files

from kernbench.errors import DataError
from kernbench.ulm.line import DEFAULT_PULSE, IMAGING_DEPTH_M, SAMPLES, depth_range_of
from kernbench.ulm.simulator import embedded_fits
from kernbench.ulm.simulator.motion import SENSOR_DISTANCE_M
from kernbench.ulm.simulator.physics import C4F10, REST_TENSION, WATER, shell_viscosity
from kernbench.ulm.simulator.population import HALF_WIDTH_M
from kernbench.ulm.simulator.scene import arrival_samples, depth_m
from kernbench.ulm.simulator.transducer import RATE_HZ
from kernbench.ulm.simulator.waveforms import FINE_RATE_HZ, WAVEFORMS
from kernbench.ulm.srml1d.rates import at_native_rate, field_at_native_rate, file_rate, line_samples
from kernbench.ulm.srml1d.structs import Structs, channels, chosen_channel, numbers, read_structs, stored_as
from kernbench.ulm.srml1d.text import FloatArray, RecordedLine

# Water and C4F10, with the names and units of SRML-1D.
LIQUID = {
    "k": WATER.heat_conductivity,
    "rho": WATER.density,
    "cp": WATER.heat_capacity,
    "nu": WATER.viscosity,
    "c": WATER.sound_speed,
    "sig": embedded_fits.TENSION_KNOTS[-1],
    "T0": WATER.temperature,
    "P0": WATER.pressure,
    "a": WATER.attenuation_db_cm_mhz2,
    "b": 2.0,  # power of the frequency in the attenuation
    "BA": 2 * (WATER.nonlinearity - 1),
    "beta": WATER.nonlinearity,
    "ThermalModel": "Prosperetti",
}
GAS = {
    "k": C4F10.heat_conductivity,
    "rho": C4F10.density,
    "Mg": C4F10.molar_mass,
    "gam": C4F10.polytropic,
    "cp": C4F10.heat_capacity,
}


def parse_mat(content: bytes, name: str, rate_hz: float | None = None, channel: int | None = None) -> RecordedLine:
    """A line from a MATLAB result; labels are rebuilt from the positions of the bubbles, for the element of the line.

    Args:
        content: of the file, with the structs RF (V, fs), bubble (z, x; R0 if known), domain (c; of several channels
            x_el, their positions), pulse (A) and, if known, pfield (PA).
        name: of the file, for messages.
        rate_hz: what RF.fs must be; any rate if left out. Another than 62.5 MHz is resampled.
        channel: element of RF, from 1; may be left out where there is one.

    Raises:
        DataError: not such a file, a field that is missing, has another size or holds NaN, or another grid than 0.1 m
            at 1480 m/s.

    Bubbles that are all on the axis with a radius of NaN were placed there by `write_mat`: labels come from them, but
    they are no positions.
    """
    structs = read_structs(content, name)
    chosen = chosen_channel(structs, channel, name)
    rate = file_rate(float(numbers(structs, "RF.fs", name, 1, chosen)[0]), rate_hz, name)
    (speed,) = numbers(structs, "domain.c", name, size=1)
    if not np.isclose(speed, WATER.sound_speed, rtol=1e-9):
        raise DataError(f"{name}: domain.c expected {WATER.sound_speed:.12g}, got {speed:.12g}")
    samples = line_samples(rate)
    given = numbers(structs, "RF.V", name, samples, chosen)
    voltage = at_native_rate(given, rate)[:SAMPLES].astype(np.float32)
    pressure = float(numbers(structs, "pulse.A", name, size=1)[0])
    field = numbers(structs, "pfield.PA", name, size=samples) if "pfield" in structs else None
    positions = _positions(structs, name)
    if pressure < 0:
        raise DataError(f"{name}: pulse.A expected an amplitude of 0 Pa or more, got {pressure:g}")
    placed = np.isnan(positions[:, 2]).all() and not positions[:, 1].any() and len(positions) > 0
    positions[:, 1] -= _element_m(structs, chosen, name)
    return RecordedLine(
        voltage,
        _labels(positions, name),
        None if field is None else field_at_native_rate(field, rate).astype(np.float32),
        pressure,
        None if placed else positions,
        rate_hz=rate,
        stored=stored_as(structs, chosen, name),
    )


def write_mat(path: Path, line: RecordedLine, source: str) -> None:
    """Write a line as a MATLAB v5 result: every struct and field of a result of SRML-1D, and a text `source`.

    Where continuous positions are not known the bubbles are placed on the axis, at the middle of their samples and
    with radius NaN, so that the labels come back as they were. Pressures of the echoes (RF.p) and of the pulse
    (pulse.p) and shell constants of bubbles of unknown radius are NaN where the line does not know them; liquid, gas
    and shell hold the constants of the simulator. Only an unknown pressure field is left out: importers tell by that.

    Raises:
        OSError: the file cannot be written.
        DataError: the pressure of the pulse is not known.
    """
    if np.isnan(line.pressure_pa):
        raise DataError(f"{path.name}: a MATLAB result needs the pressure of the pulse, this line has none; write text")
    wave = None if line.pulse is None else WAVEFORMS[line.pulse]
    near, far = depth_range_of(line.pulse or "")
    frequency = np.nan if wave is None else wave.thermal_mhz * 1e6
    cycles = np.nan if wave is None else float(wave.cycles)
    positions = on_axis(line.counts) if line.positions is None else line.positions
    echo = np.full(SAMPLES, np.nan) if line.echo_pa is None else line.echo_pa.astype(np.float64)
    samples = WAVEFORMS[DEFAULT_PULSE].samples if wave is None else wave.samples
    pulse = np.full(samples, np.nan) if line.pulse_pa is None else line.pulse_pa
    content: dict[str, Any] = {
        "RF": {"p": echo[None], "fs": RATE_HZ, "V": line.voltage.astype(np.float64)[None]},
        "bubble": _struct_array(("z", "x", "R0", "r0"), [(*row, SENSOR_DISTANCE_M) for row in positions.tolist()]),
        "domain": {"depth": IMAGING_DEPTH_M, "width": 2 * HALF_WIDTH_M, "c": WATER.sound_speed}
        | {"d1": near, "d2": far, "x_el": 0.0},
        "pulse": {"f": frequency, "w": 2 * np.pi * frequency, "Nc": cycles, "A": line.pressure_pa}
        | {"fs": FINE_RATE_HZ, "p": pulse[None]},
        "shell": _shells(positions[:, 2]),
        "liquid": LIQUID,
        "gas": GAS,
        "source": source,
    }
    if line.field_pa is not None:
        content["pfield"] = {"PA": line.field_pa.astype(np.float64)[None], "z": depth_m(np.arange(SAMPLES))[None]}
    scipy.io.savemat(path, content, format="5", do_compression=True)


def _shells(radius_m: FloatArray) -> npt.NDArray[Any]:
    """Struct array of the shells, (1, bubbles): model, tensions [N/m], viscosity [N s/m] and reference area [m^2]."""
    viscosity = shell_viscosity(radius_m).tolist()
    area = (4 * np.pi * radius_m**2 / embedded_fits.AREA_AT_REST).tolist()
    rows = [
        ("Segers", REST_TENSION, embedded_fits.TENSION_KNOTS[-1], *pair) for pair in zip(viscosity, area, strict=True)
    ]
    return _struct_array(("model", "sig_0", "sig_l", "Ks", "A_N"), rows)


def _struct_array(names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> npt.NDArray[Any]:
    """A MATLAB struct array, (1, rows)."""
    return np.array(rows, dtype=[(name, object) for name in names])[None]


def on_axis(counts: npt.NDArray[np.uint8]) -> FloatArray:
    """Positions that give these labels back: x = 0, z in the middle of the sample, radius NaN; (bubbles, 3)."""
    z = depth_m(np.repeat(np.arange(len(counts)), counts))
    return np.stack([z, np.zeros(len(z)), np.full(len(z), np.nan)], axis=1)


def _element_m(structs: Structs, channel: int, name: str) -> float:
    """Lateral position of the element of a channel [m]; 0 of the only one."""
    there = channels(structs)
    if there == 1:
        return 0.0
    elements = numbers(structs, "domain.x_el", name)
    if len(elements) != there:
        raise DataError(
            f"{name}: domain.x_el expected the positions of {there} channels, by which bubbles are labelled, got "
            f"{len(elements)}; `kernbench detect` needs no labels"
        )
    return float(elements[channel - 1])


def _positions(structs: Structs, name: str) -> FloatArray:
    """z, x and radius of the bubbles, (bubbles, 3)."""
    z, x = numbers(structs, "bubble.z", name), numbers(structs, "bubble.x", name)
    known = "R0" in (structs["bubble"].dtype.names or ())
    radius = numbers(structs, "bubble.R0", name) if known else np.full(len(z), np.nan)
    if not len(z) == len(x) == len(radius):
        raise DataError(f"{name}: bubble.z, x and R0 have {len(z)}, {len(x)} and {len(radius)} numbers")
    return np.stack([z, x, radius], axis=1)


def _labels(positions: FloatArray, name: str) -> npt.NDArray[np.uint8]:
    """Bubbles per sample: arrival of the start of the drive, rounded half away from zero."""
    z, x = positions[:, 0], positions[:, 1]
    samples = np.floor(arrival_samples(z, np.hypot(x, z)) + 0.5)
    if (outside := (z < 0) | (samples >= SAMPLES)).any():
        raise DataError(f"{name}: a bubble is outside the line, at z = {z[outside][0]:g} m")
    counts = np.bincount(samples.astype(np.int64), minlength=SAMPLES)
    if counts.max() > 255:
        raise DataError(f"{name}: {counts.max()} bubbles in one sample, at most 255 can be stored")
    return counts.astype(np.uint8)
