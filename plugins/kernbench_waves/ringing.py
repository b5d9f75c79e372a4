"""Waves that begin at one moment and die out: gammatone, damped oscillation."""

import math

import torch
from torch import Tensor

import kernbench
from kernbench_waves.wave_bank import WaveBank

SHARPEST, LONGEST = 0.02, 0.9  # damping ratio of an oscillation


class Beginning(WaveBank):
    """Waves that are 0 at their first sample, so that one tap cannot hold them.

    Args:
        spec: channels, kernel size, extent.
        waves: R.
    """

    def __init__(self, spec: kernbench.KernelSpec, waves: int = 16) -> None:
        if spec.kernel_size < 2:
            raise kernbench.KernbenchError(f"{type(self).__name__} needs at least 2 taps, got K = {spec.kernel_size}")
        super().__init__(spec, waves)


class Gammatone(Beginning):
    """u^(p - 1) exp(-2 pi b u) cos(2 pi f u + phase) for u = m - c >= 0, and 0 before.

    Its envelope is largest at (p - 1) / (2 pi b); `log_width` holds that [samples]. An echo begins sharply and rings
    later, so the waves go towards later lags.

    Args:
        spec: channels, kernel size, extent.
        waves: R.
        order: p.
    """

    learned = ("log_frequency", "log_width", "centre", "phase")

    def __init__(self, spec: kernbench.KernelSpec, waves: int = 16, order: int = 4) -> None:
        super().__init__(spec, waves)
        self.order = order

    def atoms(self, lags: Tensor) -> Tensor:
        """See the class; the envelope is 1 where it is largest."""
        u = self.offset(lags).clamp(min=0)
        x = u / self.width(lags)
        # (x e^(1 - x))^(p - 1) has its peak 1 at x = 1, whatever p is: nothing overflows
        envelope = (x * torch.exp(1 - x)) ** (self.order - 1)
        return envelope * torch.cos(2 * math.pi * self.frequency(lags) * u + self.phase.to(lags.dtype))


class Damped(Beginning):
    """exp(-z w u / sqrt(1 - z^2)) sin(w u) for u = m - c >= 0, and 0 before: the ringing of a bubble.

    w = 2 pi f in rad/sample; the damping ratio z, between 0.02 and 0.9, is learned through a sigmoid.
    """

    learned = ("log_frequency", "damping", "centre")

    def atoms(self, lags: Tensor) -> Tensor:
        """See the class."""
        ratio = SHARPEST + (LONGEST - SHARPEST) * torch.sigmoid(self.damping.to(lags.dtype))
        angle = 2 * math.pi * self.frequency(lags) * self.offset(lags).clamp(min=0)
        return torch.exp(-ratio / (1 - ratio.square()).sqrt() * angle) * torch.sin(angle)
