"""The look of a kernel family: a colour, a marker and a dash that belong to its name in every figure, for ever."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

Look = tuple[str, str, Any]  # colour, marker, dash; Any: matplotlib spells out its dashes

# Okabe and Ito (2008), yellow left out: it vanishes on white paper.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":")

# Append only: a place in this list is a look, and figures of different years are laid side by side.
FAMILIES = (
    *("discrete", "siren", "gaussian", "laplacian", "log", "stencil", "njet"),
    *("siren_multi", "rff", "gabor_mfn", "masked", "bspline", "legendre", "chebyshev"),
    *("sinc", "gabor", "morlet", "ricker", "gammatone", "damped", "chirplet"),
    *("cosine", "fourier", "rbf", "wendland", "dcls", "sgconv", "longconv"),
    *("decay", "wavelet_tree", "multires", "s4d", "poles", "rtf", "stu"),
    *("tnn", "hyena", "fourier_kan", "branches", "finer", "wire", "winner"),
)
PLACES = len(COLOURS) * len(MARKERS) * len(DASHES)


def series_look(names: Sequence[str]) -> dict[str, Look]:
    """Colour, marker and dash of each series.

    Args:
        names: of series; a family alone, or a family and values behind a comma: "siren, omega_0 = 30". Several series
            of one family share its colour.
    """
    looks: dict[str, Look] = {}
    seen: Counter[str] = Counter()
    for name in names:
        family = name.partition(", ")[0]
        looks[name] = _look(_variant(family_place(family), seen[family]))
        seen[family] += 1
    return looks


def _variant(place: int, number: int) -> int:
    """Place of the further series of a family: of its colour, beyond the looks of the families that are known."""
    if number == 0:
        return place
    turn, colour = divmod(place, len(COLOURS))
    first = -(-len(FAMILIES) // len(COLOURS))
    turns = PLACES // len(COLOURS) - first
    return (first + (turn + (number - 1) * first) % turns) * len(COLOURS) + colour


def family_place(family: str) -> int:
    """Place of a family among all looks; an unknown name has one by its digest, behind those that are known."""
    if family in FAMILIES:
        return FAMILIES.index(family)
    digest = int.from_bytes(hashlib.sha256(family.encode()).digest()[:8], "big")
    return len(FAMILIES) + digest % (PLACES - len(FAMILIES))


def _look(place: int) -> Look:
    """Each place has a look of its own, because 7 markers and 4 dashes have no common divisor."""
    turn, colour = divmod(place, len(COLOURS))
    return COLOURS[colour], MARKERS[(colour + turn) % len(MARKERS)], DASHES[turn % len(DASHES)]
