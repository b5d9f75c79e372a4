"""Bumps at fixed places: B-splines, Wendland's functions, radial basis functions."""

import torch
from torch import Tensor

import kernbench
from kernbench.kernels.building_blocks import Bank, ends, places


def b_spline(x: Tensor, degree: int) -> Tensor:
    """Cardinal B-spline of a degree, centred at 0, with knots one apart, by the recursion of Cox and de Boor.

    Half-open intervals: at a knot exactly one of two neighbouring pieces counts, so the sum over all shifts is 1.
    """
    if degree == 0:
        return ((x >= -0.5) & (x < 0.5)).to(x.dtype)
    half = (degree + 1) / 2
    left, right = b_spline(x + 0.5, degree - 1), b_spline(x - 0.5, degree - 1)
    return ((half + x) * left + (half - x) * right) / degree


class Bumps(Bank):
    """One shape at R = min(knots, K) places, spread evenly over the taps.

    Args:
        spec: channels, kernel size, extent.
        knots: places.
    """

    centre: Tensor
    gap: float  # between places [samples]

    def __init__(self, spec: kernbench.KernelSpec, knots: int = 16) -> None:
        super().__init__(spec)
        centres = places(spec, knots)
        first, last = ends(spec)
        self.gap = (last - first) / (len(centres) - 1) if len(centres) > 1 else float(spec.dilation)
        self.register_buffer("centre", centres.to(torch.get_default_dtype())[:, None])
        self.draw_mix(len(centres))

    def atoms(self, lags: Tensor) -> Tensor:
        """The shape at every place."""
        return self.shape((lags - self.centre.to(lags.dtype)) / self.gap)

    def shape(self, x: Tensor) -> Tensor:
        """The shape at a distance in gaps between places."""
        raise NotImplementedError

    @staticmethod
    def param_count(spec: kernbench.KernelSpec, knots: int = 16, **_: object) -> int:
        """R P."""
        return min(knots, spec.kernel_size) * spec.pairs

    @staticmethod
    def kernel_flops(spec: kernbench.KernelSpec, knots: int = 16, **_: object) -> int:
        """2 K R P: the mixing."""
        return 2 * spec.kernel_size * min(knots, spec.kernel_size) * spec.pairs


class BSpline(Bumps):
    """Cardinal B-splines of one degree; the distance of the knots sets the bandwidth, about 1 / (2 gap).

    Args:
        spec: channels, kernel size, extent.
        knots: places.
        degree: 1 is linear interpolation between the knots.
    """

    def __init__(self, spec: kernbench.KernelSpec, knots: int = 16, degree: int = 3) -> None:
        super().__init__(spec, knots)
        self.degree = degree

    def shape(self, x: Tensor) -> Tensor:
        """See `b_spline`."""
        return b_spline(x, self.degree)


class Wendland(Bumps):
    """Wendland's C2 function (1 - r)^4 (4 r + 1) for r < 1 and 0 beyond, r = |m - place| / (radius gap).

    Args:
        spec: channels, kernel size, extent.
        knots: places.
        radius: of the support, in gaps between places.
    """

    def __init__(self, spec: kernbench.KernelSpec, knots: int = 16, radius: float = 2.0) -> None:
        super().__init__(spec, knots)
        self.radius = radius

    def shape(self, x: Tensor) -> Tensor:
        """See the class."""
        r = x.abs() / self.radius
        return (1 - r).clamp(min=0) ** 4 * (4 * r + 1)


class RadialBasis(Bumps):
    """Radial basis functions of r = |m - place| / (width gap).

    Args:
        spec: channels, kernel size, extent.
        knots: places.
        width: in gaps between places.
        function: "gaussian" exp(-r^2 / 2) or "inverse-multiquadric" 1 / sqrt(1 + r^2).
    """

    def __init__(
        self, spec: kernbench.KernelSpec, knots: int = 16, width: float = 0.75, function: str = "gaussian"
    ) -> None:
        super().__init__(spec, knots)
        self.width, self.function = width, function

    def shape(self, x: Tensor) -> Tensor:
        """See the class."""
        squared = (x / self.width) ** 2
        return torch.exp(-squared / 2) if self.function == "gaussian" else torch.rsqrt(1 + squared)
