"""What the kernels of each layer are: known curves, groups of one shape, beside chance and the kernels at the start."""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kernbench.analysis import clusters as groups
from kernbench.analysis.identification import LEVEL, USELESS, Match, chance_lines, chosen, match_all, needed
from kernbench.report.analyses.analysis import Analysis, Row, Rows, Value
from kernbench.report.analyses.by_layer import START, TRAINED
from kernbench.report.analyses.kernels_tables import ANY, draw, show
from kernbench.ulm.line import DEFAULT_PULSE, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kernbench.analysis.atoms import Atom, Shape
    from kernbench.analysis.identification import Chance, Chosen
    from kernbench.report.analyses.trained_cells import TrainedCell

    Floats = NDArray[np.float64]

MOST_PLACES = 100  # kernels of a layer in the plane
SHAPE_TAPS = 129
FEWEST = 9  # taps that are left of a shape between dilated taps

LAYER = {
    "layer": "from the input side, from 1",
    "stage": "start or trained",
    "taps": "of each kernel",
}
KERNELS = {
    **LAYER,
    "dilation": "samples between two taps; every width below is in tap steps",
    "kernels": "compared: at most 512 of a layer, and 65,536 taps, evenly chosen",
    "weak": "left out, with a norm below 0.001 of the layer's largest",
    "atom": 'known curve; "any" is the best of all, and the only row of a layer in which none counts',
    "needed": "|cos| from which a kernel gets some name, p < 0.001 after Holm over all atoms; above 0.999 nothing can "
    "be concluded, and names and p are empty",
    "named": "share of the kernels with this name: the least p of all atoms, and p < 0.001 after Holm",
    "p": "probability that as many random kernels get the name, Holm over all atoms; kernels taken as independent",
    "above_90": "share of the kernels with |cos| above 0.9, whatever their name",
    "above_95": "above 0.95",
    "cosine": "median of the largest |cos| over places and scales",
    "residual": "median of sqrt(1 - cos^2) of the kernels with the name; of any: of all",
    "scale": "median width [tap steps] or stretch of the kernels with the name; of curves that have one",
    "chance_median": "median largest |cos| of random Gaussian kernels",
    "chance_95": "their 95 % quantile",
    "learned_p": "that by chance so many more kernels gained the name in training than lost it, exact McNemar test "
    "within the layer, Holm over all atoms; kernels taken as independent, which those of one layer are not",
}
GROUPS = {
    **LAYER,
    "groups": "their number, 2 to 8, with the largest silhouette",
    "silhouette": "mean over kernels, -1 to 1",
    "silhouette_chance": "of as many random Gaussian kernels",
    "group": "from 1, the largest first",
    "kernels": "in the group",
    "atom": "nearest to the mean kernel",
    "cosine": "|cos| of the two",
    "p": "of it, corrected for all atoms; empty where nothing can be concluded",
    "from_start": "largest |cos| of the mean kernel with one of the start; empty at the start",
}
PLACES = {
    "layer": "the first or the last",
    "curve": "empty for a kernel of the trained layer, else the stencil that is projected in, at the shift that is "
    "closest to the layer's kernels",
    "group": "of the kernel, as in kernel_groups.csv",
    "pc1": "first principal component of the kernels of unit norm",
    "pc2": "second",
    "explained_1": "share of their variance along the first",
    "explained_2": "along the second",
}


@dataclass(frozen=True, eq=False)
class _Dictionary:
    """Atoms for kernels of one size, and what chance finds in them."""

    atoms: "Sequence[Atom]"
    needed: float
    best: "Chance"
    each: "Sequence[Chance]"

    @property
    def useless(self) -> bool:
        """Whether kernels are too short for any name."""
        return self.needed > USELESS


@dataclass(frozen=True, eq=False)
class _Compared:
    """Kernels of a layer at one stage, beside the atoms."""

    kernels: "Chosen"
    found: Match


