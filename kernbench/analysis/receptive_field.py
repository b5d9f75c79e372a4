"""The receptive field of a network as it is used: how strongly each input sample moves an output sample.

Source: Luo, Li, Urtasun, Zemel (2016), Understanding the effective receptive field in deep convolutional neural
networks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kernbench.errors import KernbenchError

Floats = NDArray[np.float64]

LINES_AT_ONCE = 16
SAMPLES_AT_ONCE = 2**16  # of all lines of a pass, where one line is not longer: a deep network keeps gigabytes of more
MARGIN = 16  # samples of a line that are kept on both sides of the reach, to see whether they move the output


@dataclass(frozen=True, eq=False)
class Field:
    """Mean size of the gradient of an output sample, by the lag of the input sample.

    Attributes:
        lags: input sample minus output sample, ascending, (S,); positive ones come later in the line.
        mass: share of the gradient at each lag, (S,); it sums to 1, and is 0 everywhere for a constant output.
        outside: size of the gradient beyond the given reach, over that within it; 0 but for rounding of an FFT, unless
            the network reaches farther than it is said to.
    """

    lags: NDArray[np.int64]
    mass: Floats
    outside: float

    @property
    def centre(self) -> float:
        """Mean lag [samples]; NaN for a constant output."""
        return float(self.lags @ self.mass) if self.mass.any() else float("nan")

    @property
    def peak(self) -> int | None:
        """Lag of the largest gradient [samples]; None for a constant output."""
        return int(self.lags[np.argmax(self.mass)]) if self.mass.any() else None

    def width(self, share: float) -> float:
        """Samples of the smallest interval around the sample nearest to the centre that holds a share of the gradient.

        It reaches equally far to both sides, but not beyond the lags: so it is never longer than the reach.

        Args:
            share: between 0 and 1.

        Returns:
            Number of samples; NaN for a constant output.
        """
        if not self.mass.any():
            return float("nan")
        distance = np.abs(self.lags - round(self.centre))
        held = np.bincount(distance, self.mass)
        # rounding may keep the sum below 1
        half = np.searchsorted(np.cumsum(held), share * min(1.0, held.sum()) * (1 - 1e-12))
        return float(np.sum(distance <= half))


def measured_field(
    network: nn.Module,
    lines: Tensor,
    reach: tuple[int, int],
    positions: int = 1,
    seed: int = 0,
    whole: bool = False,
) -> Field:
    """Mean over lines and output positions of |d output[t] / d input[t + lag]|, in evaluation mode.

    Positions are drawn at random, where no sample of the reach lies beyond an end of the line, and each line is cut to
    the reach of its position and 16 samples more on both sides, as far as the line has them. If the line is shorter
    than the reach, the whole line is taken and its middle, and what a network mirrors at its ends is counted where it
    lies in the line.

    Args:
        network: (N, 1, L) -> (N, 1, L); its mode and its parameters are as before afterwards.
        lines: (N, L).
        reach: samples before and behind an output sample that can move it, from the layers.
        positions: of each line.
        seed: of the positions.
        whole: cut no line, as for a network that does other things with a part of it than with all of it.

    Returns:
        Lags from -reach[0] to reach[1].

    Raises:
        KernbenchError: no lines, no positions, or an output that is not finite.
    """
    before, behind = reach
    if lines.ndim != 2 or not len(lines) or positions < 1 or min(reach) < 0:
        raise KernbenchError(
            f"a field needs lines (N, L), one position or more and a reach >= 0, got {tuple(lines.shape)}, {positions} "
            f"and {reach}"
        )
    total, outside = np.zeros(before + behind + 1), 0.0
    span = lines.shape[1] if whole else before + behind + 1
    at_once = max(1, min(LINES_AT_ONCE, SAMPLES_AT_ONCE // span))
    generator, training = np.random.default_rng(seed), network.training
    network.eval()
    try:
        for start in range(0, len(lines), at_once):
            part = lines[start : start + at_once]
            for _ in range(positions):
                pieces, places = _pieces(part, reach, generator, whole)
                gradient = _gradient(network, pieces, places)
                inside, beyond = _by_lag(gradient, places, before, behind)
                total += inside
                outside += beyond
    finally:
        network.train(training)
    if not np.isfinite(total).all():
        raise KernbenchError("a field needs finite gradients; this network has NaN or infinity")
    size = total.sum()
    return Field(
        np.arange(-before, behind + 1), total / size if size else total, float(outside / size) if size else 0.0
    )


def _pieces(
    lines: Tensor, reach: tuple[int, int], generator: np.random.Generator, whole: bool
) -> tuple[Tensor, list[int]]:
    """Each line around a position of its own, (N, 1, S); and where the position is in it."""
    (before, behind), length = reach, lines.shape[1]
    if length < before + behind + 1:
        return lines[:, None], [length // 2] * len(lines)
    places = generator.integers(before, length - behind, len(lines))
    size = length if whole else min(length, before + behind + 1 + 2 * MARGIN)
    starts = np.clip(places - before - MARGIN, 0, length - size)
    cut = [line[start : start + size] for line, start in zip(lines, starts.tolist(), strict=True)]
    return torch.stack(cut)[:, None], (places - starts).tolist()


def _gradient(network: nn.Module, pieces: Tensor, places: Sequence[int]) -> Floats:
    """Size of the gradient of one output sample of each line, (N, L)."""
    signal = pieces.detach().clone().requires_grad_()
    with torch.enable_grad():
        output = network(signal)
        picked = output[torch.arange(len(places)), 0, torch.as_tensor(places)].sum()
        (gradient,) = torch.autograd.grad(picked, signal)
    return np.asarray(gradient[:, 0].abs().double().cpu().numpy())


def _by_lag(gradient: Floats, places: Sequence[int], before: int, behind: int) -> tuple[Floats, float]:
    """Sum over lines by lag, (before + 1 + behind,), and of all that lies beyond."""
    inside, outside = np.zeros(before + behind + 1), 0.0
    for row, place in zip(gradient, places, strict=True):
        first, last = max(0, place - before), min(len(row), place + behind + 1)
        inside[first - place + before : last - place + before] += row[first:last]
        outside += float(row[:first].sum() + row[last:].sum())  # no difference of sums, which would be rounding
    return inside, outside
