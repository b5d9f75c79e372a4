"""Bank and mix: k[o, i, m] = sum over r of mix[o, i, r] psi_r(m), with psi of three textbook shapes."""

import math

import torch
from torch import Tensor, nn

import kernbench
from kernbench.kernels.building_blocks import bounded, places
from kernbench_fixed import shapes


class Bank(kernbench.KernelModule):
    """Mixture of one shape at R = scales * min(centres, K) fixed widths and places, each atom at unit energy.

    Widths are log-spaced from one tap step to extent / 3. Why places: the echo comes 58 to 179 samples after its
    label, so a kernel must be able to reach to one side, and a sum of shapes centred at lag 0 never can. Energy of
    random echo-band kernels (1 to 5 MHz) that 4 widths of Gaussians cannot fit, least squares: 65 taps 84 % with 1
    place, 19 % with 4, 0.6 % with 8 (the default); 257 taps 98 %, 84 %, 56 %, and 31 % with 16.

    Args:
        spec: channels, kernel size, dilation.
        scales: number of widths.
        centres: number of places; 1 is the catalogue's kernel, symmetric about lag 0.
        learn_width: train the logarithm of the widths.
    """

    smallest = 1
    centre: Tensor
    fixed_log_width: Tensor
    log_width: nn.Parameter | None

    def __init__(
        self, spec: kernbench.KernelSpec, scales: int = 4, centres: int = 8, learn_width: bool = False
    ) -> None:
        super().__init__(spec)
        if spec.kernel_size < self.smallest:
            raise kernbench.KernbenchError(
                f"{type(self).__name__} needs at least {self.smallest} taps, or it is zero everywhere; got "
                f"K = {spec.kernel_size}"
            )
        step, reach = float(spec.dilation), spec.extent / 3
        widths = torch.logspace(0, math.log10(max(reach / step, 1.0)), scales, dtype=torch.float64) * step
        log_width = widths.log().to(torch.get_default_dtype())[:, None, None]
        self.register_parameter("log_width", nn.Parameter(log_width) if learn_width else None)
        self.register_buffer("fixed_log_width", None if learn_width else log_width)
        self.register_buffer("centre", places(spec, centres).to(torch.get_default_dtype())[None, :, None])
        atoms = scales * min(centres, spec.kernel_size)
        self.mix = nn.Parameter(torch.randn(*spec.shape[:2], atoms) / math.sqrt(spec.shape[1] * atoms))

    def forward(self, grid: kernbench.LagGrid) -> Tensor:
        """The mixture at the grid's lags."""
        return self.mix @ self.bank(grid)

    def bank(self, grid: kernbench.LagGrid) -> Tensor:
        """All atoms, shape (R, K); unit energy on the training grid, whatever grid they are asked for."""
        log_width = self.fixed_log_width if self.log_width is None else self.log_width
        # a learned width far below a tap step would slip between two taps and leave an atom of energy 0
        width = bounded(log_width.to(grid.lags.dtype), 0.5 * self.spec.dilation, 1e9)
        centre = self.centre.to(grid.lags.dtype)
        taps = self.spec.grid(dtype=grid.lags.dtype, device=grid.lags.device).lags - centre
        energy = self.shape(taps, width, taps).square().sum(-1, keepdim=True)
        return (self.shape(grid.lags - centre, width, taps) / energy.sqrt()).flatten(0, 1)

    def shape(self, m: Tensor, width: Tensor, taps: Tensor) -> Tensor:
        """One shape at offsets m: (centres, K) and widths (scales, 1, 1) -> (scales, centres, K)."""
        raise NotImplementedError

    def scale_(self, factor: float) -> None:
        """Multiply the kernel by a number."""
        self.mix.mul_(factor)

    @staticmethod
    def param_count(spec: kernbench.KernelSpec, scales: int = 4, centres: int = 8, learn_width: bool = False) -> int:
        """R P, plus one per scale if widths are learned."""
        return scales * min(centres, spec.kernel_size) * spec.pairs + (scales if learn_width else 0)

    @staticmethod
    def kernel_flops(spec: kernbench.KernelSpec, scales: int = 4, centres: int = 8, **_: object) -> int:
        """2 K R P: the mixing; the bank itself is not counted."""
        return 2 * spec.kernel_size * scales * min(centres, spec.kernel_size) * spec.pairs


class Gaussian(Bank):
    """Gaussians exp(-m^2 / 2 sigma^2)."""

    def shape(self, m: Tensor, width: Tensor, taps: Tensor) -> Tensor:  # no zero sum to keep
        """See `shapes.gaussian`."""
        return shapes.gaussian(m, width)


class Laplacian(Bank):
    """Double exponentials exp(-|m| / b)."""

    def shape(self, m: Tensor, width: Tensor, taps: Tensor) -> Tensor:  # no zero sum to keep
        """See `shapes.laplacian`."""
        return shapes.laplacian(m, width)


class LaplacianOfGaussian(Bank):
    """Laplacians of Gaussians; every atom sums to 0 on the training grid, by the choice of its centre weight."""

    smallest = 3  # with one or two taps a symmetric kernel of sum 0 is all zeros

    def shape(self, m: Tensor, width: Tensor, taps: Tensor) -> Tensor:
        """See `shapes.laplacian_of_gaussian`."""
        return shapes.laplacian_of_gaussian(m, width, taps)
