"""A network on the lines of a study or of any data set: training data, validation passes, outputs, final scores."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kernbench.errors import DivergedError
from kernbench.networks.rates import at_rate
from kernbench.training.batches import TrainingData
from kernbench.training.settings import Loss
from kernbench.ulm.data.recipe import Split
from kernbench.ulm.evaluation.noise import Noise, noise_seed
from kernbench.ulm.evaluation.pair_card import choose_pairs, matched_card
from kernbench.ulm.evaluation.predict import Output, Progress, predict, predictions
from kernbench.ulm.evaluation.rates import evaluate_at, moved_split
from kernbench.ulm.scoring.curves import CURVE_THRESHOLDS, precision_recall
from kernbench.ulm.scoring.delay import DelayedLoss, shifted
from kernbench.ulm.scoring.protocol import Choice, Evaluation, choose_thresholds, join, score
from kernbench.ulm.scoring.rates import moved_samples, moved_tolerances
from kernbench.ulm.scoring.scores import THRESHOLDS, TOLERANCES
from kernbench.ulm.simulator.compression import compressed
from kernbench.ulm.simulator.noise import add_noise
from kernbench.ulm.simulator.pulse import FloatArray

Counts = NDArray[Any]  # any number type

# column that a cell stores -> field of a row of the one-to-one table
MATCHED = ("f1", "precision", "recall", "rmse_samples", "bias_samples", "threshold")


@dataclass(frozen=True, eq=False)
class Scored:
    """Final scores of a network.

    Attributes:
        choice: thresholds, chosen on one split and frozen.
        outputs: split -> output of the network, (N, L).
        splits: split -> scores at those thresholds.
    """

    choice: Choice
    outputs: dict[str, Output]
    splits: dict[str, Evaluation]


@dataclass(eq=False)
class Workbench:
    """Lines on a device, noise included, and networks on them: the one place that adds noise to lines of a split.

    Attributes:
        splits: name -> lines.
        noise: of all lines; training draws it again each epoch, lines that are scored have it once.
        device: where tensors live and networks run.
        batch: lines per forward pass; None for what suits network and device.
        factors: split -> rate at which it is scored over that of training; 1 where it is missing. Lines are resampled
            with their noise, and the network scores them with its kernels at that rate.
        resampled: whether its kernels there come from a filter over those of training, see `at_rate`.
        template: pulse with whose matched filter lines are compressed after their noise; None for lines as received.
        delay: of the labels after their bubbles [samples of the training rate], see `kernbench.ulm.scoring.delay`.
    """

    splits: Mapping[str, Split]
    noise: Noise
    device: str = "cpu"
    batch: int | None = None
    factors: Mapping[str, float] = field(default_factory=dict)
    delay: int = 0
    template: FloatArray | None = None
    resampled: bool = False
    _lines: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    _moved: dict[str, Split] = field(default_factory=dict)

    def factor(self, split: str) -> float:
        """Rate at which a split is scored, over that of training."""
        return self.factors.get(split, 1.0)

    def lag(self, split: str) -> int:
        """Delay of the labels in samples at which a split is scored: outputs before it are not."""
        return int(moved_samples(self.delay, self.factor(split)))

    def at_its_rate(self, split: str) -> Split:
        """The lines of a split at the rate at which they are scored; resampled ones have their noise.

        Returns:
            Voltage (N, L), and the bubbles that are scored, (N, L - lag), at their own samples.

        Raises:
            DataError: a noise level that cannot be used, see `add_noise`, or lines that are not longer than the delay.
        """
        here, factor = self.splits[split], self.factor(split)
        if factor == 1 and not self.delay:
            return here
        if split not in self._moved:
            voltage = here.voltage if factor == 1 else self._noisy(split)
            late = replace(here, voltage=voltage, counts=shifted(here.counts, self.delay))
            moved = moved_split(late, factor)
            self._moved[split] = replace(moved, counts=moved.counts[:, self.lag(split) :])
        return self._moved[split]

    def _noisy(self, split: str) -> Output:
        here = self.splits[split]
        noisy = add_noise(here.voltage, self.noise.level(split), noise_seed(self.noise.seed, split))
        return noisy if self.template is None else compressed(noisy, self.template)

    def lines(self, split: str) -> tuple[Tensor, Tensor]:
        """Voltage of a split as it is scored, (N, L), and its scored bubbles, (N, L - lag), float32 on the device.

        Raises:
            DataError: a noise level that cannot be used, see `add_noise`.
        """
        if split not in self._lines:
            here = self.at_its_rate(split)
            self._lines[split] = self._tensors(self._noisy(split) if self.factor(split) == 1 else here.voltage, here)
        return self._lines[split]

    def lines_of_training(self, split: str) -> tuple[Tensor, Tensor]:
        """Voltage at the rate of training, whatever the rate at which the split is scored, and labels, (N, L) each.

        Labels are where a network is trained to have them: delayed, those before the delay and beyond the end left out.
        """
        here = self.splits[split]
        if self.factor(split) == 1 and not self.delay:
            return self.lines(split)
        return self._tensors(self._noisy(split), replace(here, counts=shifted(here.counts, self.delay)))

    def scored_loss(self, loss: Loss) -> Loss:
        """A loss for the outputs of training lines, (B, 1, L), and the bubbles that are scored of them."""
        return DelayedLoss(loss, self.delay) if self.delay else loss

    def _tensors(self, voltage: Output, lines: Split) -> tuple[Tensor, Tensor]:
        counts = np.array(lines.counts, np.float32)  # a copy: the cache is mapped read-only
        return torch.from_numpy(voltage).to(self.device), torch.from_numpy(counts).to(self.device)

    def training_data(self) -> TrainingData:
        """Training lines for `scored_loss`; with noise, `renew` draws it afresh for a seed of the run."""
        voltage, counts = self.lines("train")
        percent = self.noise.level("train")
        if percent == 0:
            return TrainingData(voltage, counts)
        clean, template = np.array(self.splits["train"].voltage, np.float32), self.template
        on_host = torch.device(self.device).type == "cpu"

        def renew(seed: int) -> Tensor:
            drawn = add_noise(clean, percent, np.random.default_rng(seed))
            noisy = torch.from_numpy(drawn if template is None else compressed(drawn, template))
            return noisy if on_host else noisy.pin_memory()  # only from pinned memory is a copy not waited for

        # With one thread per worker a second one would only take turns with the first.
        return TrainingData(voltage, counts, renew, ahead=not on_host)

    def validate(self, network: nn.Module, loss: Loss, tolerance: int) -> tuple[float, float]:
        """Loss and best mean F1 over thresholds on the validation lines, at one tolerance.

        Raises:
            DivergedError: the output is NaN or infinite.
        """
        voltage, counts = self.lines("validation")
        losses, tables, done = [], [], 0
        for whole in predictions(network, voltage, self.device, self.batch):
            output = whole[:, self.lag("validation") :].contiguous()
            labels = counts[done : done + len(output)]
            done += len(output)
            losses.append(loss(output.unsqueeze(1), labels.unsqueeze(1))[0] * len(output))
            _check_finite(torch.isfinite(output).all())
            tables.append(score(output, labels, (tolerance,), THRESHOLDS))
        return float(torch.stack(losses).sum()) / len(voltage), float(join(tables).mean_f1.max())

    def output(self, network: nn.Module, split: str, progress: Progress | None = None) -> Output:
        """Output of a network on the scored samples of all lines of a split, (N, L - lag) on the host.

        Args:
            network: (N, 1, L) -> (N, 1, L).
            split: which.
            progress: called as progress(lines done, lines in all).
        """
        factor = self.factor(split)
        scoring = network if factor == 1 else at_rate(network, factor, resampled=self.resampled)
        whole = predict(scoring, self.lines(split)[0], self.device, self.batch, progress)
        return np.ascontiguousarray(whole[:, self.lag(split) :])

    def choose(self, output: Output, split: str) -> Choice:
        """Thresholds of the dilation metric for an output on a split, chosen there as published.

        Raises:
            DataError: NaN in the output.
        """
        return choose_thresholds(score(output, self.at_its_rate(split).counts), split)

    def evaluate(self, output: Output, split: str, choice: Choice) -> Evaluation:
        """Scores of an output on a split at frozen thresholds.

        Raises:
            DataError: NaN in the output.
        """
        return evaluate_at(output, self.at_its_rate(split).counts, choice, self.factor(split))

    def scored(self, network: nn.Module, threshold_split: str) -> Scored:
        """Choose a threshold per tolerance on one split, freeze it, score validation, test and those lines.

        Raises:
            DivergedError: the output is NaN or infinite.
        """
        # The lines that chose the thresholds are scored, too: some published numbers are theirs.
        names = dict.fromkeys(("validation", "test", threshold_split))
        outputs = {split: self.output(network, split) for split in names}
        for output in outputs.values():
            _check_finite(np.isfinite(output).all())
        choice = self.choose(outputs[threshold_split], threshold_split)
        splits = {split: self.evaluate(output, split, choice) for split, output in outputs.items()}
        return Scored(choice, outputs, splits)

    def matched(self, scored: Scored) -> dict[str, list[float | None]]:
        """One-to-one scores of the test lines: decoder width and thresholds are chosen on the threshold split.

        Returns:
            Column -> value at each tolerance 0, 1, ...; None where there is no pair. Precision and recall are pooled.
        """
        split = scored.choice.split
        choice = choose_pairs(scored.outputs[split], self.at_its_rate(split), None)
        lines, factor = self.at_its_rate("test"), self.factor("test")
        rows = matched_card(scored.outputs["test"], lines, choice, factor=factor).rows
        found = {name: [float(getattr(row, name)) for row in rows] for name in MATCHED}
        columns = {name: [value if np.isfinite(value) else None for value in each] for name, each in found.items()}
        return columns | {"width": [float(choice.decoder.width)] * len(rows)}

    def curve(self, scored: Scored) -> dict[str, list[Any]]:  # Any: JSON, nested lists of numbers
        """Mean precision, recall and F1 of the test lines at every tolerance and threshold of the published curve.

        Returns:
            `thresholds` (n_thr,), and `precision`, `recall`, `f1` (n_tol, n_thr) at tolerances 0, 1, ...: means over
            lines of the guarded values, to six decimals, which keeps a cell's row in the database small.
        """
        tolerances = moved_tolerances(TOLERANCES, self.factor("test")).tolist()
        table = score(scored.outputs["test"], self.at_its_rate("test").counts, tolerances, CURVE_THRESHOLDS)
        found = precision_recall(table.tp, table.fn, table.fp, CURVE_THRESHOLDS)
        means = {"precision": found.precision, "recall": found.recall, "f1": table.mean_f1}
        return {"thresholds": list(CURVE_THRESHOLDS)} | {
            name: np.round(values, 6).tolist() for name, values in means.items()
        }


def common_line(counts: Counts) -> int:
    """The line whose number of bubbles is the median: a fair example, and the same one for all networks on these lines.

    Args:
        counts: bubbles per sample, (N, L).
    """
    bubbles = np.asarray(counts).sum(axis=1)
    return int(np.argsort(bubbles, kind="stable")[len(bubbles) // 2])


def _check_finite(finite: Any) -> None:  # Any: a truth value of numpy or torch
    if not finite:
        raise DivergedError("the network's output is NaN or infinite")
