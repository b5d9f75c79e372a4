"""Known stencils: what a learned kernel may turn out to be, at some shift and of either sign."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PARALLEL = 0.98  # |cos| above which two stencils are one: no kernel of a trained network tells them apart

FORNBERG = "Fornberg 1988, Mathematics of Computation 51:699"
SAVITZKY = "Savitzky, Golay 1964, Analytical Chemistry 36:1627"
ACTOR = "Actor 2019, Rice University"


@dataclass(frozen=True, eq=False)
class Stencil:
    """Taps with a name.

    Attributes:
        name: words.
        taps: of the smallest support, (S,), unit l2 norm.
        source: where it is written.
    """

    name: str
    taps: Floats
    source: str


def _stencil(name: str, source: str, *taps: float) -> Stencil:
    found = np.asarray(taps, np.float64)
    return Stencil(name, found / np.linalg.norm(found), source)


# A shifted identity is an identity, a backward difference a forward one: the search goes over shifts and signs.
STENCILS: tuple[Stencil, ...] = (
    _stencil("identity", ACTOR, 1),
    _stencil("trapezoid", ACTOR, 1, 1),
    _stencil("mean of 3", ACTOR, 1, 1, 1),
    _stencil("binomial of 3", ACTOR, 1, 2, 1),
    _stencil("Simpson", ACTOR, 1, 4, 1),
    _stencil("first difference", FORNBERG, -1, 1),
    _stencil("central difference", FORNBERG, -1, 0, 1),
    _stencil("second difference", FORNBERG, 1, -2, 1),
    _stencil("sharpen", ACTOR, -1, 3, -1),
    _stencil("third difference", FORNBERG, -1, 2, 0, -2, 1),
    _stencil("fourth difference", FORNBERG, 1, -4, 6, -4, 1),
    _stencil("first derivative, order 4", FORNBERG, 1, -8, 0, 8, -1),
    _stencil("second derivative, order 4", FORNBERG, -1, 16, -30, 16, -1),
    _stencil("mean of 5", ACTOR, 1, 1, 1, 1, 1),
    _stencil("binomial of 5", ACTOR, 1, 4, 6, 4, 1),
    _stencil("smoothing of 5", SAVITZKY, -3, 12, 17, 12, -3),
    _stencil("smoothing of 7", SAVITZKY, -2, 3, 6, 7, 6, 3, -2),
    _stencil("slope of 5", SAVITZKY, -2, -1, 0, 1, 2),
    _stencil("slope of 7", SAVITZKY, -3, -2, -1, 0, 1, 2, 3),
)


def closeness(first: Floats, second: Floats) -> float:
    """Largest |cos| of two stencils of unit norm over all shifts."""
    return float(np.abs(np.correlate(first, second, "full")).max())


def short_name(name: str) -> str:
    """Of several names that are one the first, and dots."""
    first, slash, _ = name.partition(" / ")
    return f"{first} ..." if slash else first


def families(stencils: Sequence[Stencil] = STENCILS) -> Mapping[str, Sequence[Stencil]]:
    """Stencils by name; those that are nearly parallel, at some shift, are one, under their names joined by a slash."""
    groups: list[list[Stencil]] = []
    for each in stencils:
        near = [group for group in groups if any(closeness(each.taps, other.taps) > PARALLEL for other in group)]
        groups = [group for group in groups if group not in near]
        groups.append([*(other for group in near for other in group), each])
    place = {each.name: at for at, each in enumerate(stencils)}
    groups.sort(key=lambda group: place[group[0].name])
    return {" / ".join(each.name for each in group): group for group in groups}
