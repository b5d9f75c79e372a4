"""What every detector offers, and how dense scores become sparse."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, Protocol

import torch
from torch import Tensor

from kernbench.ulm.detectors.recording import Recording
from kernbench.ulm.pairing.decoders import Decoder, decode

Setting = Mapping[str, Any]  # numbers and names


class Detector(Protocol):
    """A detector with settings to choose from.

    Attributes:
        name: as in `METHODS`.
        parameters: trained numbers.
        delays: delays to try [samples]; (0,) where the score needs none.
    """

    @property
    def name(self) -> str: ...  # noqa: D102  described above, as the next two
    @property
    def parameters(self) -> int: ...  # noqa: D102
    @property
    def delays(self) -> Sequence[int]: ...  # noqa: D102

    def settings(self) -> Sequence[Setting]:
        """Everything that may be fitted, in the order that breaks ties."""

    def score(self, recording: Recording, setting: Setting) -> Tensor:
        """Score z >= 0, (N, L), not yet delayed."""


def combinations(**choices: Sequence[float | str]) -> list[Setting]:
    """Every combination of the values of some settings, the last one changing fastest."""
    return [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]


def only_peaks(score: Tensor) -> Tensor:
    """The score at its local maxima above 0, and 0 elsewhere: of a plateau its centre; same shape (N, L)."""
    found = decode(score, 0.0, Decoder("peak-nms", 0))
    sparse = torch.zeros_like(score)
    line, sample = (torch.from_numpy(each).to(score.device) for each in (found.points.line, found.points.sample))
    sparse[line, sample.long()] = torch.from_numpy(found.score).to(score)
    return sparse
