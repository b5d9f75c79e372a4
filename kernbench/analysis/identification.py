"""Which known curve a kernel is, at any shift, sign and scale, beside what chance finds.

The cosine of a random direction in K dimensions with a fixed one has a closed law, and the union over every place that
the search tries bounds the p-value of the best of them. So the p-values hold for any dictionary, and are conservative.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernbench.analysis.atoms import Atom, Template, unit
from kernbench.errors import KernbenchError

Floats = NDArray[np.float64]

LEVEL = 1e-3  # a kernel has a name where its p, corrected for all atoms, is below
USELESS = 0.999  # where a name needs a larger |cos|, no name can be had from so few taps
WEAK = 1e-3  # of the largest norm of a layer; kernels below are left out
MOST_KERNELS = 512  # of a layer, evenly chosen
MOST_TAPS = 1 << 16  # of them together: 31 kernels of 2111 taps
DRAWS = 256  # of the chance line
MOST_NUMBERS = 1 << 22  # at a time, for memory
TINY = 1e-290  # below, the tail is computed as a logarithm


@dataclass(frozen=True, eq=False)
class Match:
    """Kernels against atoms.

    Attributes:
        cosine: largest |cos| over the templates of each atom and all places, (N, A).
        scale: of that template, (N, A).
        log_p: natural logarithm of the p-value of each cosine, corrected for the places tried, at most 0, (N, A).
    """

    cosine: Floats
    scale: Floats
    log_p: Floats

    @property
    def nearest(self) -> NDArray[np.int64]:
        """The atom with the least p of each kernel, (N,)."""
        return np.asarray(np.argmin(self.log_p, axis=1), np.int64)

    @property
    def p(self) -> Floats:
        """Least p of all atoms, corrected for all atoms: the first step of Holm, (N,)."""
        return np.asarray(np.exp(np.minimum(self.log_p.min(axis=1) + np.log(self.log_p.shape[1]), 0.0)))

    @property
    def named(self) -> NDArray[np.bool_]:
        """Whether the nearest atom is the kernel's name, (N, A): at most one in each row."""
        atoms = np.arange(self.log_p.shape[1])
        return np.asarray((self.nearest[:, None] == atoms) & (self.p < LEVEL)[:, None])


@dataclass(frozen=True, eq=False)
class Chosen:
    """Kernels of a layer that are compared.

    Attributes:
        taps: unit norm, (N, K).
        places: of each in the layer, (N,).
        weak: how many of the layer were left out, as their norm is below a thousandth of the largest, or 0.
    """

    taps: Floats
    places: NDArray[np.int64]
    weak: int


