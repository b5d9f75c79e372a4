"""Waves under an envelope: Gabor, Morlet, Ricker, chirplet; and a wave without one."""

import math

import torch
from torch import Tensor

from kernbench_waves.wave_bank import WaveBank


class Gabor(WaveBank):
    """exp(-u^2 / 2 s^2) cos(2 pi f u + p), u = m - c."""

    learned: tuple[str, ...] = ("log_frequency", "log_width", "centre", "phase")

    def atoms(self, lags: Tensor) -> Tensor:
        """See the class."""
        u = self.offset(lags)
        return torch.exp(-0.5 * (u / self.width(lags)).square()) * torch.cos(self.angle(u, lags))

    def angle(self, u: Tensor, lags: Tensor) -> Tensor:
        """Phase of the wave at an offset [rad]."""
        return 2 * math.pi * self.frequency(lags) * u + self.phase.to(lags.dtype)


class Morlet(Gabor):
    """A Gabor wave without its mean: exp(-u^2 / 2 s^2) (cos(2 pi f u + p) - cos(p) exp(-(2 pi f s)^2 / 2)).

    The correction is 4e-6 of the peak at five radians per width, and 0.14 at two, as in a pulse of one cycle.
    """

    def atoms(self, lags: Tensor) -> Tensor:
        """See the class."""
        u, width = self.offset(lags), self.width(lags)
        mean = torch.cos(self.phase.to(lags.dtype)) * torch.exp(
            -0.5 * (2 * math.pi * self.frequency(lags) * width).square()
        )
        return torch.exp(-0.5 * (u / width).square()) * (torch.cos(self.angle(u, lags)) - mean)


class Chirplet(Gabor):
    """exp(-u^2 / 2 s^2) cos(2 pi (f u + a u^2 / 2) + p): the frequency changes by a [cycles/sample^2] each sample.

    `sweep` holds a s / f, the change of the frequency over one width as a share of it.
    """

    learned = (*Gabor.learned, "sweep")

    def angle(self, u: Tensor, lags: Tensor) -> Tensor:
        """See the class."""
        rate = self.sweep.to(lags.dtype) * self.frequency(lags) / self.width(lags)
        return super().angle(u, lags) + math.pi * rate * u.square()


class Ricker(WaveBank):
    """(1 - u^2) exp(-u^2 / 2), u = (m - c) / s: the second derivative of a Gaussian, upside down."""

    learned = ("log_width", "centre")

    def atoms(self, lags: Tensor) -> Tensor:
        """See the class."""
        squared = (self.offset(lags) / self.width(lags)).square()
        return (1 - squared) * torch.exp(-0.5 * squared)


class Cosine(WaveBank):
    """cos(2 pi f m + p) over all taps: a Gabor wave of endless width."""

    learned = ("log_frequency", "phase")

    def atoms(self, lags: Tensor) -> Tensor:
        """See the class."""
        return torch.cos(2 * math.pi * self.frequency(lags) * lags + self.phase.to(lags.dtype))
