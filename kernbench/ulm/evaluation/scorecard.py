"""A trained network under the published protocol: F1 by tolerance, by density and by pressure, and the files of it."""

import dataclasses
import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kernbench.host.files import sha256_of_file
from kernbench.ulm.data.recipe import Split
from kernbench.ulm.evaluation.card_files import line_table, write_files
from kernbench.ulm.evaluation.trained import Trained
from kernbench.ulm.scoring.by_line import BUBBLE_EDGES, PRESSURE_EDGES_KPA, Binned, binned, rank_correlation
from kernbench.ulm.scoring.floors import blind_floors
from kernbench.ulm.scoring.protocol import PROTOCOL_VERSION, Evaluation
from kernbench.ulm.scoring.rates import moved_tolerances
from kernbench.ulm.scoring.scores import skill, tolerance_ns, tolerance_um

BINNED_TOLERANCES = (0, 4)


@dataclass(frozen=True)
class Row:
    """One line of the table of F1 by tolerance.

    Attributes:
        tolerance: samples of the training rate.
        ns: the same as arrival time; less where lines of half the rate cannot count an odd tolerance.
        um: the same as two-way depth.
        threshold: frozen.
        f1: mean over lines.
        median: over lines.
        comb: floor, the best comb on these lines, see `blind_floors`.
        random: floor, uniform noise at its best threshold on these lines.
        skill: (f1 - floor) / (1 - floor) over the better floor.
        oracle_gap: what choosing the threshold on these very lines would add.
    """

    tolerance: int
    ns: float
    um: float
    threshold: float
    f1: float
    median: float
    comb: float
    random: float
    skill: float
    oracle_gap: float


@dataclass(frozen=True, eq=False)
class Scorecard:
    """Scores of one network on one split.

    Attributes:
        evaluation: counts per line and tolerance at the frozen thresholds.
        rows: the table.
        by_bubbles: F1 in bins of the number of bubbles, at each of `BINNED_TOLERANCES`.
        by_pressure: the same in bins of the pressure [kPa].
        spearman: "bubbles", "pressure" -> rank correlation with F1 at each of `BINNED_TOLERANCES`.
    """

    evaluation: Evaluation
    rows: list[Row]
    by_bubbles: list[Binned]
    by_pressure: list[Binned]
    spearman: Mapping[str, tuple[float, ...]]


def first_lines(split: Split, lines: int) -> Split:
    """The first lines of a split."""
    names = ("voltage", "counts", "bubbles", "pressure_pa", "starts")
    return dataclasses.replace(split, **{name: getattr(split, name)[:lines] for name in names})


def scorecard(evaluation: Evaluation, split: Split, factor: float = 1.0) -> Scorecard:
    """Tables of an evaluation: floors of these very lines, skill, bins of density and pressure.

    Args:
        evaluation: counts of each line.
        split: the lines as they are scored, see `Workbench.at_its_rate`.
        factor: their rate over the one of training.
    """
    pressure_kpa = split.pressure_pa / 1e3
    shown = [place for place, tolerance in enumerate(evaluation.tolerances) if tolerance in BINNED_TOLERANCES]
    f1 = evaluation.f1[shown]
    return Scorecard(
        evaluation,
        _rows(evaluation, split, factor),
        [binned(row, split.bubbles, BUBBLE_EDGES) for row in f1],
        [binned(row, pressure_kpa, PRESSURE_EDGES_KPA) for row in f1],
        {
            "bubbles": tuple(rank_correlation(row, split.bubbles) for row in f1),
            "pressure": tuple(rank_correlation(row, pressure_kpa) for row in f1),
        },
    )


def bin_rows(bins: Sequence[Binned]) -> list[tuple[float, float, int, list[float]]]:
    """Several scores in the same bins, side by side: lower edge, upper edge, lines and the mean of each score."""
    if not bins:
        return []
    edges, number = bins[0].edges.tolist(), bins[0].number.tolist()
    means = np.stack([each.mean for each in bins], axis=1).tolist()
    return list(zip(edges[:-1], edges[1:], number, means, strict=True))


def save(card: Scorecard, split: Split, folder: Path, facts: Mapping[str, Any]) -> list[Path]:
    """Write `table.csv`, `lines.csv` (one row per line), `bins.csv`, `scores.npz` and `facts.json`.

    Args:
        card: the scores.
        split: the lines.
        folder: made if it is not there.
        facts: where they come from, JSON.

    Returns:
        The files.

    Raises:
        DataError: the folder cannot be written.
    """
    evaluation = card.evaluation
    binned_names = [f"f1_t{tolerance}" for tolerance in evaluation.tolerances if tolerance in BINNED_TOLERANCES]
    kinds = (("bubbles", card.by_bubbles), ("pressure_kpa", card.by_pressure))
    bins = [[by, low, high, lines, *f1] for by, each in kinds for low, high, lines, f1 in bin_rows(each)]
    arrays = {name: getattr(evaluation, name) for name in ("tolerances", "thresholds", "tp", "fn", "fp", "f1")}
    tables = {
        "table.csv": ([field.name for field in dataclasses.fields(Row)], map(dataclasses.astuple, card.rows)),
        "lines.csv": line_table(evaluation.tolerances.tolist(), split.bubbles, split.pressure_pa, evaluation.f1),
        "bins.csv": (["by", "low", "high", "lines", *binned_names], bins),
    }
    scores = arrays | {"bubbles": split.bubbles, "pressure_pa": split.pressure_pa}
    origin = dict(facts) | {"threshold_split": evaluation.threshold_split}
    return write_files(folder, tables, {"scores.npz": scores}, {"facts.json": origin})


def facts(trained: Trained, digest: str, split: Split, *, noise_percent: float, seed: int) -> dict[str, Any]:
    """Where scores come from, for `save`: weights by content, lines by the digest of their data set."""
    cell = {name: trained.facts[name] for name in ("study", "cell") if trained.facts}
    cell |= {"delay": trained.delay} if trained.delay else {}
    return cell | {
        "weights": str(trained.path),
        "weights_sha256": sha256_of_file(trained.path),
        "data": digest,
        "split": split.name,
        "lines": len(split.bubbles),
        "noise_percent": noise_percent,
        "seed": seed,
        "protocol": PROTOCOL_VERSION,
        "kernbench": importlib.metadata.version("kernbench"),
    }


def _rows(evaluation: Evaluation, split: Split, factor: float) -> list[Row]:
    tolerances = evaluation.tolerances.tolist()
    floors = blind_floors(split.counts, tolerances, factor, split.voltage.shape[1], split.label_support)
    counted = moved_tolerances(tolerances, factor) / factor  # at half the rate odd ones are rounded down
    comb, random = floors["comb"].mean, floors["random"].mean
    columns = (
        tolerances,
        tolerance_ns(counted).tolist(),
        tolerance_um(counted).tolist(),
        evaluation.thresholds.tolist(),
        evaluation.mean_f1.tolist(),
        np.median(evaluation.f1, axis=1).tolist(),
        comb.tolist(),
        random.tolist(),
        skill(evaluation.mean_f1, np.maximum(comb, random)).tolist(),
        evaluation.oracle_gap.tolist(),
    )
    return [Row(*values) for values in zip(*columns, strict=True)]
