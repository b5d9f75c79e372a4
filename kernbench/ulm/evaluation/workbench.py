"""A network on the lines of a study: training data, validation looks, final scores, predictions."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from kernbench.errors import DivergedError
from kernbench.networks.network import lines_at_once
from kernbench.training.batches import TrainingData
from kernbench.training.settings import Loss
from kernbench.ulm.data.recipe import SPLITS, Split
from kernbench.ulm.pairing.decoders import Decoder
from kernbench.ulm.pairing.localization import position_error
from kernbench.ulm.pairing.points import Points, label_points
from kernbench.ulm.pairing.protocol import WIDTHS, choose_matched, evaluate_matched
from kernbench.ulm.scoring.curves import CURVE_THRESHOLDS, precision_recall
from kernbench.ulm.scoring.protocol import (
    THRESHOLDS,
    TOLERANCES,
    Choice,
    Evaluation,
    ScoreTable,
    choose_thresholds,
    evaluate,
    join,
    score,
    tolerance_index,
)
from kernbench.ulm.simulator.noise import add_noise

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Scored:
    """Final scores of a network.

    Attributes:
        choice: thresholds, chosen on one split and frozen.
        splits: split -> scores at those thresholds.
    """

    choice: Choice
    splits: dict[str, Evaluation]


@dataclass(eq=False)
class Workbench:
    """The lines of a study on a device, noise included.

    Attributes:
        splits: "train", "validation", "test" -> lines.
        noise_percent: nominal noise level; training draws it anew each epoch, the others once.
        seed: of the noise of validation and test lines.
        device: where tensors live.
        test_noise_percent: level of the test lines; -1 for that of the others.
    """

    splits: dict[str, Split]
    noise_percent: float
    seed: int
    device: str
    test_noise_percent: float = -1.0
    _kept: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def lines(self, split: str) -> tuple[Tensor, Tensor]:
        """Voltage and counts of a split on the device, (N, L) float32 each."""
        if split not in self._kept:
            source = self.splits[split]
            voltage = np.array(source.voltage, np.float32)  # a copy: the cache is mapped read-only
            level = self.level(split)
            if level > 0:
                voltage = add_noise(voltage, level, noise_seed(self.seed, split, self.splits))
            counts = torch.from_numpy(np.array(source.counts, np.float32))
            self._kept[split] = torch.from_numpy(voltage).to(self.device), counts.to(self.device)
        return self._kept[split]

    def level(self, split: str) -> float:
        """Nominal noise level of a split [percent]."""
        return self.test_noise_percent if split == "test" and self.test_noise_percent >= 0 else self.noise_percent

    def training_data(self) -> TrainingData:
        """Training lines; with noise, `renew` draws it afresh for a seed of the run."""
        voltage, counts = self.lines("train")
        if self.noise_percent == 0:
            return TrainingData(voltage, counts)
        clean = np.array(self.splits["train"].voltage, np.float32)

        on_host = torch.device(self.device).type == "cpu"

        def renew(seed: int) -> Tensor:
            noisy = torch.from_numpy(add_noise(clean, self.noise_percent, np.random.default_rng(seed)))
            return noisy if on_host else noisy.pin_memory()  # only from pinned memory is a copy not waited for

        # With one thread per worker a second one would only take turns with the first.
        return TrainingData(voltage, counts, renew, ahead=not on_host)

    def predictions(self, network: nn.Module, split: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Outputs and counts of a split, batch by batch, (B, L) each; no graph is kept."""
        voltage, counts = self.lines(split)
        network.eval()
        with torch.no_grad():
            together = lines_at_once(network, voltage.shape[1], self.device)
            for lines, labels in zip(voltage.split(together), counts.split(together), strict=True):
                yield network(lines.unsqueeze(1)).squeeze(1), labels

    def look(self, network: nn.Module, loss: Loss, tolerance: int) -> tuple[float, float]:
        """Loss and best mean F1 over thresholds on the validation lines, at one tolerance.

        Raises:
            DivergedError: the output is NaN or infinite.
        """
        losses, tables = [], []
        for output, counts in self.predictions(network, "validation"):
            losses.append(loss(output.unsqueeze(1), counts.unsqueeze(1))[0] * len(output))
            tables.append(_score(output, counts, (tolerance,)))
        mean = float(torch.stack(losses).sum()) / len(self.lines("validation")[0])
        return mean, float(join(tables).mean_f1.max())

    def scored(self, network: nn.Module, threshold_split: str) -> Scored:
        """Choose a threshold per tolerance on one split, freeze it, score validation, test and those lines.

        Raises:
            DivergedError: the output is NaN or infinite.
        """
        choice = choose_thresholds(self.table(network, threshold_split), threshold_split)
        splits = {}
        # The lines that chose the thresholds are scored, too: some published numbers are theirs.
        for split in dict.fromkeys(("validation", "test", threshold_split)):
            splits[split] = evaluate(self.outputs(network, split), self.lines(split)[1], choice)
        return Scored(choice, splits)

    def curve(self, network: nn.Module) -> dict[str, list[Any]]:  # Any: JSON, nested lists of numbers
        """Mean precision, recall and F1 of the test lines at every tolerance and threshold of the published curve.

        Returns:
            `thresholds` (n_thr,), and `precision`, `recall`, `f1` (n_tol, n_thr) at tolerances 0, 1, ...: means over
            lines of the guarded values, to six decimals, which keeps a cell's row in the database small.

        Raises:
            DivergedError: the output is NaN or infinite.
        """
        outputs = self.predictions(network, "test")
        table = join([_score(output, counts, TOLERANCES, CURVE_THRESHOLDS) for output, counts in outputs])
        found = precision_recall(table.tp, table.fn, table.fp, CURVE_THRESHOLDS)
        means = {"precision": found.precision, "recall": found.recall, "f1": table.mean_f1}
        return {"thresholds": list(CURVE_THRESHOLDS)} | {
            name: np.round(values, 6).tolist() for name, values in means.items()
        }

    def matched(self, network: nn.Module, threshold_split: str) -> dict[str, list[float | None]]:
        """One-to-one scores of the test lines: decoder width and thresholds are chosen on the other split and frozen.

        Returns:
            Column -> value at each tolerance 0, 1, ...; None where there is no pair. Precision and recall are pooled.
        """
        choice = choose_matched(
            self.outputs(network, threshold_split), self._truths(threshold_split), threshold_split, Decoder(), WIDTHS
        )
        found = evaluate_matched(self.outputs(network, "test"), self._truths("test"), choice)
        errors = [position_error(pairs) for pairs in found.pairs]
        columns: dict[str, ArrayLike] = {
            "f1": found.summary.mean,
            "precision": found.summary.micro_precision,
            "recall": found.summary.micro_recall,
            "rmse_samples": [error.samples.rmse for error in errors],
            "bias_samples": [error.samples.bias for error in errors],
            "threshold": choice.thresholds,
            "width": np.full(len(errors), choice.decoder.width),
        }
        return {
            name: [float(v) if np.isfinite(v) else None for v in np.asarray(values)] for name, values in columns.items()
        }

    def outputs(self, network: nn.Module, split: str) -> Tensor:
        """Outputs of a whole split, (N, L)."""
        return torch.cat([output for output, _ in self.predictions(network, split)])

    def _truths(self, split: str) -> Points:
        return label_points(self.lines(split)[1].cpu().numpy())

    def table(self, network: nn.Module, split: str) -> ScoreTable:
        """Counts of a split at all tolerances and thresholds."""
        return join([_score(output, counts) for output, counts in self.predictions(network, split)])

    def prediction(self, network: nn.Module, split: str, line: int) -> Floats:
        """Output of one line, (L,)."""
        voltage, _ = self.lines(split)
        network.eval()
        with torch.no_grad():
            return np.asarray(network(voltage[line : line + 1].unsqueeze(1)).cpu().numpy()[0, 0])


def noise_seed(seed: int, split: str, splits: Iterable[str] = SPLITS) -> int:
    """Seed of the noise on validation and test lines (and, between epochs, training lines) of a cell."""
    stream = np.random.SeedSequence([seed, sorted(splits).index(split)])
    return int(stream.generate_state(1)[0])


def median_line(evaluation: Evaluation, tolerance: int) -> int:
    """The line whose F1 is the median: a fair example."""
    f1 = evaluation.f1[tolerance_index(evaluation.tolerances, tolerance)]
    return int(np.argsort(f1, kind="stable")[len(f1) // 2])


def _score(
    output: Tensor,
    counts: Tensor,
    tolerances: tuple[int, ...] = TOLERANCES,
    thresholds: tuple[float, ...] = THRESHOLDS,
) -> ScoreTable:
    if not bool(torch.isfinite(output).all()):
        raise DivergedError("the network's output is NaN or infinite")
    return score(output, counts, tolerances, thresholds)
