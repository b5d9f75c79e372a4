"""Atoms of a dictionary: a name, and every template under which the search looks for it."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernbench.analysis.stencils import families

Floats = NDArray[np.float64]

LONG = 17  # taps from which on waves of any width are looked for
WIDTHS_PER_OCTAVE = 4
GABOR_STEP = 2  # of these widths every second: a wave with many periods is told by its frequency
NARROWEST = 1.5  # standard deviation [taps]; below, waves are stencils
STRIDE = 1 / 6  # between two places of a wave, of its standard deviation
BLOCK = 1 / 12  # of the standard deviation of a wave, steps in which it is as good; half of it for Gabor waves
OFFSETS = (0, 1 / 3, 2 / 3)  # taps between two places of narrow waves
REACH = 2.5  # a wave is cut at so many standard deviations
HELD = 0.9  # share of its energy that a wave must have within the kernel
DERIVATIVES = ("Gaussian", "Gaussian slope", "Ricker", "third Gaussian derivative")
# Of a Gabor wave within one standard deviation; with fewer it would be nearly parallel to a derivative of a Gaussian.
CYCLES = tuple(round(0.6 + 0.1 * step, 1) for step in range(15))
HIGHEST = 0.4  # cycles per tap


class Template(NamedTuple):
    """Taps that are slid over a kernel.

    Attributes:
        taps: orthonormal rows (R, S); a kernel is compared with the space that they span.
        stride: blocks between two places.
        scale: width or stretch; NaN where there is none.
        block: neighbouring taps on which the curve is constant: a wide one is as good in steps, and quicker to find.
    """

    taps: Floats
    stride: int = 1
    scale: float = math.nan
    block: int = 1


@dataclass(frozen=True, eq=False)
class Atom:
    """What a kernel may be.

    Attributes:
        name: words.
        templates: of one number of rows; the best of them counts.
        unit: of their scale: "taps" or "times"; empty where they have none.
    """

    name: str
    templates: Sequence[Template]
    unit: str = ""

    @property
    def rank(self) -> int:
        """Rows of its templates: 1, or 2 where the phase is free."""
        return len(self.templates[0].taps)

    def places(self, size: int) -> int:
        """With how many vectors, or planes, a kernel of so many taps is compared."""
        return sum((size // each.block - each.taps.shape[1]) // each.stride + 1 for each in self.templates)


class Shape(NamedTuple):
    """A long curve that is handed in, such as an echo, to be found stretched and shifted.

    Attributes:
        name: of the atom.
        taps: at stretch 1, (S,).
    """

    name: str
    taps: Floats


def dictionary(size: int, shapes: Iterable[Shape] = ()) -> list[Atom]:
    """Every atom that fits kernels of so many taps.

    Stencils wherever they fit. From 17 taps on also Gaussians, their first three derivatives (the second is the
    negative Ricker wave), Gabor waves of any phase, and the shapes: widths and stretches four to an octave, for Gabor
    waves two. The best of this grid is within 4 % of the |cos| of the best wave of any width and place, for
    Gabor waves, with their frequency, within 6 %.

    Args:
        size: taps of the kernels, K.
        shapes: curves of the task.
    """
    found = [
        Atom(name, [Template(each.taps[None]) for each in group if len(each.taps) <= size])
        for name, group in families().items()
    ]
    if size >= LONG:
        found += [Atom(name, _derivatives(order, size), "taps") for order, name in enumerate(DERIVATIVES)]
        found.append(Atom("Gabor", _gabors(size), "taps"))
        found += [Atom(shape.name, _stretched(shape.taps, size), "times") for shape in shapes]
    return [each for each in found if each.templates]


def _derivatives(order: int, size: int) -> list[Template]:
    found = []
    for width in _widths(size):
        block = max(1, int(width * BLOCK))
        for between in OFFSETS if width < 1 / STRIDE else OFFSETS[:1]:
            time = (_time(width, block) - between) / width
            hermite = np.asarray(np.polynomial.hermite_e.hermeval(time, [0] * order + [1]), np.float64)
            stride = max(1, round(width * STRIDE / block))
            found += _held(hermite * np.exp(-np.square(time) / 2), size, Template(time, stride, width, block))
    return found


def _gabors(size: int) -> list[Template]:
    found = []
    for width in _widths(size)[::GABOR_STEP]:
        block = max(1, int(width * BLOCK / 2))
        time = _time(width, block) / width
        envelope = np.exp(-np.square(time) / 2)
        stride = max(1, round(2 * width * STRIDE / block))  # the phase is free, so places may be farther apart
        for cycles in CYCLES:
            if cycles / width <= HIGHEST:
                phase = 2 * np.pi * cycles * time
                pair = np.stack([envelope * np.cos(phase), envelope * np.sin(phase)])
                found += _held(pair, size, Template(pair, stride, width, block))
    return found


def _stretched(taps: Floats, size: int) -> list[Template]:
    """From half to twice the length; read between the taps by straight lines, which are close for slow curves."""
    found = []
    for step in range(-WIDTHS_PER_OCTAVE, WIDTHS_PER_OCTAVE + 1):
        stretch = 2 ** (step / WIDTHS_PER_OCTAVE)
        places = np.arange(round((len(taps) - 1) * stretch) + 1) / stretch
        curve = np.interp(places, np.arange(len(taps)), taps)
        found += _held(curve, size, Template(curve, 1, stretch))
    return found


def _widths(size: int) -> list[float]:
    octaves = math.log2(size / NARROWEST)
    return [NARROWEST * 2 ** (step / WIDTHS_PER_OCTAVE) for step in range(int(octaves * WIDTHS_PER_OCTAVE) + 1)]


def _time(width: float, block: int) -> Floats:
    """Middles of blocks about 0 [taps]."""
    half = math.ceil(REACH * width / block)
    return block * np.arange(-half, half + 1, dtype=np.float64)


def _held(curves: Floats, size: int, template: Template) -> list[Template]:
    """The template with these curves, cut to the kernel where they are longer; none where too little energy is left."""
    rows = np.atleast_2d(curves)
    energy = np.concatenate([[0.0], np.cumsum(np.square(rows).sum(axis=0))])
    length = min(size // template.block, rows.shape[1])
    held = energy[length:] - energy[: len(energy) - length]
    # of a symmetric curve the middle, not the first of two places that differ by rounding
    first = int(np.argmin(np.abs(np.arange(len(held)) - (len(held) - 1) / 2) + 1e9 * (held < held.max() * (1 - 1e-9))))
    if not length or held[first] < HELD * energy[-1]:
        return []
    basis, triangle = np.linalg.qr(rows[:, first : first + length].T)
    return [template._replace(taps=(basis * np.sign(np.diag(triangle))).T)]


def unit(kernels: ArrayLike) -> Floats:
    """Kernels of unit l2 norm, (N, K); none of them may be zero."""
    taps = np.asarray(kernels, np.float64)
    return np.asarray(taps / np.linalg.norm(taps, axis=-1, keepdims=True))
