"""Ideal band-pass filters under a window."""

import math

import torch
from torch import Tensor

import kernbench
from kernbench_waves.wave_bank import WaveBank


def band_pass(u: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """(sin 2 pi f2 u - sin 2 pi f1 u) / (pi u): gain 1 from f1 = low to f2 = high [cycles/sample], even in u."""
    return 2 * high * torch.sinc(2 * high * u) - 2 * low * torch.sinc(2 * low * u)


def band_pass_twin(u: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """(cos 2 pi f1 u - cos 2 pi f2 u) / (pi u): the same band a quarter of a turn later, odd in u."""
    return 2 * (high - low) * torch.sin(math.pi * (low + high) * u) * torch.sinc((high - low) * u)


class Sinc(WaveBank):
    """Band-pass filters win(u) `band_pass`(u; f - b / 2, f + b / 2), u = m - c, and their odd twins.

    b = f sigmoid(`band`); the Hamming window is as long as the kernel.

    Args:
        spec: channels, kernel size, extent.
        waves: bands, R.
        odd: whether each band has its odd twin; without it every filter is symmetric about its place.
    """

    learned = ("log_frequency", "band", "centre")

    def __init__(self, spec: kernbench.KernelSpec, waves: int = 16, odd: bool = True) -> None:
        super().__init__(spec, waves, odd=odd)
        self.odd = odd

    def atoms(self, lags: Tensor) -> Tensor:
        """The even filters, then the odd ones."""
        u, centre = self.offset(lags), self.frequency(lags)
        half = 0.5 * centre * torch.sigmoid(self.band.to(lags.dtype))
        low, high = centre - half, (centre + half).clamp(max=0.5 / self.spec.dilation)
        span = self.spec.dilation * max(self.spec.kernel_size - 1, 1)
        window = 0.54 + 0.46 * torch.cos((2 * math.pi * u / span).clamp(-math.pi, math.pi))
        even = window * band_pass(u, low, high)
        return torch.cat([even, window * band_pass_twin(u, low, high)]) if self.odd else even

    def param_groups(self) -> list[dict[str, object]]:
        """The bands learn ten times as fast as the mixing: at its rate they hardly move. They do not decay."""
        bands = [getattr(self, name) for name in self.learned]
        return [{"params": [self.mix]}, {"params": bands, "lr_mult": 10.0, "weight_decay": 0.0}]

    @staticmethod
    def twins(odd: object = True, **_: object) -> int:
        """2 with the odd twins."""
        return 2 if odd else 1
