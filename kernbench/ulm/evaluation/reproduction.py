"""The published scores beside ours: every network of SRML-1D on lines with the published densities and pressures.

Source: Blanken et al. (2022), IEEE Trans. Med. Imaging 41(9), Figures 7b, 8 and 11.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kernbench.errors import DataError, close_match, first_line
from kernbench.ulm.data.published_pairs import FIELD_OVER_AMPLITUDE, PublishedPairs
from kernbench.ulm.data.recipe import Split
from kernbench.ulm.evaluation.card_files import write_files
from kernbench.ulm.evaluation.noise import Noise
from kernbench.ulm.evaluation.predict import Progress
from kernbench.ulm.evaluation.scorecard import BINNED_TOLERANCES
from kernbench.ulm.evaluation.workbench import Workbench
from kernbench.ulm.scoring.by_line import BUBBLE_EDGES, PRESSURE_EDGES_KPA, Binned, binned
from kernbench.ulm.scoring.protocol import Evaluation
from kernbench.ulm.srml1d.networks import THRESHOLDS_NAME, WEIGHTS_NAME, load_network, load_thresholds

AGREEMENT = 0.004  # largest difference of a mean F1 over 960 lines that counts as reproduced
FULL = 960  # published test lines
SPLIT = "published training lines"  # where the stored thresholds were chosen

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Published:
    """One published network.

    Attributes:
        name: such as HS_001 or HS_001_noise_8%.
        folder: with weights and thresholds.
        noise_percent: of its training and test lines.
        population: of its training and test lines.
        stored: its thresholds are published; those of the polydisperse network are not.
        reference: published mean test F1, (10,), tolerance 0 to 9.
    """

    name: str
    folder: Path
    noise_percent: float
    population: str
    stored: bool
    reference: Floats


@dataclass(frozen=True, eq=False)
class Comparison:
    """Published and measured mean F1 of one network.

    Attributes:
        network: which.
        evaluation: ours.
    """

    network: Published
    evaluation: Evaluation

    @property
    def published(self) -> Floats:
        """Published mean F1 at our tolerances, (n_tol,)."""
        return self.network.reference[self.evaluation.tolerances]

    @property
    def difference(self) -> Floats:
        """Measured minus published, (n_tol,)."""
        return np.asarray(self.evaluation.mean_f1 - self.published)

    @property
    def standard_error(self) -> Floats:
        """Of the measured mean over lines, (n_tol,); NaN for one line."""
        lines = self.evaluation.f1.shape[1]
        if lines < 2:
            return np.full(len(self.evaluation.tolerances), np.nan)
        return np.asarray(self.evaluation.f1.std(axis=1, ddof=1) / np.sqrt(lines))

    @property
    def reproduced(self) -> bool:
        """Every difference is within 0.004."""
        return bool((np.abs(self.difference) <= AGREEMENT).all())


def published_networks(folder: Path) -> list[Published]:
    """Networks of the published repository that have a published table of scores.

    Args:
        folder: with `model*/epoch_1249`, `model_noise/*/epoch_1249`, their thresholds, and `ModelComparison/F1_test_*`.

    Returns:
        Networks, sorted by population, noise and name.

    Raises:
        DataError: there is none.
    """
    if not folder.is_dir():
        raise DataError(f"no folder {folder}; expected the published repository, with model*/{WEIGHTS_NAME}")
    found = [each for weights in sorted(folder.rglob(WEIGHTS_NAME)) if (each := _published(weights.parent, folder))]
    if not found:
        raise DataError(
            f"{folder}: no network to compare; expected folders model* with {WEIGHTS_NAME}, and "
            "ModelComparison/F1_test_<model>.npy"
        )
    return sorted(found, key=lambda each: (each.population, each.noise_percent, each.name))


def select(networks: list[Published], names: tuple[str, ...]) -> list[Published]:
    """Those of these names; if none is given, all that have stored thresholds.

    Raises:
        DataError: no network of a name.
    """
    known = [network.name for network in networks]
    for name in names:
        if name not in known:
            raise DataError(f"no published network {name!r}{close_match(name, known)}; there are {', '.join(known)}")
    return [network for network in networks if (network.name in names if names else network.stored)]


def compare(
    network: Published,
    lines: Split,
    threshold_lines: Split | None = None,
    *,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Comparison:
    """Run a published network with its stored thresholds on matched lines.

    Args:
        network: which.
        lines: see `kernbench.ulm.data.published_pairs.matched_lines`.
        threshold_lines: where to choose the thresholds of a network that has none; a split of another name.
        seed: of the noise.
        device: where to run.
        progress: called as progress(lines done, lines in all).

    Raises:
        DataError: its files are not as published.
    """
    net = load_network(network.folder)
    splits = {each.name: each for each in (lines, threshold_lines) if each is not None}
    bench = Workbench(splits, Noise(network.noise_percent, seed=seed), device)
    if network.stored:
        choice = load_thresholds(network.folder, SPLIT)
    elif threshold_lines is not None:
        choice = bench.choose(bench.output(net, threshold_lines.name), threshold_lines.name)
    else:
        raise DataError(f"{network.name} has no stored thresholds: lines to choose them on are needed")
    if (choice.tolerances >= len(network.reference)).any():
        raise DataError(f"{network.folder}: tolerances beyond those of the published table")
    output = bench.output(net, lines.name, progress)
    return Comparison(network, bench.evaluate(output, lines.name, choice))


def figure_bins(comparison: Comparison, pairs: PublishedPairs) -> dict[str, list[tuple[Binned, Binned]]]:
    """Published and measured F1 of HS_001 in bins of bubble number and of pressure (Figure 8).

    Args:
        comparison: of HS_001, on lines matched to the pairs.
        pairs: with the published per-line F1.

    Returns:
        "bubbles", "pressure_kpa" -> (published, measured) at each of `BINNED_TOLERANCES`.
    """
    values = {
        "bubbles": (pairs.bubbles.astype(float), BUBBLE_EDGES),
        "pressure_kpa": (pairs.pressure_pa * (FIELD_OVER_AMPLITUDE / 1e3), PRESSURE_EDGES_KPA),
    }
    return {
        by: [
            (binned(pairs.f1[tolerance], each, edges), binned(comparison.evaluation.f1[tolerance], each, edges))
            for tolerance in BINNED_TOLERANCES
        ]
        for by, (each, edges) in values.items()
    }


def save_comparisons(comparisons: Sequence[Comparison], folder: Path) -> list[Path]:
    """Write `reproduction.csv` (network, tolerance, published, measured, ...) and `f1.npz`, per-line F1 by network.

    Raises:
        DataError: the folder cannot be written.
    """
    header = ["network", "lines", "tolerance", "threshold", "published", "measured", "difference", "standard_error"]
    rows = (row for comparison in comparisons for row in _csv_rows(comparison))
    arrays = {comparison.network.name: comparison.evaluation.f1 for comparison in comparisons}
    return write_files(folder, {"reproduction.csv": (header, rows)}, {"f1.npz": arrays})


def _csv_rows(comparison: Comparison) -> list[list[object]]:
    evaluation, lines = comparison.evaluation, comparison.evaluation.f1.shape[1]
    scores = (comparison.published, evaluation.mean_f1, comparison.difference, comparison.standard_error)
    columns = (evaluation.tolerances.tolist(), evaluation.thresholds.tolist(), *(score.tolist() for score in scores))
    return [[comparison.network.name, lines, *row] for row in zip(*columns, strict=True)]


def _published(place: Path, folder: Path) -> Published | None:
    """The network of a folder, or None if nothing is published to compare it with."""
    name, noise = _identity(place.name)
    reference = folder / "ModelComparison" / f"F1_test_{f'{noise}%' if noise else name}.npy"
    if not reference.is_file():
        return None
    return Published(
        name=f"{name}_noise_{noise}%" if noise else name,
        folder=place,
        noise_percent=float(noise),
        population="polydisperse" if name.endswith("_polydisperse") else "monodisperse",
        stored=(place / THRESHOLDS_NAME).is_file(),
        reference=_reference(reference),
    )


def _identity(folder: str) -> tuple[str, int]:
    """Model and noise level from a folder's name: modelHS_001, modelHS_001_noise_8%."""
    name, _, noise = folder.removeprefix("model").partition("_noise_")
    level = re.match(r"\d+", noise)
    return name, int(level[0]) if level else 0


def _reference(path: Path) -> Floats:
    try:
        return np.asarray(np.load(path, allow_pickle=False), np.float64).ravel()
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a plain array: {first_line(error)}") from error
