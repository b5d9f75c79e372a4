"""One linear filter, trained like the networks: what is left of a network without layers and nonlinearity."""

import math
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from kernbench.conv import convolve
from kernbench.training.batches import TrainingData
from kernbench.training.loop import train
from kernbench.training.settings import Hooks, Settings
from kernbench.ulm.detectors.detector import Setting
from kernbench.ulm.detectors.recording import Recording, conditioned
from kernbench.ulm.evaluation.predict import predictions
from kernbench.ulm.evaluation.workbench import Workbench
from kernbench.ulm.scoring.loss import TrainingLoss

LEVELS = (("none", "none"), ("depth", "line"))  # gain and scale of the two filters that are trained


class LinearFilter(nn.Module):
    """One convolution with bias, reflection padding, K + 1 parameters.

    Args:
        taps: K, odd.
    """

    def __init__(self, taps: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(taps)  # the framework's own start
        self.weight = nn.Parameter(torch.empty(1, 1, taps).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(1).uniform_(-bound, bound))

    def forward(self, signal: Tensor) -> Tensor:
        """Filtered lines, (N, 1, L) -> (N, 1, L); L must be more than (K - 1)/2."""
        reach = (self.weight.shape[-1] - 1) // 2
        return convolve(pad(signal, (reach, reach), mode="reflect"), self.weight) + self.bias


class TrainedFilter:
    """What of a trained filter's output is positive; nothing is fitted but the level of the lines and the thresholds.

    Args:
        taps: of the filter.
        bench: training and validation lines.
        settings: as for the networks.
        loss: as for the networks.
        seed: of start and batch order.
    """

    delays = (0,)

    def __init__(self, taps: int, bench: Workbench, settings: Settings, loss: TrainingLoss, seed: int) -> None:
        self.name = f"fir-{taps}"
        self.parameters = taps + 1
        self._taps, self._bench, self._seed = taps, bench, seed
        self._settings, self._loss = settings, loss
        self._filters: dict[tuple[str, str], LinearFilter] = {}

    def settings(self) -> list[Setting]:
        """Lines as received, or of one level; how it is trained is reported, not fitted."""
        known = self._settings
        training = {"epochs": known.epochs, "rate": known.rate, "update": known.update, "alpha": self._loss.alpha}
        return [{"gain": gain, "scale": scale, **training} for gain, scale in LEVELS]

    def score(self, recording: Recording, setting: Setting) -> Tensor:
        """Positive output, (N, L)."""
        level = setting["gain"], setting["scale"]
        if level not in self._filters:
            self._filters[level] = self._train(*level)
        return _output(self._filters[level], conditioned(recording, *level)).clamp(min=0)

    def _train(self, gain: str, scale: str) -> LinearFilter:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed)
            network = LinearFilter(self._taps).to(self._bench.device)
        data, checked = self._levelled("train", gain, scale), self._levelled("validation", gain, scale)
        # The last weights are the ones that count: one validation pass says whether they are finite.
        hooks = Hooks(
            validate=lambda net: (float(self._loss(_output(net, checked.signal), checked.target)[0]), math.nan)
        )
        settings = replace(self._settings, validate_every=self._settings.epochs)
        train(network, data, self._loss, settings, hooks, order_seed=self._seed)
        return network

    def _levelled(self, split: str, gain: str, scale: str) -> TrainingData:
        """Lines of a split in the level that the filter sees, with fresh noise each epoch for training lines."""
        recording = recording_of(self._bench, split)
        renew = self._bench.training_data().renew if split == "train" else None

        def levelled(voltage: Tensor) -> Tensor:
            return conditioned(replace(recording, voltage=voltage), gain, scale)

        fresh = None if renew is None else lambda seed: levelled(renew(seed))
        return TrainingData(levelled(recording.voltage), recording.counts, fresh)


def recording_of(bench: Workbench, split: str) -> Recording:
    """Lines of a split as a detector sees them."""
    voltage, counts = bench.lines(split)
    return Recording(voltage, counts, torch.from_numpy(bench.splits[split].starts).to(voltage.device))


def _output(network: nn.Module, voltage: Tensor) -> Tensor:
    return torch.cat(list(predictions(network, voltage, str(voltage.device), batch=32)))
