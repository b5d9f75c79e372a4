"""The module of network `level_set`."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import kernbench

OPERATIONS = 16  # of `upwind` for each output: 2 differences, 2 signs, 4 maxima, 4 products, 4 sums


def upwind(front: Tensor, speed: Tensor, growth: Tensor) -> Tensor:
    """One Euler step of u_t + v u_x + F |u_x| = 0 at unit steps of time and place; (N, C, L) -> (N, C, L - 2).

    Differences are D- u = u[t] - u[t - 1] and D+ u = u[t + 1] - u[t]. v u_x is max(v, 0) D- u + min(v, 0) D+ u, and
    F |u_x| is Godunov's max(F, 0) max(D- u, -D+ u, 0) + min(F, 0) max(D+ u, -D- u, 0). With |v| + |F| <= 1 each output
    lies between the three inputs around it. v = 1 moves all by one sample to later ones; F = -1 takes the maximum of
    three neighbours, F = 1 the minimum, so that a front moves by one sample.

    Args:
        front: u, (N, C, L).
        speed: v [samples per step], (C, 1).
        growth: F [samples per step], (C, 1).
    """
    left, middle, right = front[..., :-2], front[..., 1:-1], front[..., 2:]
    back, ahead = middle - left, right - middle
    carried = speed.clamp(min=0) * back + speed.clamp(max=0) * ahead
    shrunk = growth.clamp(min=0) * functional.relu(torch.maximum(back, -ahead))
    grown = growth.clamp(max=0) * functional.relu(torch.maximum(ahead, -back))
    return middle - carried - (shrunk + grown)


class LevelSetNetwork(kernbench.networks.Network):
    """Level-set blocks in a row: lines (N, 1, L) -> scores (N, 1, L).

    Args:
        layers: one of each block.
        pad: samples of reflection on each side.
        field: input samples that can reach one output sample.
        steps: Euler steps of each block.
    """

    def __init__(self, layers: Sequence[Any], pad: int, field: int, steps: int) -> None:
        super().__init__(layers, pad, field)
        self.steps = steps
        self.blocks = nn.ModuleList(EulerBlock(layer, steps) for layer in layers)

    def other_operations(self, length: int) -> int:
        """Operations of the steps of one line of a length [samples]."""
        total = 0
        for layer in reversed(self.kernel_layers()):  # each step gives two samples less than it takes
            total += OPERATIONS * layer.spec.out_channels * sum(length + 2 * left for left in range(self.steps))
            length += 2 * self.steps + layer.spec.dilation * (layer.spec.kernel_size - 1)
        return total


class EulerBlock(nn.Module):
    """A layer and the steps after it: (N, C', L) -> (N, C, L - d (K - 1) - 2 T).

    Args:
        layer: makes u.
        steps: T.

    Attributes:
        speeds: v and F of each step before they are bounded, (T, 2, C, 1).
    """

    def __init__(self, layer: Any, steps: int) -> None:
        super().__init__()
        channels = layer.spec.out_channels
        self.layer = layer
        self.norm = nn.BatchNorm1d(channels)
        self.speeds = nn.Parameter(torch.empty(steps, 2, channels, 1).uniform_(-0.25, 0.25))

    def bounded(self) -> Tensor:
        """V and F as they are used, (T, 2, C, 1): |v| + |F| <= 1."""
        return self.speeds / self.speeds.abs().sum(dim=1, keepdim=True).clamp(min=1)

    def forward(self, hidden: Tensor) -> Tensor:
        """Convolve, normalize, take the steps; what is below the level 0 is cut off."""
        front = self.norm(self.layer(hidden))
        for speed, growth in self.bounded():
            front = upwind(front, speed, growth)
        return functional.relu(front)
