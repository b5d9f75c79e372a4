"""Taps between and beyond those of training, by a filter, whatever family they are of."""

import math

import torch
from torch import Tensor

from kernbench.kernels.base import LagGrid

CROSSINGS = 12  # zeros of the sinc on each side
BETA = 8.0  # of the Kaiser window: ripple and aliases below 1e-4


def filter_reach(spacing: float) -> int:
    """Taps on each side by which a kernel grows when it passes the filter.

    Args:
        spacing: tap step of the wanted grid over that of training.
    """
    return math.ceil(CROSSINGS * max(1.0, spacing) / spacing)


def filter_weights(trained: LagGrid, wanted: LagGrid, before: int = 0, after: int = 0) -> Tensor:
    """What each training tap adds to the taps of another grid: `taps @ weights` are these.

    The taps are read as samples of a function that has no frequency above the Nyquist frequency of the wider of the two
    tap steps (Shannon 1949, "Communication in the presence of noise"), with a sinc under a Kaiser window: of what lies
    more than a fifth above that frequency less than 1e-3 is left. A finer grid keeps the training taps; a coarser one
    folds nothing else. Beyond the ends of the training taps there are zeros.

    Args:
        trained: (K,) lags of training.
        wanted: (T,) lags of the same kernel.
        before: further taps below those lags, see `filter_reach`.
        after: the same above them.

    Returns:
        Weights (K, before + T + after), float64 on the CPU.
    """
    at, lags = (grid.lags.cpu().double() for grid in (trained, wanted))
    step = wanted.spacing * trained.dilation
    below, above = (step * torch.arange(1, count + 1, dtype=torch.float64) for count in (before, after))
    lags = torch.cat([lags[0] - below.flip(0), lags, lags[-1] + above])
    steps = (at[:, None] - lags) / trained.dilation
    wider = max(1.0, wanted.spacing)
    place = steps / (CROSSINGS * wider)
    inside = (1 - place.square()).clamp(min=0)
    window = torch.special.i0(BETA * inside.sqrt()) / torch.special.i0(torch.tensor(BETA, dtype=torch.float64))
    weights: Tensor = torch.sinc(steps / wider) / wider * window * (place.abs() <= 1)
    return weights
