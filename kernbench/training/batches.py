"""Training lines and their batches, on the device or on their way there."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from kernbench.training.settings import Settings


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Training lines on the device.

    Attributes:
        signal: (N, L) float32, what the network sees.
        target: (N, L) float32, what the loss compares its output with.
        renew: None, or a function of a seed, and of nothing else, that gives the signal with fresh noise for one
            epoch, on any device.
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
        self._thread = ThreadPoolExecutor(1, "kernbench-prefetch") if data.renew is not None and data.ahead else None
        self._next: tuple[int, Future[Tensor]] | None = None  # seed and noisy lines of the next epoch

    def draw(self, generator: torch.Generator, epoch: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Signal (N, L) of one epoch, and the lines of each of its batches, both on the device of the target.

        Args:
            generator: of the run; the seed of the noise and the order are drawn from it.
            epoch: which; after the last one nothing is made ahead.
        """
        device = self.data.target.device
        seed = _noise_seed(generator) if self.data.renew is not None else None
        order = torch.randperm(len(self.data.target), generator=generator)
        signal = self.data.signal
        if self.data.renew is not None and seed is not None:
            signal = self._next[1].result() if self._next and self._next[0] == seed else self.data.renew(seed)
            self._next = None
            if self._thread is not None and epoch + 1 < self._settings.epochs:
                following = _noise_seed(generator.clone_state())
                self._next = following, self._thread.submit(self.data.renew, following)
        # one copy of the complete order, not one per batch: each of those would wait for the device
        batches = order.to(device, non_blocking=True).split(self._settings.batch_size)
        return signal.to(device, non_blocking=True), batches

    def close(self) -> None:
        """Drop what was made ahead."""
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)


def _noise_seed(generator: torch.Generator) -> int:
    return int(torch.randint(2**31 - 1, (), generator=generator))
