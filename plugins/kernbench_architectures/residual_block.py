"""The module of network `ckblock`."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import kernbench
from kernbench_architectures.cropping import cropped


class ResidualNetwork(kernbench.networks.Network):
    """Residual blocks in a row: lines (N, 1, L) -> scores (N, 1, L).

    Args:
        layers: two of each block in turn.
        pad: samples of reflection on each side.
        field: input samples that can reach one output sample.
        dropout: share of the values that training sets to 0.
    """

    def __init__(self, layers: Sequence[Any], pad: int, field: int, dropout: float) -> None:
        super().__init__(layers, pad, field)
        pairs = zip(layers[::2], layers[1::2], strict=True)
        self.blocks = nn.ModuleList(ResidualBlock(*pair, dropout=dropout) for pair in pairs)


class ResidualBlock(nn.Module):
    """Two layers and what goes past them: (N, C', L) -> (N, C, L - d_1 (K_1 - 1) - d_2 (K_2 - 1)).

    Args:
        first: layer of C' channels to C.
        second: of C channels to C.
        dropout: share of the values that training sets to 0 after each of them.
    """

    def __init__(self, first: Any, second: Any, *, dropout: float) -> None:
        super().__init__()
        given, channels = first.spec.in_channels, second.spec.out_channels
        self.first = first
        self.first_norm = nn.BatchNorm1d(channels)
        self.second = second
        self.second_norm = nn.BatchNorm1d(channels)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()  # which draws no random number
        self.past = nn.Identity() if given == channels else nn.Conv1d(given, channels, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        """Both layers, and the middle of what they took."""
        inner = self.dropout(functional.relu(self.first_norm(self.first(hidden))))
        inner = self.dropout(functional.relu(self.second_norm(self.second(inner))))
        return torch.as_tensor(functional.relu(inner + self.past(cropped(hidden, inner.shape[-1]))))
