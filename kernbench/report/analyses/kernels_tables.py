"""What is said of named kernels: layers, names, groups; each beside chance and the start."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kernbench.analysis.clusters import EXTRA, can_cluster
from kernbench.analysis.identification import USELESS
from kernbench.analysis.stencils import short_name
from kernbench.report.analyses.analysis import Row, Rows, Shown
from kernbench.report.analyses.by_layer import START, TRAINED, grouped, median_text, numbers, word

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ANY = "any"  # in the column of atoms: the best of all
LEAST_SHARE = 0.01  # of the kernels, for a name to be shown
MOST_NAMES = 4  # of a layer
NOTHING = "nothing can be concluded"
PLACE = ("family", "kernel_size", "layer")


def show(rows: Rows) -> Iterable[Shown]:
    """Tables of layers, of names and of groups."""
    yield _layers(rows["kernels"])
    yield _names(rows["kernels"])
    yield _groups(rows["kernel_groups"])


def _layers(rows: Sequence[Row]) -> Shown:
    table = []
    for place, each in grouped([row for row in rows if row["atom"] == ANY], *PLACE):
        start, trained = _at(each, START), _at(each, TRAINED)
        named = [NOTHING, "–"] if _is_useless(each) else _shares(start, trained)
        table.append(
            [
                *place,
                f"{max(numbers(each, 'needed')):.3f}",
                *named,
                *(median_text(some, "cosine") for some in (start, trained)),
                f"{np.median(numbers(each, 'chance_median')):.2f} ({np.median(numbers(each, 'chance_95')):.2f})",
            ]
        )
    return Shown(
        "Kernels beside known curves at any place, sign and scale. Needed: |cos| from which a kernel gets a name, p "
        f"< 0.001 after Holm over all curves; where it is above {USELESS:g}, {NOTHING}. Named: share of such "
        "kernels; of random ones at most 0.1 %. Best |cos|: median kernel; chance: of random kernels in the same "
        "search (95 % of them are below). Medians over cells, lowest and highest in brackets.",
        ["family", "K", "layer", "needed", "named, start", "trained", "best |cos|, start", "trained", "chance"],
        table,
    )


def _names(rows: Sequence[Row]) -> Shown:
    table = []
    for place, each in grouped(rows, *PLACE):
        if _is_useless(each):
            continue
        cells = [row for row in each if row["atom"] == ANY]
        atoms = sorted({word(row["atom"]) for row in each} - {ANY})
        p = _learned(each, cells, atoms)
        shares = {atom: [_mean(each, cells, atom, stage) for stage in (START, TRAINED)] for atom in atoms}
        order = sorted(atoms, key=lambda atom: -np.nanmax([*shares[atom], 0.0]))
        for atom in [atom for atom in order if np.nanmax([*shares[atom], 0.0]) >= LEAST_SHARE][:MOST_NAMES]:
            own = [row for row in each if row["atom"] == atom]
            after = _at(own, TRAINED)
            table.append(
                [
                    *(*place, short_name(atom)),
                    *map(_percent, shares[atom]),
                    median_text(after, "above_90", percent=True),
                    median_text(after, "cosine"),
                    f"{np.median(numbers(own, 'chance_95')):.2f}",
                    median_text(after, "scale"),
                    _p_text(max(numbers(after, "p"), default=np.nan)),
                    _p_text(p[atom]),
                ]
            )
    return Shown(
        f"Names that at least {LEAST_SHARE:.0%} of the kernels have, at most {MOST_NAMES} of a layer; all are in "
        "kernels.csv. A name says that chance does not explain the likeness, |cos| says how large it is; dots: or a "
        "curve nearly parallel. Start, trained: share of the kernels with the name, mean over cells. > 0.9: share "
        "with |cos| above it. Chance: 95 % of random kernels have a smaller |cos|. Scale: width in tap steps, or "
        "stretch. p: that as many random kernels get the name, the largest over cells; white noise is not the "
        "chance of a smooth family, so compare with the start. Learned: one-sided p that training raised the share, "
        "t-test over cells, Holm over the names of the layer; kernels of one layer are not independent, so one cell "
        "decides nothing.",
        ["family", "K", "layer", "name", "start", "trained", "> 0.9", "|cos|", "chance", "scale", "p", "learned"],
        table,
    )


def _groups(rows: Sequence[Row]) -> Shown:
    table = []
    for place, each in grouped(rows, *PLACE, "stage"):
        first = [row for row in each if row["group"] == 1]
        sizes = {_cell(row): 0.0 for row in first}
        for row in each:
            sizes[_cell(row)] = sizes.get(_cell(row), 0.0) + float(word(row["kernels"]))
        largest = [{**row, "share": float(word(row["kernels"])) / sizes[_cell(row)]} for row in first]
        atom, _ = Counter(word(row["atom"]) for row in first).most_common(1)[0]
        table.append(
            [
                *place,
                *(median_text(first, name) for name in ("groups", "silhouette", "silhouette_chance")),
                median_text(largest, "share", percent=True),
                short_name(atom),
                median_text(first, "cosine"),
                _p_text(max(numbers(first, "p"), default=np.nan)),
                median_text(each, "from_start"),
            ]
        )
    if not rows and not can_cluster():
        return Shown(f"Groups of kernels are left out: they need scikit-learn; {EXTRA}.", ["family"], [])
    return Shown(
        "Groups of kernels of unit norm, the first large tap positive: k-means, with the number of groups that has "
        "the largest silhouette; by chance: of as many random kernels, which have no groups. Largest: share of the "
        "kernels in the largest group; nearest: the known curve closest to its mean kernel, with |cos| and p. From "
        "start: |cos| of a mean kernel with the closest one before training; 1 where the group stayed. Medians over "
        "cells, lowest and highest in brackets.",
        [
            *("family", "K", "layer", "stage", "groups", "silhouette", "by chance", "largest", "nearest", "|cos|", "p"),
            "from start",
        ],
        table,
    )


def _is_useless(rows: Sequence[Row]) -> bool:
    return max(numbers(rows, "needed"), default=1.0) > USELESS


def _shares(*stages: Sequence[Row]) -> list[str]:
    return [median_text(rows, "named", percent=True) for rows in stages]


def _at(rows: Sequence[Row], stage: str) -> list[Row]:
    return [row for row in rows if row["stage"] == stage]


def _cell(row: Row) -> tuple[str, str]:
    return word(row["study"]), word(row["cell"])


def _by_cell(rows: Sequence[Row], cells: Sequence[Row], atom: str, stage: str) -> dict[tuple[str, str], float]:
    """Share of the kernels with a name in each cell that is known at a stage; 0 where the name has no row."""
    found = {_cell(row): 0.0 for row in _at(cells, stage)}
    for row in _at(rows, stage):
        if row["atom"] == atom and numbers([row], "named"):
            found[_cell(row)] = float(word(row["named"]))
    return found


def _mean(rows: Sequence[Row], cells: Sequence[Row], atom: str, stage: str) -> float:
    shares = _by_cell(rows, cells, atom, stage)
    return float(np.mean(list(shares.values()))) if shares else float("nan")


def _learned(rows: Sequence[Row], cells: Sequence[Row], atoms: Sequence[str]) -> dict[str, float]:
    """Of each atom, one-sided p that training raised its share, from differences of cells; NaN of fewer than two.

    A spread between cells below one kernel counts as one kernel: shares come in such steps.
    """
    import scipy.stats  # noqa: PLC0415  # slow to import

    from kernbench.statistics.multiplicity import holm  # noqa: PLC0415

    kernels = min(numbers(cells, "kernels"), default=0.0)
    p = []
    for atom in atoms:
        before, after = (_by_cell(rows, cells, atom, stage) for stage in (START, TRAINED))
        change = [after[cell] - before[cell] for cell in before if cell in after]
        count = len(change)
        if count < 2 or not kernels:
            return dict.fromkeys(atoms, float("nan"))
        spread = max(float(np.std(change, ddof=1)), 1 / kernels)
        p.append(float(scipy.stats.t.sf(np.mean(change) * np.sqrt(count) / spread, count - 1)))
    return dict(zip(atoms, holm(p).tolist(), strict=True))


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.1f} %"


def _p_text(p: float) -> str:
    if np.isnan(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def draw(rows: Rows) -> "Figure | None":
    """Kernels in their plane, and the share named of each layer."""
    if not numbers(rows["kernels"], "needed"):
        return None
    from kernbench.report.analyses.kernels_figure import kernels_figure  # noqa: PLC0415  # matplotlib takes a second

    return kernels_figure(rows["kernels"], rows["kernel_plane"])
