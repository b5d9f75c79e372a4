"""The one way from lines to the output of a network: batch by batch, without a graph."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kernbench.networks.network import lines_at_once

Output = NDArray[np.float32]
Progress = Callable[[int, int], None]


def predictions(network: nn.Module, voltage: Tensor, device: str = "cpu", batch: int | None = None) -> Iterator[Tensor]:
    """Outputs of a network on lines, batch by batch, (B, L) each, on the device.

    Args:
        network: (B, 1, L) -> (B, 1, L); moved to the device, put into evaluation mode.
        voltage: (N, L), on any device.
        device: where to run.
        batch: lines per forward pass; left out, what suits the device. Another number may change the last bit.
    """
    network.to(device).eval()
    together = batch or lines_at_once(network, voltage.shape[1], device)
    for lines in voltage.split(together):
        with torch.no_grad():
            output = network(lines.to(device).unsqueeze(1)).squeeze(1)
        yield output


def predict(
    network: nn.Module,
    voltage: Tensor,
    device: str = "cpu",
    batch: int | None = None,
    progress: Progress | None = None,
) -> Output:
    """Output of a network on lines, (N, L) on the host; see `predictions`.

    Args:
        network: (B, 1, L) -> (B, 1, L).
        voltage: (N, L).
        device: where to run.
        batch: lines per forward pass.
        progress: called as progress(lines done, lines in all).
    """
    output = np.empty(tuple(voltage.shape), np.float32)
    done = 0
    for part in predictions(network, voltage, device, batch):
        output[done : done + len(part)] = part.cpu().numpy()
        done += len(part)
        if progress is not None:
            progress(done, len(output))
    return output
