"""Networks of features of the lag: random Fourier features, Hyena's windowed sines, Toeplitz's decayed index."""

import itertools
import math
from typing import cast

import torch
from torch import Tensor, nn

import kernbench
from kernbench.kernels.building_blocks import both_sides, sides
from kernbench_implicit.network import Affine, KernelNetwork, affine_count, affine_flops


class RandomFourier(KernelNetwork):
    """MLP with ReLU of cos(W t + b) and sin(W t + b), W ~ N(0, (2 pi w0)^2) and b fixed unless `learned`.

    Args:
        spec: channels, kernel size, extent.
        bandwidth: w0, cycles per extent.
        features: width h of features and hidden layer; even.
        learned: whether W and b learn.
    """

    frequency: Tensor
    phase: Tensor

    def __init__(
        self, spec: kernbench.KernelSpec, bandwidth: float = 4.0, features: int = 32, learned: bool = False
    ) -> None:
        super().__init__(spec)
        count = features // 2
        start = {
            "frequency": 2 * math.pi * bandwidth * torch.randn(count, 1),
            "phase": 2 * math.pi * torch.rand(count, 1),
        }
        for name, value in start.items():
            if learned:
                setattr(self, name, nn.Parameter(value))
            else:
                self.register_buffer(name, value)
        self.middle = Affine(2 * count, 2 * count, math.sqrt(6 / (2 * count)))
        self.finish(2 * count)

    def hidden(self, position: Tensor) -> Tensor:
        """The hidden layer."""
        angle = self.frequency.to(position.dtype) * position + self.phase.to(position.dtype)
        return torch.relu(self.middle(torch.cat([angle.cos(), angle.sin()])))

    @staticmethod
    def param_count(spec: kernbench.KernelSpec, features: int = 32, learned: bool = False, **_: object) -> int:
        """h^2 + h + (h + 1) P, and h if the features learn."""
        width = features // 2 * 2
        return affine_count((width, width, spec.pairs)) + (width if learned else 0)

    @staticmethod
    def kernel_flops(spec: kernbench.KernelSpec, features: int = 32, **_: object) -> int:
        """2 K (h^2 + h P): the products."""
        width = features // 2 * 2
        return affine_flops(spec, (width, width, spec.pairs))


class Hyena(kernbench.KernelModule):
    """h(t) = MLP(z(t)) (e^(-delta t) + shift), t = |m| / reach; z is t with cosines and sines of B bands, sines inside.

    delta of the output channels from 3.07 to 15.35; one learned vector of frequencies for all sines. Of each side of
    lag 0 its own network.

    Args:
        spec: channels, kernel size, extent.
        bands: B.
        hidden: width of the three hidden layers.
        frequency: of the sines at the start.
        shift: what the window keeps at the far end.
    """

    delta: Tensor

    def __init__(
        self,
        spec: kernbench.KernelSpec,
        bands: int = 4,
        hidden: int = 32,
        frequency: float = 5.0,
        shift: float = 0.05,
    ) -> None:
        super().__init__(spec)
        self.bands, self.shift = bands, shift
        self.reach = float(spec.extent)
        fan_in = spec.shape[1] * spec.kernel_size
        widths = (2 * bands + 1, hidden, hidden, hidden)
        self.inner = nn.ModuleList(
            nn.ModuleList(Affine(*pair) for pair in itertools.pairwise(widths)) for _ in range(sides(spec))
        )
        self.last = nn.ModuleList(
            Affine(hidden, spec.pairs, math.sqrt(3 / hidden / fan_in)) for _ in range(sides(spec))
        )
        self.frequency = nn.Parameter(torch.full((hidden, 1), frequency))
        rates = torch.linspace(-math.log(0.01) / 1.5, -math.log(0.01) / 0.3, spec.out_channels)
        self.register_buffer("delta", rates[:, None, None])

    def forward(self, grid: kernbench.LagGrid) -> Tensor:
        """The two halves at the grid's lags."""
        return both_sides(self.spec, grid, self._half)

    def _half(self, distance: Tensor, side: int) -> Tensor:
        t = distance / self.reach
        band = torch.linspace(1e-4, max(self.bands - 1, 1e-4), self.bands, dtype=t.dtype, device=t.device)[:, None]
        angle = 2 * math.pi * band * t
        rows = torch.cat([t[None], angle.cos(), -angle.sin()])
        for layer in cast("nn.ModuleList", self.inner[side]):
            rows = torch.sin(self.frequency.to(t.dtype) * layer(rows))
        values: Tensor = self.last[side](rows).view(*self.spec.shape[:2], -1)
        return values * (torch.exp(-self.delta.to(t.dtype) * t) + self.shift)

    def scale_(self, factor: float) -> None:
        """Multiply the kernel by a number, in the last layers."""
        for parameter in self.last.parameters():
            parameter.mul_(factor)

    @staticmethod
    def param_count(spec: kernbench.KernelSpec, bands: int = 4, hidden: int = 32, **_: object) -> int:
        """(e + 1) h + 2 (h^2 + h) + (h + 1) P of each side with e = 2 B + 1, and h frequencies."""
        return sides(spec) * affine_count((2 * bands + 1, hidden, hidden, hidden, spec.pairs)) + hidden

    @staticmethod
    def kernel_flops(spec: kernbench.KernelSpec, bands: int = 4, hidden: int = 32, **_: object) -> int:
        """2 K times the products of one side: every lag lies on one."""
        return affine_flops(spec, (2 * bands + 1, hidden, hidden, hidden, spec.pairs))


class DecayedToeplitz(KernelNetwork):
    """TNN: gamma^|m / step| MLP(m), a ReLU network of the lag under an exponential decay.

    Args:
        spec: channels, kernel size, extent.
        gamma: decay from tap to tap.
        hidden: width of the two hidden layers.
    """

    def __init__(self, spec: kernbench.KernelSpec, gamma: float = 0.99, hidden: int = 32) -> None:
        super().__init__(spec)
        self.gamma = gamma
        self.first = Affine(1, hidden, math.sqrt(6.0), 1.0)
        self.second = Affine(hidden, hidden, math.sqrt(6 / hidden), 1.0)
        self.finish(hidden)

    def hidden(self, position: Tensor) -> Tensor:
        """The ReLU layers."""
        return torch.relu(self.second(torch.relu(self.first(position[None]))))

    def forward(self, grid: kernbench.LagGrid) -> Tensor:
        """See the class."""
        return super().forward(grid) * torch.exp(math.log(self.gamma) * grid.lags.abs() / self.spec.dilation)

    @staticmethod
    def param_count(spec: kernbench.KernelSpec, hidden: int = 32, **_: object) -> int:
        """2 h + h^2 + h + (h + 1) P."""
        return affine_count((1, hidden, hidden, spec.pairs))

    @staticmethod
    def kernel_flops(spec: kernbench.KernelSpec, hidden: int = 32, **_: object) -> int:
        """2 K (h + h^2 + h P): the products."""
        return affine_flops(spec, (1, hidden, hidden, spec.pairs))