def chosen(kernels: ArrayLike) -> Chosen:
    """Kernels that are not weak, at most 512 of them and 65,536 taps, evenly chosen.

    Args:
        kernels: (..., K), finite.

    Raises:
        KernbenchError: no taps, or taps that are not finite.
    """
    taps = np.asarray(kernels, np.float64)
    if not taps.ndim or not taps.size:
        raise KernbenchError(f"to name kernels takes kernels of shape (..., K), got {taps.shape}")
    if not np.isfinite(taps).all():
        raise KernbenchError("to name kernels takes finite taps; one of these is NaN or infinite")
    taps = taps.reshape(-1, taps.shape[-1])
    norm = np.linalg.norm(taps, axis=1)
    strong = np.flatnonzero((norm >= WEAK * norm.max()) & (norm > 0))
    most = min(len(strong), MOST_KERNELS, max(1, MOST_TAPS // taps.shape[1]))
    picked = strong[np.unique(np.linspace(0, len(strong) - 1, most).astype(int))] if most else strong
    return Chosen(taps[picked] / norm[picked, None], picked, len(taps) - len(strong))


def match_all(several: Sequence[Floats], atoms: Sequence[Atom]) -> list[Match]:
    """Compare several arrays of kernels of one size with atoms: what each search costs is paid once.

    Args:
        several: unit norm, (N, K) each.
        atoms: of a dictionary for K.
    """
    if not several:
        return []
    found = match(np.concatenate(several), atoms)
    ends = np.cumsum([len(kernels) for kernels in several])[:-1]
    parts = (np.split(each, ends) for each in (found.cosine, found.scale, found.log_p))
    return [Match(*each) for each in zip(*parts, strict=True)]


def match(kernels: Floats, atoms: Sequence[Atom]) -> Match:
    """Compare kernels with atoms.

    Args:
        kernels: unit norm, (N, K).
        atoms: of a dictionary for K.
    """
    size = kernels.shape[1]
    cosine, scale = _best(kernels, atoms)
    log_p = [
        np.minimum(log_tail(cosine[:, at], size, atom.rank) + np.log(atom.places(size)), 0.0)
        for at, atom in enumerate(atoms)
    ]
    return Match(cosine, scale, np.stack(log_p, axis=1))


def _best(kernels: Floats, atoms: Sequence[Atom]) -> tuple[Floats, Floats]:
    best = np.zeros((len(kernels), len(atoms)))
    scale = np.full_like(best, np.nan)
    groups: dict[tuple[tuple[int, ...], int, int], list[tuple[int, Template]]] = {}
    for at, atom in enumerate(atoms):
        for each in atom.templates:
            groups.setdefault((each.taps.shape, each.stride, each.block), []).append((at, each))
    for members in groups.values():
        for (at, each), cosine in zip(members, _found(kernels, [each for _, each in members]), strict=True):
            better = cosine > best[:, at]
            best[better, at] = cosine[better]
            scale[better, at] = each.scale
    return best, scale


def _found(kernels: Floats, templates: Sequence[Template]) -> list[Floats]:
    """Largest length of a projection over all places, (N,), for each template of one shape, stride and block."""
    import torch  # noqa: PLC0415  # slow to import

    # single precision is twice as fast, and good for six digits of a cosine
    rows = torch.from_numpy(np.concatenate([each.taps for each in templates]).astype(np.float32))[:, None]
    taps, stride, _, block = templates[0]
    count = kernels.shape[1] // block
    blocks = kernels[:, : count * block].reshape(len(kernels), count, block).sum(axis=2)
    signal = torch.from_numpy((blocks / np.sqrt(block)).astype(np.float32))[:, None]
    batch = max(1, MOST_NUMBERS // (count * len(rows)))
    found = []
    for part in signal.split(batch):
        energy = torch.nn.functional.conv1d(part, rows, stride=stride).square_()
        found.append(energy.view(len(part), len(templates), len(taps), energy.shape[2]).sum(2).amax(2))
    return list(np.sqrt(np.minimum(torch.cat(found).T.double().numpy(), 1.0)))


def log_tail(cosine: ArrayLike, size: int, rank: int = 1) -> Floats:
    """Logarithm of the probability that a random direction lies as close to a fixed space, or closer.

    The squared length of the projection of a unit vector that is uniform on the sphere onto R of K dimensions is
    Beta(R / 2, (K - R) / 2).

    Args:
        cosine: length of the projection, 0 to 1.
        size: K.
        rank: R.
    """
    import scipy.special  # noqa: PLC0415  # slow to import

    square = np.square(np.asarray(cosine, np.float64))
    rest = np.clip(1 - square, 0.0, 1.0)
    if size <= rank:
        return np.zeros_like(rest)
    a, b = (size - rank) / 2, rank / 2
    tail = scipy.special.betainc(a, b, rest)
    within = scipy.special.betainc(b, a, np.clip(square, 0.0, 1.0))  # what `rest` has no digits for, near 0
    with np.errstate(divide="ignore"):
        logarithm = np.where(within < 0.5, np.log1p(-within), np.log(tail))
        far = a * np.log(rest) + b * np.log1p(-np.minimum(rest, 0.5)) - np.log(a) - scipy.special.betaln(a, b)
    far = far + np.log(scipy.special.hyp2f1(a + b, 1, a + 1, np.minimum(rest, 0.5)))
    return np.asarray(np.where(tail > TINY, logarithm, far))


def needed(size: int, atoms: Sequence[Atom]) -> float:
    """Least |cos| at which some atom would be a name, corrected for places and atoms; 1 where none can be."""
    import scipy.special  # noqa: PLC0415

    def least(atom: Atom) -> float:
        if size <= atom.rank:
            return 1.0
        tail = LEVEL / (len(atoms) * atom.places(size))
        return float(np.sqrt(1 - scipy.special.betaincinv((size - atom.rank) / 2, atom.rank / 2, tail)))

    return min(map(least, atoms))


@dataclass(frozen=True)
class Chance:
    """Largest |cos| that random Gaussian kernels reach.

    Attributes:
        median: over kernels.
        high: their 95 % quantile.
    """

    median: float
    high: float


def chance_lines(size: int, atoms: Sequence[Atom], draws: int = DRAWS, seed: int = 0) -> tuple[Chance, list[Chance]]:
    """What white noise finds in a dictionary: with its best atom, and with each.

    Args:
        size: taps of the kernels, K.
        atoms: of the dictionary for K.
        draws: random kernels.
        seed: of the draws.
    """
    random = unit(np.random.default_rng(seed).standard_normal((draws, size)))
    cosine = match(random, atoms).cosine
    return _chance(cosine.max(axis=1)), [_chance(column) for column in cosine.T]


def _chance(values: Floats) -> Chance:
    middle, high = np.quantile(values, (0.5, 0.95)).tolist()
    return Chance(middle, high)
