"""Scenes and their bubbles: positions, sizes, arrival times and labels; no simulation.

Source: SRML-1D, Blanken et al. (2022), IEEE Trans. Med. Imaging 41(9).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kernbench.errors import DataError
from kernbench.ulm.line import SAMPLES
from kernbench.ulm.simulator.physics import WATER, FloatArray
from kernbench.ulm.simulator.transducer import RATE_HZ

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Scene:
    """The bubbles of one line and the wave that hits them.

    Attributes:
        z_m: axial positions, shape (bubbles,).
        x_m: lateral positions, shape (bubbles,); the element is at 0.
        radius_m: rest radii, shape (bubbles,).
        pressure_pa: pressure amplitude of the transmitted pulse at the array.
    """

    z_m: npt.ArrayLike
    x_m: npt.ArrayLike
    radius_m: npt.ArrayLike
    pressure_pa: float


@dataclass(frozen=True, eq=False)
class Bubbles:
    """Bubbles of many lines in one table, each column (bubbles,).

    Attributes:
        line: index of the scene.
        z_m: axial position.
        range_m: distance to the element.
        radius_m: rest radius.
        pressure_pa: pulse amplitude of its line.
    """

    line: IntArray
    z_m: FloatArray
    range_m: FloatArray
    radius_m: FloatArray
    pressure_pa: FloatArray

    def __len__(self) -> int:
        return len(self.line)

    def __getitem__(self, rows: npt.NDArray[np.bool_] | slice) -> "Bubbles":
        return Bubbles(*(column[rows] for column in vars(self).values()))

    @property
    def arrival_samples(self) -> FloatArray:
        """Arrival of the start of the drive, in RF samples, not rounded."""
        return arrival_samples(self.z_m, self.range_m)

    @property
    def labels(self) -> IntArray:
        """Arrival rounded half away from zero, as the published labels; np.rint rounds half to even."""
        return np.floor(self.arrival_samples + 0.5).astype(np.int64)


def arrival_samples(z_m: FloatArray, range_m: FloatArray) -> FloatArray:
    """Arrival of the start of the drive in RF samples, not rounded: a plane wave out to z, back over the range.

    Args:
        z_m: axial positions, (bubbles,).
        range_m: distances to the element, (bubbles,).
    """
    return np.asarray((z_m + range_m) / WATER.sound_speed * RATE_HZ)


def depth_m(sample: npt.ArrayLike) -> FloatArray:
    """Depth on the axis [m] from which an echo arrives at a sample: half the sound path."""
    return np.asarray(sample) * WATER.sound_speed / (2 * RATE_HZ)


def flatten(scenes: Sequence[Scene]) -> Bubbles:
    """All bubbles of all scenes in one table, checked."""
    tables = [_scene_table(line, scene) for line, scene in enumerate(scenes)]
    if not tables:
        return Bubbles(np.zeros(0, np.int64), *(np.zeros(0) for _ in range(4)))
    return Bubbles(*map(np.concatenate, zip(*(vars(table).values() for table in tables), strict=True)))


def _scene_table(line: int, scene: Scene) -> Bubbles:
    """The bubbles of one scene; refuses what the physics cannot take."""
    z, x, radius = (np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in (scene.z_m, scene.x_m, scene.radius_m))
    if not (z.ndim == 1 and z.shape == x.shape == radius.shape):
        raise DataError(
            f"scene {line}: z_m, x_m and radius_m must have one shape (bubbles,), "
            f"got {z.shape}, {x.shape}, {radius.shape}"
        )
    if not (np.isfinite(x).all() and (z > 0).all() and ((radius > 1e-7) & (radius < 2e-5)).all()):
        raise DataError(f"scene {line}: needs depths above 0 m, finite lateral positions and radii of 0.1 to 20 um")
    if not (np.isfinite(scene.pressure_pa) and scene.pressure_pa >= 0):
        raise DataError(f"scene {line}: pressure_pa must be finite and not negative, got {scene.pressure_pa}")
    table = Bubbles(np.full(len(z), line), z, np.hypot(x, z), radius, np.full(len(z), float(scene.pressure_pa)))
    if len(z) and not table.labels.max() < SAMPLES:
        raise DataError(
            f"scene {line}: a bubble echoes after the end of the line (sample {table.labels.max()}, 8446 in all)"
        )
    return table


def line_counts(bubbles: Bubbles, lines: int) -> IntArray:
    """Labels of whole lines, (lines, 8446)."""
    flat = np.bincount(bubbles.line * SAMPLES + bubbles.labels, minlength=lines * SAMPLES)
    return flat.reshape(lines, SAMPLES).astype(np.int64, copy=False)
