"""What authors of kernel families need again and again: banks of mixed atoms, places, windows, taps, both sides.

Public: a plugin imports these names from here.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from kernbench.kernels.base import KernelModule, KernelSpec, LagGrid

__all__ = ["Bank", "both_sides", "bounded", "ends", "hann", "in_parts", "interpolated", "places", "position", "sides"]

LARGEST_PART = 1 << 22  # numbers: 16 MiB in float32


class Bank(KernelModule):
    """Bank and mix: k[o, i, m] = sum over r of mix[o, i, r] psi_r(m), with R atoms psi at unit energy.

    A subclass calls `super().__init__(spec)`, makes what its atoms need, then calls `draw_mix(R)`, and defines
    `atoms(lags)`. Energies are those on the training grid, whatever grid the atoms are asked for: a kernel is a
    function of the lag. With independent mixing weights of variance 1 / (R fan-in channels) the gain at the start is 1.

    Args:
        spec: channels, kernel size, extent.
    """

    mix: nn.Parameter

    def draw_mix(self, count: int) -> None:
        """Draw the mixing weights of R atoms, (out_channels, in_channels // groups, R), at gain 1."""
        shape = self.spec.shape
        self.mix = nn.Parameter(torch.randn(*shape[:2], count) / math.sqrt(shape[1] * count))

    def atoms(self, lags: Tensor) -> Tensor:
        """The atoms before they are normalized: lags (K,) -> (R, K), in the dtype and on the device of the lags."""
        raise NotImplementedError(f"{type(self).__name__} must define atoms(self, lags)")

    def bank(self, grid: LagGrid) -> Tensor:
        """The atoms at the grid's lags, (R, K), at unit energy on the training grid."""
        found = normal = self.atoms(grid.lags)
        if not grid.is_training_grid(self.spec):
            normal = self.atoms(self.spec.grid(dtype=grid.lags.dtype, device=grid.lags.device).lags)
        energy = normal.square().sum(-1, keepdim=True)
        # an atom that has left the grid is zero there, and stays so instead of becoming infinite
        return found / energy.clamp(min=torch.finfo(found.dtype).tiny ** 0.5).sqrt()

    def forward(self, grid: LagGrid) -> Tensor:
        """The mixture at the grid's lags."""
        return self.mix @ self.bank(grid)

    def scale_(self, factor: float) -> None:
        """Multiply the kernel by a number."""
        self.mix.mul_(factor)


def bounded(logarithm: Tensor, low: float, high: float) -> Tensor:
    """A positive quantity from its learned logarithm, between two bounds.

    The bounds hold before the exponential: after it a logarithm that has run away would give infinite gradients.

    Args:
        logarithm: natural, of any shape.
        low: smallest value, above 0.
        high: largest value.

    Returns:
        Tensor of the same shape; no gradient flows where a bound holds.
    """
    return logarithm.clamp(math.log(low), math.log(high)).exp()


def position(spec: KernelSpec, lags: Tensor) -> Tensor:
    """Where lags lie between the first and the last tap of a kernel: -1 at the first, 1 at the last, 0 for one tap."""
    first, last = ends(spec)
    half = (last - first) / 2 or 1.0
    return (lags - (first + last) / 2) / half


def ends(spec: KernelSpec) -> tuple[float, float]:
    """First and last lag of a kernel [samples]."""
    span = float(spec.dilation * (spec.kernel_size - 1))
    return {"centered": (-span / 2, span / 2), "causal": (-span, 0.0), "anticausal": (0.0, span)}[spec.side]


def places(spec: KernelSpec, count: int) -> Tensor:
    """Places spread evenly over the taps, min(count, K) of them, [samples]; one alone lies in the middle.

    An echo comes 58 to 179 samples after its label, so a sum of shapes that all lie at lag 0 cannot reach it.

    Returns:
        Float64 tensor of shape (min(count, K),).
    """
    count, (first, last) = min(count, spec.kernel_size), ends(spec)
    if count == 1:
        return torch.tensor([(first + last) / 2], dtype=torch.float64)
    return torch.linspace(first, last, count, dtype=torch.float64)


def hann(spec: KernelSpec, lags: Tensor) -> Tensor:
    """A Hann window over the taps that is 0 one tap step beyond the first and the last, (K,): no tap is lost."""
    taps = spec.kernel_size
    return torch.cos(math.pi / 2 * position(spec, lags) * (taps - 1) / (taps + 1)).square()


def interpolated(spec: KernelSpec, taps: Tensor, grid: LagGrid) -> Tensor:
    """Weights that are defined at the training taps alone, at any lag: straight lines between them, 0 outside.

    Args:
        spec: of the kernel.
        taps: (..., K) on the training grid.
        grid: where they are wanted.

    Returns:
        Tensor (..., lags); `taps` itself on the training grid.
    """
    if grid.spacing == 1 and grid.lags.shape[0] == taps.shape[-1]:
        return taps
    at = spec.grid(dtype=grid.lags.dtype, device=grid.lags.device).lags
    distance = (at[:, None] - grid.lags).abs() / spec.dilation
    return taps @ (1 - distance).clamp(min=0)


def both_sides(spec: KernelSpec, grid: LagGrid, half: Callable[[Tensor, int], Tensor]) -> Tensor:
    """A kernel from responses that begin at lag 0 and go one way, one of them for each side that the kernel has.

    Args:
        spec: says which sides there are: two of a centered kernel, one of the others.
        grid: where it is wanted.
        half: called with distances from lag 0, all >= 0, and the number of the side: 0 for lags >= 0 (or the one side
            that there is), 1 for lags < 0; gives (..., distances).

    Returns:
        Tensor (..., K).
    """
    if spec.side != "centered":
        return half(grid.lags.abs(), 0)
    earlier = grid.below(0)
    return torch.cat([half(-grid.lags[:earlier], 1), half(grid.lags[earlier:], 0)], dim=-1)


def sides(spec: KernelSpec) -> int:
    """Number of sides of lag 0 that a kernel has."""
    return 2 if spec.side == "centered" else 1


def in_parts(make: Callable[..., Tensor], numbers: int, *tensors: Tensor) -> Tensor:
    """A kernel made a few rows at a time where all of it would take much memory, each part again in the backward pass.

    Args:
        make: from the same rows of every tensor to these rows of the kernel.
        numbers: in the largest tensor that `make` needs on its way for all rows.
        tensors: of as many rows each, (out_channels, ...).

    Returns:
        Tensor (out_channels, ...): what `make(*tensors)` gives.
    """
    if numbers <= LARGEST_PART:
        return make(*tensors)
    rows = max(1, len(tensors[0]) * LARGEST_PART // numbers)
    parts = zip(*(each.split(rows) for each in tensors), strict=True)
    if not torch.is_grad_enabled():
        return torch.cat([make(*part) for part in parts])
    again = [checkpoint(make, *part, use_reentrant=False, preserve_rng_state=False) for part in parts]
    return torch.cat([torch.as_tensor(each) for each in again])
