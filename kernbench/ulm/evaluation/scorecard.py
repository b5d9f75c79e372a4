"""A trained network under the published protocol: F1 by tolerance, by density and by pressure, and the files of it."""

import dataclasses
import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kernbench.host.files import sha256_of_file
from kernbench.ulm.data.recipe import Split
from kernbench.ulm.evaluation.card_files import ScoreFiles, Table, line_table, write_files
from kernbench.ulm.evaluation.trained import Noise, Trained
from kernbench.ulm.evaluation.workbench import noise_seed
from kernbench.ulm.scoring.by_line import BUBBLE_EDGES, PRESSURE_EDGES_KPA, Binned, binned, rank_correlation
from kernbench.ulm.scoring.floors import comb_f1, random_f1
from kernbench.ulm.scoring.protocol import (
    PROTOCOL_VERSION,
    THRESHOLDS,
    Choice,
    Evaluation,
    ScoreTable,
    choose_thresholds,
    freeze,
    join,
    score,
)
from kernbench.ulm.scoring.scores import TOLERANCES, skill, tolerance_ns, tolerance_um
from kernbench.ulm.simulator.noise import add_noise

BINNED_TOLERANCES = (0, 4)
SCORED_TOGETHER = 64  # lines; memory, not a result, depends on it

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Row:
    """One line of the table of F1 by tolerance.

    Attributes:
        tolerance: samples.
        ns: the same as arrival time.
        um: the same as two-way depth.
        threshold: frozen.
        f1: mean over lines.
        median: over lines.
        comb: floor, the best comb on these lines.
        random: floor, uniform noise at its best threshold on these lines.
        skill: (f1 - comb) / (1 - comb).
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
        bubbles: of each line.
        pressure_pa: of each line.
    """

    evaluation: Evaluation
    rows: list[Row]
    by_bubbles: list[Binned]
    by_pressure: list[Binned]
    spearman: Mapping[str, tuple[float, ...]]
    bubbles: NDArray[np.int64]
    pressure_pa: Floats


def first_lines(split: Split, lines: int) -> Split:
    """The first lines of a split."""
    return Split(
        name=split.name,
        voltage=split.voltage[:lines],
        counts=split.counts[:lines],
        bubbles=split.bubbles[:lines],
        pressure_pa=split.pressure_pa[:lines],
        starts=split.starts[:lines],
    )


def noisy(split: Split, percent: float, seed: int) -> NDArray[np.float32]:
    """Voltage of a split with the noise of the protocol; each line has its own stream, the same for all networks.

    Raises:
        DataError: see `add_noise`.
    """
    # Another stream per split, so that thresholds are not fitted to the noise of the test lines.
    number = int(np.random.SeedSequence([seed, *split.name.encode()]).generate_state(1)[0])
    return add_noise(split.voltage, percent, number)


def as_scored(split: Split, noise: Noise) -> NDArray[np.float32]:
    """Voltage of a split with the very noise that the lines of a cell had.

    Raises:
        DataError: see `add_noise`.
    """
    return add_noise(split.voltage, noise.level(split.name), noise_seed(noise.seed, split.name))


