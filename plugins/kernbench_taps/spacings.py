"""A few taps at learned places."""

import math

import torch
from torch import Tensor, nn

import kernbench
from kernbench.kernels.building_blocks import ends, in_parts, places

NARROWEST = 0.27  # of a Gaussian, in tap steps
FAINTEST = -40  # exponent, 4e-18: below the rounding of a kernel
_AT_START = {"max": 0.05, "gauss": 0.23}  # published 0 for "max", where |s| has no gradient


class LearnableSpacings(kernbench.KernelModule):
    """k[m] = sum over j of w_j phi(m - p_j) / sum over the taps of phi, p_j in samples; w and p of every channel pair.

    phi of u in tap steps: "v1" max(0, 1 - |u|), the straight line between two taps; "max" max(0, 1 - |u| / q) / q
    with q = 1 + |s|; "gauss" exp(-u^2 / 2 q^2) with q = |s| + 0.27. s of every tap is learned. At whole steps "v1" is
    a dilated kernel; a Gaussian has no such identity.

    Places start evenly over the taps, each moved by up to half a gap: all at the middle, as published, they cannot
    reach an echo.

    Args:
        spec: channels, kernel size, extent.
        taps: of every channel pair.
        version: "v1", "max" or "gauss".
    """

    width: nn.Parameter | None

    def __init__(self, spec: kernbench.KernelSpec, taps: int = 8, version: str = "gauss") -> None:
        super().__init__(spec)
        self.version = version
        middle = places(spec, taps)
        gap = float(middle[1] - middle[0]) if len(middle) > 1 else 0.0
        shape = (*spec.shape[:2], len(middle))
        self.weight = nn.Parameter(torch.randn(shape) / math.sqrt(spec.shape[1] * len(middle)))
        drawn = middle.to(torch.get_default_dtype()) + gap * (torch.rand(shape) - 0.5)
        self.place = nn.Parameter(drawn.clamp(*ends(spec)))
        start = _AT_START.get(version)
        self.register_parameter("width", None if start is None else nn.Parameter(torch.full(shape, start)))

    def forward(self, grid: kernbench.LagGrid) -> Tensor:
        """The taps at the grid's lags; the sum that they are divided by is that of the training grid."""
        same = grid.is_training_grid(self.spec)
        training = grid.lags if same else self.spec.grid(dtype=grid.lags.dtype, device=grid.lags.device).lags

        def rows(weight: Tensor, place: Tensor, *width: Tensor) -> Tensor:
            phi = self._phi(training, place, *width)
            height = weight / (phi.sum(-1) + 1e-7)
            return (height[..., None, :] @ (phi if same else self._phi(grid.lags, place, *width))).squeeze(-2)

        learned = (self.weight, self.place, self.width)
        tensors = [each.to(grid.lags.dtype) for each in learned if each is not None]
        return in_parts(rows, self.weight.numel() * max(len(training), len(grid.lags)), *tensors)

    def _phi(self, lags: Tensor, place: Tensor, width: Tensor | None = None) -> Tensor:
        """The shape of every tap, (out_channels, in_channels // groups, taps, K)."""
        first, last = ends(self.spec)
        # beyond the last tap it would vanish; the gradient goes on, so that it can come back
        place = place + (place.clamp(first, last) - place).detach()
        size = torch.ones_like(place) if width is None else width.abs() + (1 if self.version == "max" else NARROWEST)
        u = (lags - place[..., None]) * (1 / (self.spec.dilation * size))[..., None]
        if self.version == "gauss":
            # numbers below the smallest normal one take twenty times as long to compute
            return torch.exp((-0.5 * u.square()).clamp(min=FAINTEST))
        bump = (1 - u.abs()).clamp(min=0)
        return bump if width is None else bump / size[..., None]

    def constrain_(self) -> None:
        """Keep the places between the first and the last tap."""
        self.place.clamp_(*ends(self.spec))

    def param_groups(self) -> list[dict[str, object]]:
        """Places and widths learn five times as fast as the weights, and do not decay."""
        moved = [self.place] if self.width is None else [self.place, self.width]
        return [{"params": [self.weight]}, {"params": moved, "lr_mult": 5.0, "weight_decay": 0.0}]

    def scale_(self, factor: float) -> None:
        """Multiply the kernel by a number."""
        self.weight.mul_(factor)

    @staticmethod
    def param_count(spec: kernbench.KernelSpec, taps: int = 8, version: str = "gauss") -> int:
        """2 P taps, 3 P taps with a learned width."""
        return (2 if version == "v1" else 3) * spec.pairs * min(taps, spec.kernel_size)

    @staticmethod
    def kernel_flops(spec: kernbench.KernelSpec, taps: int = 8, version: str = "gauss") -> int:
        """About 10 K P taps: a shape, and its sum."""
        return 10 * spec.kernel_size * spec.pairs * min(taps, spec.kernel_size)
