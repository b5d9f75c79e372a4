"""Taps between and beyond those of training, by a filter, whatever family they are of."""

import torch
from torch import Tensor

from kernbench.kernels.base import LagGrid

CROSSINGS = 12  # zeros of the sinc on each side
BETA = 8.0  # of the Kaiser window: ripple and aliases below 1e-4


def filter_weights(trained: LagGrid, wanted: LagGrid) -> Tensor:
    """What each training tap adds to the taps of another grid: `taps @ weights` are these.

    The taps are read as samples of a function that has no frequency above the Nyquist frequency of the wider of the two
    tap steps (Shannon 1949, "Communication in the presence of noise"), with a sinc under a Kaiser window. A finer grid
    keeps the training taps; a coarser one folds nothing that the window stops. Beyond the ends the taps are 0, and what
    the filter puts there is left out.

    Args:
        trained: (K,) lags of training.
        wanted: (T,) lags of the same kernel.

    Returns:
        Weights (K, T), in the type and on the device of the lags.
    """
    at, lags = (grid.lags.double().cpu() for grid in (trained, wanted))
    steps = (at[:, None] - lags) / trained.dilation
    wider = max(1.0, wanted.spacing)
    place = steps / (CROSSINGS * wider)
    inside = (1 - place.square()).clamp(min=0)
    window = torch.special.i0(BETA * inside.sqrt()) / torch.special.i0(torch.tensor(BETA, dtype=torch.float64))
    weights: Tensor = torch.sinc(steps / wider) / wider * window * (place.abs() <= 1)
    return weights.to(wanted.lags)