def measure(cell: "TrainedCell") -> Rows:
    """Names, groups and places of the kernels of each layer."""
    rows: dict[str, list[Row]] = {"kernels": [], "kernel_groups": [], "kernel_plane": []}
    before, after = cell.kernels_before(), cell.kernels()
    for place, layer in enumerate(cell.network.kernel_layers()):
        # samples of the line between two taps: a layer of a network with strides works at a lower rate
        step = layer.spec.dilation * round(SAMPLE_RATE_HZ / layer.spec.sample_rate)
        known = _dictionary(after[place].shape[-1], step, str(cell.trained.facts.get("pulse", DEFAULT_PULSE)))
        kernels = {} if before is None else {START: chosen(before[place])}
        kernels[TRAINED] = chosen(after[place])
        found = _grouped(kernels)
        several = [each.taps for each in kernels.values()] + [each.centroids for each in found.values()]
        matches = iter(match_all(several, known.atoms))
        compared = {stage: _Compared(each, next(matches)) for stage, each in kernels.items()}
        own = {"layer": place + 1, "taps": after[place].shape[-1]}
        rows["kernels"] += [{**own, "dilation": layer.spec.dilation, **row} for row in _names(compared, known)]
        rows["kernel_groups"] += [
            {**own, **row} for row in _groups(found, dict(zip(found, matches, strict=True)), known)
        ]
        if place in (0, len(after) - 1) and len(kernels[TRAINED].taps):
            rows["kernel_plane"] += [
                {"layer": place + 1, **row} for row in _plane(kernels[TRAINED], found.get(TRAINED), known)
            ]
    return rows


@functools.cache
def _dictionary(size: int, dilation: int, pulse: str) -> _Dictionary:
    from kernbench.analysis.atoms import LONG, dictionary  # noqa: PLC0415

    atoms = dictionary(size, _shapes(dilation, pulse) if size >= LONG else ())
    best, each = chance_lines(size, atoms)
    return _Dictionary(atoms, needed(size, atoms), best, each)


@functools.cache
def _shapes(dilation: int, pulse: str) -> "Sequence[Shape]":
    """Echo and inverse as dilated taps see them."""
    from kernbench.analysis.atoms import Shape  # noqa: PLC0415
    from kernbench.ulm.detectors.echo_taps import echo_taps, wiener_taps  # noqa: PLC0415

    curves = {"echo": echo_taps(SHAPE_TAPS, pulse), "inverse of the echo": wiener_taps(SHAPE_TAPS, pulse)}
    return [Shape(name, taps[::dilation]) for name, taps in curves.items() if len(taps[::dilation]) >= FEWEST]


def _names(compared: dict[str, _Compared], known: _Dictionary) -> Iterable[Row]:
    """A row for the best atom at each stage, and one for each atom that counts at any."""
    counts = [_counts(each.found) for each in compared.values()]
    shown = np.flatnonzero(np.any(counts, axis=0)).tolist()
    learned = _learned(compared, len(known.atoms))
    for stage, each in compared.items():
        size = len(each.kernels.taps)
        about: dict[str, Value] = {"stage": stage, "kernels": size, "weak": each.kernels.weak, "needed": known.needed}
        best = each.found.cosine.max(axis=1)
        named = each.found.named
        row: dict[str, Value] = {**about, "atom": ANY, **_cosines(best, known.best), "residual": _residual(best)}
        p, any_p = _chance_p(named)
        yield row if known.useless or not size else {**row, "named": float(named.any(axis=1).mean()), "p": any_p}
        for at in shown if size else ():
            atom, own = known.atoms[at], named[:, at]
            row = {**about, "atom": atom.name, **_cosines(each.found.cosine[:, at], known.each[at])}
            if not known.useless:
                row |= {"named": float(own.mean()), "p": float(p[at])}
                row |= {"learned_p": float(learned[at])} if stage == TRAINED and learned is not None else {}
            if own.any() and not known.useless:
                row["residual"] = _residual(each.found.cosine[own, at])
                row |= {"scale": float(np.median(each.found.scale[own, at]))} if atom.unit else {}
            yield row


def _counts(found: Match) -> "NDArray[np.bool_]":
    return np.asarray(found.named.any(axis=0) | (found.cosine > 0.9).any(axis=0))


def _cosines(cosine: "Floats", chance: "Chance") -> dict[str, float]:
    known = len(cosine) > 0
    return {
        "above_90": float(np.mean(cosine > 0.9)) if known else np.nan,
        "above_95": float(np.mean(cosine > 0.95)) if known else np.nan,
        "cosine": float(np.median(cosine)) if known else np.nan,
        "chance_median": chance.median,
        "chance_95": chance.high,
    }


def _residual(cosine: "Floats") -> float:
    return float(np.median(np.sqrt(1 - np.square(cosine)))) if len(cosine) else np.nan


def _chance_p(named: "NDArray[np.bool_]") -> "tuple[Floats, float]":
    """Of each atom, after Holm, and of all together: how often random kernels have as many names, or more.

    A random kernel has one name with a probability of at most 0.001 over the number of atoms, and any with 0.001.
    """
    import scipy.stats  # noqa: PLC0415  # slow to import

    from kernbench.statistics.multiplicity import holm  # noqa: PLC0415

    kernels, atoms = named.shape
    each = holm(scipy.stats.binom.sf(named.sum(axis=0) - 1, kernels, LEVEL / atoms))
    return each, float(scipy.stats.binom.sf(named.sum() - 1, kernels, LEVEL))


