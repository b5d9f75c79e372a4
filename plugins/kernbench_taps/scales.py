"""Few weights for many taps: scales that double, tap groups whose step doubles, a tree of wavelet filters."""

import math

import torch
from torch import Tensor, nn

import kernbench
from kernbench.kernels.building_blocks import Bank, both_sides, interpolated, sides


class MultiScale(kernbench.KernelModule):
    """SGConv: from lag 0 outwards d-point vectors, each stretched twice as far as the last and half as large.

    Scale s covers d 2^max(0, s - 1) taps, linearly stretched with half-pixel centres, times decay^-s; S scales, as
    many as reach the last tap; of each side of lag 0 its own. Divided by the norm at the start.

    Args:
        spec: channels, kernel size, extent.
        points: d.
        decay: from one scale to the next.
    """

    norm: Tensor

    def __init__(self, spec: kernbench.KernelSpec, points: int = 16, decay: float = 2.0) -> None:
        super().__init__(spec)
        self.points, self.decay = points, decay
        count = _scales(spec, points)
        self.weight = nn.Parameter(torch.randn(sides(spec), count, *spec.shape[:2], points))
        self.register_buffer("norm", torch.ones(()))
        with torch.no_grad():
            energy = self.forward(spec.grid()).square().sum((1, 2)).mean()
            self.norm.copy_(energy.sqrt())

    def forward(self, grid: kernbench.LagGrid) -> Tensor:
        """The stretched vectors at the grid's lags."""
        return both_sides(self.spec, grid, self._half) / self.norm.to(grid.lags.dtype)

    def _half(self, distance: Tensor, side: int) -> Tensor:
        """One side at distances from lag 0, (out_channels, in_channels // groups, distances)."""
        step = distance / self.spec.dilation
        if side == 1:
            step = step - 1  # the first tap before lag 0 is the first of its side
        starts = _starts(self.weight.shape[1], self.points)
        # no mask: its number of places would have to be waited for on a GPU
        scale = sum(((step >= start).long() for start in starts[1:]), torch.zeros_like(step, dtype=torch.long))
        stretch = torch.ones_like(scale) << (scale - 1).clamp(min=0)
        start = torch.where(scale > 0, self.points * stretch, 0)
        at = ((step - start + 0.5) / stretch - 0.5).clamp(0, self.points - 1)
        low = at.floor().clamp(max=max(self.points - 2, 0)).long()
        following = (low + 1).clamp(max=self.points - 1)
        vectors = self.weight[side].to(step.dtype).movedim(0, -2).flatten(-2)
        between = torch.lerp(
            vectors[..., scale * self.points + low], vectors[..., scale * self.points + following], at - low
        )
        return between * self._heights(step, starts)

    def _heights(self, step: Tensor, starts: list[int]) -> Tensor:
        """decay^-scale at each place, 0 beyond the last scale."""
        height = torch.ones_like(step)
        for scale, start in enumerate(starts):
            height = torch.where(step >= start, self.decay**-scale, height)
        return torch.where(step < _end(len(starts), self.points), height, 0)

    def scale_(self, factor: float) -> None:
        """Multiply the kernel by a number."""
        self.weight.mul_(factor)

    @staticmethod
    def param_count(spec: kernbench.KernelSpec, points: int = 16, **_: object) -> int:
        """P d S of each side."""
        return spec.pairs * points * _scales(spec, points) * sides(spec)

    @staticmethod
    def kernel_flops(spec: kernbench.KernelSpec, **_: object) -> int:
        """4 K P: a line between two points, times its scale."""
        return 4 * spec.kernel_size * spec.pairs


def _reach(spec: kernbench.KernelSpec) -> int:
    """Taps of the longer side of lag 0."""
    return spec.kernel_size - spec.kernel_size // 2 if spec.side == "centered" else spec.kernel_size


def _scales(spec: kernbench.KernelSpec, points: int) -> int:
    return 1 + max(0, math.ceil(math.log2(_reach(spec) / points)))


def _starts(count: int, points: int) -> list[int]:
    """First tap of each scale: 0, d, 2 d, 4 d, ..; the steps between its points are 1, 1, 2, 4, .. taps."""
    return [0, *(points << scale for scale in range(count - 1))]


def _end(count: int, points: int) -> int:
    """The tap after the last of so many scales."""
    return points << (count - 1)


