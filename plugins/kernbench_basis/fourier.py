"""Fourier series over the taps."""

import math

import torch
from torch import Tensor

import kernbench
from kernbench.kernels.building_blocks import Bank, ends, hann


class Fourier(Bank):
    """k = sum over |n| <= M of c_n exp(2 pi i n m / T), real, with the period T = d K of all taps.

    M = (K - 1) / 2 of an odd K gives every kernel there is.

    Args:
        spec: channels, kernel size, extent.
        modes: M; lowered to (K - 1) // 2.
        window: "none", or "hann" against the jump where the period ends.
    """

    harmonic: Tensor

    def __init__(self, spec: kernbench.KernelSpec, modes: int = 16, window: str = "none") -> None:
        super().__init__(spec)
        self.window, count = window, _modes(spec, modes)
        self.register_buffer("harmonic", torch.arange(count + 1, dtype=torch.get_default_dtype())[:, None])
        self.draw_mix(2 * count + 1)

    def atoms(self, lags: Tensor) -> Tensor:
        """Cosines of the harmonics 0 .. M, then sines of 1 .. M."""
        turn = 2 * math.pi * (lags - ends(self.spec)[0]) / (self.spec.dilation * self.spec.kernel_size)
        phase = self.harmonic.to(lags.dtype) * turn
        found = torch.cat([phase.cos(), phase[1:].sin()])
        return found * hann(self.spec, lags) if self.window == "hann" else found

    @staticmethod
    def param_count(spec: kernbench.KernelSpec, modes: int = 16, **_: object) -> int:
        """(2 M + 1) P."""
        return (2 * _modes(spec, modes) + 1) * spec.pairs

    @staticmethod
    def kernel_flops(spec: kernbench.KernelSpec, modes: int = 16, **_: object) -> int:
        """2 K (2 M + 1) P: the mixing."""
        return 2 * spec.kernel_size * (2 * _modes(spec, modes) + 1) * spec.pairs


def _modes(spec: kernbench.KernelSpec, modes: int) -> int:
    return min(modes, (spec.kernel_size - 1) // 2)