def predict(
    network: nn.Module,
    voltage: NDArray[np.float32],
    *,
    device: str = "cpu",
    batch: int | None = None,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Output of a network on lines, (N, L).

    Args:
        network: (B, 1, L) -> (B, 1, L); moved to the device, put into evaluation mode.
        voltage: (N, L).
        device: where to run.
        batch: lines per forward pass, which may change the last bit of an output; left out, what suits the device.
        progress: called as progress(lines done, lines in all).
    """
    network.to(device).eval()
    # On a CPU larger batches leave the cache: 32 lines at once take four times as long per line as two.
    together = batch or (2 if device == "cpu" else SCORED_TOGETHER)
    step = batch or SCORED_TOGETHER
    output = np.empty(voltage.shape, np.float32)
    for start in range(0, len(voltage), step):
        rows = slice(start, start + step)
        lines = torch.from_numpy(np.array(voltage[rows], np.float32))
        with torch.no_grad():
            parts = [network(part.unsqueeze(1).to(device)).squeeze(1).cpu() for part in lines.split(together)]
        output[rows] = torch.cat(parts).numpy()
        if progress is not None:
            progress(min(start + step, len(voltage)), len(voltage))
    return output


def score_output(
    output: NDArray[np.float32],
    counts: NDArray[np.uint8],
    tolerances: Sequence[int] = TOLERANCES,
    thresholds: Sequence[float] = THRESHOLDS,
) -> ScoreTable:
    """Counts of an output, as `kernbench.ulm.scoring.protocol.score`, but few lines at a time.

    Args:
        output: (N, L).
        counts: (N, L).
        tolerances: samples.
        thresholds: on the output.

    Raises:
        DataError: the output holds NaN.
    """
    parts = [slice(start, start + SCORED_TOGETHER) for start in range(0, len(output), SCORED_TOGETHER)]
    return join([score(output[rows], np.asarray(counts[rows]), tolerances, thresholds) for rows in parts])


def choose(
    network: nn.Module,
    split: Split,
    *,
    noise_percent: float = 0,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Choice:
    """Thresholds of a network, chosen on a split as published: 25 candidates, the largest mean F1 per tolerance."""
    voltage = noisy(split, noise_percent, seed)
    output = predict(network, voltage, device=device, progress=progress)
    return choose_thresholds(score_output(output, split.counts), split.name)


def evaluate_network(
    network: nn.Module,
    split: Split,
    choice: Choice,
    *,
    noise_percent: float = 0,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Evaluation:
    """Scores of a network on a split at frozen thresholds.

    Args:
        network: (B, 1, L) -> (B, 1, L).
        split: lines.
        choice: the thresholds.
        noise_percent: nominal noise added to the lines.
        seed: of the noise.
        device: where to run.
        progress: called as progress(lines done, lines in all).
    """
    output = predict(network, noisy(split, noise_percent, seed), device=device, progress=progress)
    return evaluate_output(output, split, choice)


def evaluate_output(output: NDArray[np.float32], split: Split, choice: Choice) -> Evaluation:
    """Scores of an output (N, L) on the lines of a split at frozen thresholds."""
    candidates = np.unique(np.concatenate([np.asarray(THRESHOLDS), choice.thresholds])).tolist()
    return freeze(score_output(output, split.counts, choice.tolerances.tolist(), candidates), choice)


def scorecard(evaluation: Evaluation, split: Split, *, floor_seed: int = 0) -> Scorecard:
    """Tables of an evaluation: floors of these very lines, skill, bins of density and pressure."""
    pressure_kpa = split.pressure_pa / 1e3
    shown = [place for place, tolerance in enumerate(evaluation.tolerances) if tolerance in BINNED_TOLERANCES]
    f1 = evaluation.f1[shown]
    return Scorecard(
        evaluation,
        _rows(evaluation, split, floor_seed),
        [binned(row, split.bubbles, BUBBLE_EDGES) for row in f1],
        [binned(row, pressure_kpa, PRESSURE_EDGES_KPA) for row in f1],
        {
            "bubbles": tuple(rank_correlation(row, split.bubbles) for row in f1),
            "pressure": tuple(rank_correlation(row, pressure_kpa) for row in f1),
        },
        split.bubbles,
        split.pressure_pa,
    )


def bin_rows(bins: Sequence[Binned]) -> list[tuple[float, float, int, list[float]]]:
    """Several scores in the same bins, side by side: lower edge, upper edge, lines and the mean of each score."""
    if not bins:
        return []
    edges, number = bins[0].edges.tolist(), bins[0].number.tolist()
    means = np.stack([each.mean for each in bins], axis=1).tolist()
    return list(zip(edges[:-1], edges[1:], number, means, strict=True))


def save(card: Scorecard, folder: Path, facts: Mapping[str, Any]) -> list[Path]:
    """Write `table.csv`, `lines.csv` (one row per line), `bins.csv`, `scores.npz` and `facts.json`.

    Args:
        card: the scores.
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
    per_line = line_table(evaluation.tolerances.tolist(), card.bubbles, card.pressure_pa, evaluation.f1)
    arrays = {name: getattr(evaluation, name) for name in ("tolerances", "thresholds", "tp", "fn", "fp", "f1")}
    tables = {
        "table.csv": Table([field.name for field in dataclasses.fields(Row)], map(dataclasses.astuple, card.rows)),
        "lines.csv": per_line,
        "bins.csv": Table(["by", "low", "high", "lines", *binned_names], bins),
    }
    scores = arrays | {"bubbles": card.bubbles, "pressure_pa": card.pressure_pa}
    origin = dict(facts) | {"threshold_split": evaluation.threshold_split}
    return write_files(ScoreFiles(tables, {"scores.npz": scores}, {"facts.json": origin}), folder)


def facts(trained: Trained, digest: str, split: Split, *, noise_percent: float, seed: int) -> dict[str, Any]:
    """Where scores come from, for `save`: weights by content, lines by the digest of their data set."""
    cell = {name: trained.facts[name] for name in ("study", "cell") if trained.facts}
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


def _rows(evaluation: Evaluation, split: Split, floor_seed: int) -> list[Row]:
    tolerances = evaluation.tolerances.tolist()
    counts = np.asarray(split.counts)
    comb = comb_f1(counts, tolerances).mean(axis=1)
    random = random_f1(counts, tolerances, seed=floor_seed).mean(axis=1)
    columns = (
        tolerances,
        tolerance_ns(tolerances).tolist(),
        tolerance_um(tolerances).tolist(),
        evaluation.thresholds.tolist(),
        evaluation.mean_f1.tolist(),
        np.median(evaluation.f1, axis=1).tolist(),
        comb.tolist(),
        random.tolist(),
        skill(evaluation.mean_f1, comb).tolist(),
        evaluation.oracle_gap.tolist(),
    )
    return [Row(*values) for values in zip(*columns, strict=True)]
