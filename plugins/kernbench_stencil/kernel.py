"""Bank and mix over stencils: k[o, i, j] = sum over r of mix[o, i, r] stencil_r[j]."""

import math

import torch
from torch import Tensor, nn

import kernbench
from kernbench.kernels.building_blocks import interpolated
from kernbench_stencil.stencils import SETS, fitting


class Stencil(kernbench.KernelModule):
    """Mixture of fixed stencils, each at unit energy; only the mixing is learned.

    Offsets count taps from the one at lag 0 (from the one half a step before it when K is even). Stencils that do
    not fit K taps are left out; identity always fits, so K = 1 is a gain. Between taps the kernel is the straight
    line through its values.

    Args:
        spec: channels, kernel size.
        set: name of a set of stencils.
        scales: number of steps 1, 2, 4, ... between the taps of a stencil.
    """

    bank: Tensor

    def __init__(self, spec: kernbench.KernelSpec, set: str = "compact", scales: int = 8) -> None:  # noqa: A002
        super().__init__(spec)
        bank = _bank(set, scales, spec.kernel_size)
        self.register_buffer("bank", bank)
        self.mix = nn.Parameter(torch.randn(*spec.shape[:2], len(bank)) / math.sqrt(spec.shape[1] * len(bank)))

    def forward(self, grid: kernbench.LagGrid) -> Tensor:
        """The mixture; on a grid finer than the training grid, linear interpolation of it."""
        return interpolated(self.spec, self.mix @ self.bank, grid)

    def scale_(self, factor: float) -> None:
        """Multiply the kernel by a number."""
        self.mix.mul_(factor)

    @staticmethod
    def param_count(spec: kernbench.KernelSpec, set: str = "compact", scales: int = 8) -> int:  # noqa: A002
        """R P, R the stencils that fit."""
        return len(fitting(set, scales, spec.kernel_size)) * spec.pairs

    @staticmethod
    def kernel_flops(spec: kernbench.KernelSpec, set: str = "compact", scales: int = 8) -> int:  # noqa: A002
        """2 K R P: the mixing."""
        return 2 * spec.kernel_size * len(fitting(set, scales, spec.kernel_size)) * spec.pairs


def _bank(chosen: str, scales: int, kernel_size: int) -> Tensor:
    """Stencils as rows of K taps, shape (R, K), each divided by its l2 norm."""
    if chosen not in SETS:
        raise kernbench.KernbenchError(f"stencil: set must be one of {', '.join(SETS)}, got {chosen!r}")
    stencils = fitting(chosen, scales, kernel_size)
    bank = torch.zeros(len(stencils), kernel_size, dtype=torch.float64)
    for row, stencil in zip(bank, stencils, strict=True):
        for offset, weight in stencil.items():
            row[offset + (kernel_size - 1) // 2] = weight
    unit: Tensor = bank / bank.norm(dim=1, keepdim=True)
    return unit.to(torch.get_default_dtype())
