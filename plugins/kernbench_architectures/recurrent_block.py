"""The module of network `recurrent`."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import kernbench
from kernbench_architectures.cropping import cropped


class RecurrentNetwork(kernbench.networks.Network):
    """Recurrent blocks in a row: lines (N, 1, L) -> scores (N, 1, L).

    Args:
        layers: f and r of each block in turn; f alone without steps.
        pad: samples of reflection on each side.
        field: input samples that can reach one output sample.
        steps: uses of r in each block.
    """

    def __init__(self, layers: Sequence[Any], pad: int, field: int, steps: int) -> None:
        super().__init__(layers, pad, field)
        each = 2 if steps else 1
        blocks = [layers[first : first + each] for first in range(0, len(layers), each)]
        self.blocks = nn.ModuleList(RecurrentBlock(*block, steps=steps) for block in blocks)


class RecurrentBlock(nn.Module):
    """z_0 = s(f * u), z_t = s(f * u + r * z_{t-1}): (N, C', L) -> (N, C, L - d (K_f - 1) - T d (K_r - 1)).

    Each step has statistics of its own in its BatchNorm, as z_0 and z_3 are spread differently; factor and summand are
    shared, so that steps cost no parameters. Source: Cooijmans et al. (2017), "Recurrent batch normalization".

    Args:
        drive: f.
        again: r; None without steps.
        steps: T.
    """

    def __init__(self, drive: Any, again: Any = None, *, steps: int) -> None:
        super().__init__()
        self.drive = drive
        self.again = again
        self.norms = nn.ModuleList(nn.BatchNorm1d(drive.spec.out_channels) for _ in range(steps + 1))
        first, *others = self.norms
        for norm in others:
            norm.weight, norm.bias = first.weight, first.bias

    def forward(self, hidden: Tensor) -> Tensor:
        """All steps; f * u is computed once, and each kernel made once."""
        driven = self.drive(hidden)
        first, *others = self.norms
        state = functional.relu(first(driven))
        if others:
            with self.again.made_once():
                for norm in others:
                    back = self.again(state)
                    state = functional.relu(norm(cropped(driven, back.shape[-1]) + back))
        return torch.as_tensor(state)
