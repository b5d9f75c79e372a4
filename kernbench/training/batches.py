"""Training lines and their batches, on the device or on their way there."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from kernbench.training.prefetch import Prefetch
from kernbench.training.settings import Settings


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Training lines on the device.

    Attributes:
        signal: (N, L) float32, what the network sees.
        target: (N, L) float32, what the loss compares its output with.
        renew: None, or a function of a seed that gives the signal with fresh noise for one epoch, on any device.
        ahead: make the noise of the next epoch in a thread, while the device is busy with this one.
    """

    signal: Tensor
    target: Tensor
    renew: Callable[[int], Tensor] | None = None
    ahead: bool = False


class Lines:
    """Training lines, epoch by epoch: the order of the batches, and fresh noise where there is noise.

    Args:
        data: see TrainingData.
        settings: of the run.
    """

    def __init__(self, data: TrainingData, settings: Settings) -> None:
        self.data, self._settings = data, settings
        self._ahead = Prefetch(data.renew) if data.renew is not None and data.ahead else None

    def draw(self, generator: torch.Generator, epoch: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Signal (N, L) of one epoch, and the lines of each of its batches, both on the device of the target.

        Args:
            generator: of the run; the seed of the noise and the order are drawn from it.
            epoch: which; after the last one nothing is made ahead.
        """
        device = self.data.target.device
        seed = _noise_seed(generator) if self.data.renew is not None else None
        order = torch.randperm(len(self.data.target), generator=generator)
        signal = self.data.signal if seed is None else self._noisy(seed, generator, epoch)
        # one copy of the whole order, not one per batch: each of those would wait for the device
        batches = order.to(device, non_blocking=True).split(self._settings.batch_size)
        return signal.to(device, non_blocking=True), batches

    def _noisy(self, seed: int, generator: torch.Generator, epoch: int) -> Tensor:
        assert self.data.renew is not None
        if self._ahead is None:
            return self.data.renew(seed)
        last = epoch + 1 >= self._settings.epochs
        return self._ahead.take(seed, None if last else _noise_seed(_copy_of(generator)))

    def close(self) -> None:
        """Drop what was made ahead."""
        if self._ahead is not None:
            self._ahead.close()


def _noise_seed(generator: torch.Generator) -> int:
    return int(torch.randint(2**31 - 1, (), generator=generator))


def _copy_of(generator: torch.Generator) -> torch.Generator:
    copy = torch.Generator()
    copy.set_state(generator.get_state())
    return copy
