"""Textbook kernel shapes as functions of lag and width; each is one line of mathematics and not yet normalized.

Offsets m and widths are in samples; both may be tensors that broadcast against each other.
"""

import torch
from torch import Tensor


def gaussian(m: Tensor, sigma: Tensor) -> Tensor:
    """exp(-m^2 / 2 sigma^2)."""
    return torch.exp(-0.5 * (m / sigma) ** 2)


def laplacian(m: Tensor, b: Tensor) -> Tensor:
    """exp(-|m| / b), a first-order smoother run forward and backward; not the Laplacian operator.

    With a = exp(-1/b), sampled at all integers and divided by (1 + a) / (1 - a), its response at w radians per
    sample is (1 - a)^2 / (1 - 2 a cos w + a^2).
    """
    return torch.exp(-m.abs() / b)


def laplacian_of_gaussian(m: Tensor, sigma: Tensor, taps: Tensor) -> Tensor:
    """(m^2 / sigma^2 - c) exp(-m^2 / 2 sigma^2): second derivative of a Gaussian, the Ricker wavelet up to sign.

    Args:
        m: offsets at which it is wanted.
        sigma: width.
        taps: offsets of the training grid. c makes the sum over these exactly 0; it is 1 in the continuum, and
            differs where the grid cuts the kernel or sigma is below a sample. A constant subtracted instead would
            leave a pedestal over all of the grid.
    """
    weight = gaussian(taps, sigma)
    centre = ((taps / sigma) ** 2 * weight).sum(-1, keepdim=True) / weight.sum(-1, keepdim=True)
    return ((m / sigma) ** 2 - centre) * gaussian(m, sigma)