class MultiResolution(Bank):
    """Free taps in groups: group i has `taps` of them 2^i tap steps apart, around the middle, as far as they fit.

    A sum of dilated kernels without the normalization layers that the published blocks have between them, so it is
    one linear kernel from the start.

    Args:
        spec: channels, kernel size, extent.
        taps: of a group.
    """

    fixed: Tensor

    def __init__(self, spec: kernbench.KernelSpec, taps: int = 9) -> None:
        super().__init__(spec)
        index = torch.tensor([place for group in _groups(spec, taps) for place in group])
        self.register_buffer("fixed", nn.functional.one_hot(index, spec.kernel_size).to(torch.get_default_dtype()))
        self.draw_mix(len(index))

    def bank(self, grid: kernbench.LagGrid) -> Tensor:
        """One tap each; straight lines between taps."""
        return interpolated(self.spec, self.fixed.to(grid.lags.dtype), grid)

    @staticmethod
    def param_count(spec: kernbench.KernelSpec, taps: int = 9) -> int:
        """P times the taps of all groups."""
        return spec.pairs * sum(map(len, _groups(spec, taps)))

    @staticmethod
    def kernel_flops(spec: kernbench.KernelSpec, taps: int = 9) -> int:
        """2 K R P: the mixing."""
        return 2 * spec.kernel_size * spec.pairs * sum(map(len, _groups(spec, taps)))


def _groups(spec: kernbench.KernelSpec, taps: int) -> list[list[int]]:
    """Indices of the taps of every group; a group has two or more, but the first may be the only tap."""
    middle, step = (spec.kernel_size - 1) // 2, 1
    found: list[list[int]] = []
    while True:
        group = [middle + step * (j - taps // 2) for j in range(taps)]
        inside = [place for place in group if 0 <= place < spec.kernel_size]
        if found and len(inside) < 2:
            return found
        found.append(inside)
        step *= 2


class WaveletTree(Bank):
    """MultiresConv: k = sum over levels of w_j psi_j, psi_j the impulse responses of a tree of two learned filters.

    hi_j = h1 (dilated 2^j) * lo_j and lo_(j + 1) = h0 (dilated 2^j) * lo_j from lo_0 = an impulse; the last lo and the
    impulse itself are mixed in, too. The tree looks one way; its responses lie in the middle of the taps.

    Args:
        spec: channels, kernel size, extent.
        taps: q, of each filter; lowered to K.
    """

    def __init__(self, spec: kernbench.KernelSpec, taps: int = 4) -> None:
        super().__init__(spec)
        if spec.kernel_size < 2:
            raise kernbench.KernbenchError(f"WaveletTree needs at least 2 taps, got K = {spec.kernel_size}")
        taps = min(taps, spec.kernel_size)
        self.low = nn.Parameter(torch.empty(taps).uniform_(-1, 1) / math.sqrt(taps))
        self.high = nn.Parameter(torch.empty(taps).uniform_(-1, 1) / math.sqrt(taps))
        self.levels = _levels(spec, taps)
        self.draw_mix(self.levels + 2)

    def bank(self, grid: kernbench.LagGrid) -> Tensor:
        """The responses of the tree at unit energy; straight lines between taps."""
        rows = self.responses().to(grid.lags.dtype)
        rows = rows / rows.norm(dim=-1, keepdim=True).clamp(min=1e-12)
        left = (self.spec.kernel_size - rows.shape[-1]) // 2
        right = self.spec.kernel_size - rows.shape[-1] - left
        return interpolated(self.spec, nn.functional.pad(rows, (left, right)), grid)

    def responses(self) -> Tensor:
        """Impulse responses, hi_0 .. hi_(J - 1), lo_J and the impulse: (J + 2, 1 + (q - 1)(2^J - 1))."""
        reach = 1 + (len(self.low) - 1) * (2**self.levels - 1)
        low = nn.functional.pad(self.low.new_ones(1), (0, reach - 1))
        found = []
        impulse = low
        for level in range(self.levels):
            found.append(_dilated(low, self.high, 2**level))
            low = _dilated(low, self.low, 2**level)
        return torch.stack([*found, low, impulse])

    @staticmethod
    def param_count(spec: kernbench.KernelSpec, taps: int = 4) -> int:
        """2 q + (J + 2) P."""
        return 2 * min(taps, spec.kernel_size) + (_levels(spec, taps) + 2) * spec.pairs

    @staticmethod
    def kernel_flops(spec: kernbench.KernelSpec, taps: int = 4) -> int:
        """2 K (J + 2) P: the mixing."""
        return 2 * spec.kernel_size * (_levels(spec, taps) + 2) * spec.pairs


def _levels(spec: kernbench.KernelSpec, taps: int) -> int:
    """J: as many as fit, one at least."""
    return int(math.log2((spec.kernel_size - 1) / max(min(taps, spec.kernel_size) - 1, 1) + 1))


def _dilated(signal: Tensor, weight: Tensor, step: int) -> Tensor:
    """Causal convolution of a signal with taps `step` apart, cut to its length."""
    total = torch.zeros_like(signal)
    for j in range(len(weight)):
        shift = j * step
        total = total + weight[j] * nn.functional.pad(signal, (shift, 0))[: len(signal)]
    return total