def _learned(compared: dict[str, _Compared], atoms: int) -> "Floats | None":
    """Of each atom, p that training gave its name to more kernels than lost it; None where the start is not known."""
    if START not in compared:
        return None
    import scipy.stats  # noqa: PLC0415

    from kernbench.statistics.multiplicity import holm  # noqa: PLC0415

    first, last = compared[START], compared[TRAINED]
    _, one, other = np.intersect1d(first.kernels.places, last.kernels.places, return_indices=True)
    before, after = first.found.named[one], last.found.named[other]
    gained, lost = (after & ~before).sum(axis=0), (before & ~after).sum(axis=0)
    p = scipy.stats.binom.sf(gained - 1, gained + lost, 0.5)
    assert len(p) == atoms
    return holm(p)


def _grouped(kernels: "dict[str, Chosen]") -> "dict[str, groups.Clusters]":
    """Groups at each stage; none without scikit-learn, or where all kernels are alike."""
    if not groups.can_cluster():
        return {}
    found = {stage: groups.clusters(groups.upright(each.taps)) for stage, each in kernels.items()}
    return {stage: each for stage, each in found.items() if each is not None}


def _groups(found: "dict[str, groups.Clusters]", matches: dict[str, Match], known: _Dictionary) -> Iterable[Row]:
    for stage, each in found.items():
        nearest = matches[stage]
        start = found.get(START)
        close = None if start is None or stage == START else np.abs(each.centroids @ start.centroids.T).max(axis=1)
        for at, size in enumerate(np.bincount(each.group).tolist()):
            atom = int(nearest.nearest[at])
            yield {
                "stage": stage,
                "groups": len(each.centroids),
                "silhouette": each.silhouette,
                "silhouette_chance": groups.silhouette_of_noise(len(each.group), each.centroids.shape[1]),
                "group": at + 1,
                "kernels": size,
                "atom": known.atoms[atom].name,
                "cosine": float(nearest.cosine[at, atom]),
                "p": None if known.useless else float(nearest.p[at]),
                "from_start": None if close is None else float(close[at]),
            }


def _plane(kernels: "Chosen", found: "groups.Clusters | None", known: _Dictionary) -> Iterable[Row]:
    """Kernels, and the stencils, in the plane of the principal components."""
    upright = groups.upright(kernels.taps)
    plane = groups.plane(upright)
    explained = {f"explained_{at + 1}": float(share) for at, share in enumerate(plane.explained)}
    picked = np.unique(np.linspace(0, len(upright) - 1, min(len(upright), MOST_PLACES)).astype(int))
    for at, (first, second) in zip(picked, plane.places(upright[picked]).tolist(), strict=True):
        group = None if found is None else int(found.group[at]) + 1
        yield {"curve": None, "group": group, "pc1": first, "pc2": second, **explained}
    for atom in known.atoms:
        if not atom.unit:
            curve = groups.upright(_closest(upright[picked], atom)[None])
            ((first, second),) = plane.places(curve).tolist()
            yield {"curve": atom.name, "pc1": first, "pc2": second, **explained}


def _closest(kernels: "Floats", atom: "Atom") -> "Floats":
    """The first template of a stencil, at the shift with the largest mean |cos| over kernels, (K,)."""
    (taps,) = atom.templates[0].taps
    size = kernels.shape[1]
    windows = np.lib.stride_tricks.sliding_window_view(kernels, len(taps), axis=1)
    shift = int(np.abs(windows @ taps).mean(axis=0).argmax())
    return np.concatenate([np.zeros(shift), taps, np.zeros(size - shift - len(taps))])


KERNELS_ANALYSIS = Analysis(
    name="kernels",
    heading="What the kernels are",
    summary="Which known curves the kernels are, and which groups they form, beside chance and the start.",
    tables={"kernels": KERNELS, "kernel_groups": GROUPS, "kernel_plane": PLACES},
    measure=measure,
    show=show,
    draw=draw,
    caption="Above: kernels of the first and the last layer of one cell in the plane of their first two principal "
    "components, at unit norm and of one sign; colours are groups, crosses known stencils in that plane. "
    "Below: share of the kernels of each layer that has a name at p < 0.001, before training and after; of random "
    "kernels at most 0.1 % have one. Grey: so short that nothing can be concluded. At most 512 kernels of a layer.",
)
