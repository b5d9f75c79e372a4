"""A bank of waves whose frequencies, widths, places and phases are learned, one set for the layer."""

import math

import torch
from torch import Tensor, nn

import kernbench
from kernbench.kernels.building_blocks import Bank, bounded, ends

# Cycles per tap step; the pulse of the task has 0.027 a sample, its useful band is 0.016 to 0.08.
SLOWEST, FASTEST = 0.01, 0.1
WIDEST = 1e9  # samples: no kernel is as long


class WaveBank(Bank):
    """k = sum over R waves of mix[o, i, r] psi(m; f_r, s_r, c_r, p_r), each wave at unit energy.

    Parameters of the waves, (R, 1) each, those that a family uses: log f with f in cycles/sample, log s with s in
    samples, c in samples, p in rad. Start: f log-uniform in 0.01 .. 0.1 cycles per tap step, s from half a cycle to
    three, c uniform over the taps, p uniform.

    Args:
        spec: channels, kernel size, extent.
        waves: R.
        hyper: what `twins` depends on.
    """

    learned: tuple[str, ...] = ()  # names of what a family learns of each wave
    log_frequency: Tensor
    log_width: Tensor
    centre: Tensor
    phase: Tensor
    sweep: Tensor
    damping: Tensor
    band: Tensor

    def __init__(self, spec: kernbench.KernelSpec, waves: int = 16, **hyper: object) -> None:
        super().__init__(spec)
        frequency = SLOWEST * (FASTEST / SLOWEST) ** torch.rand(waves, 1) / spec.dilation
        cycles = 0.5 * 6 ** torch.rand(waves, 1)
        first, last = ends(spec)
        start = {
            "log_frequency": frequency.log(),
            "log_width": (cycles / frequency).clamp(min=spec.dilation).log(),
            "centre": first + (last - first) * torch.rand(waves, 1),
            "phase": 2 * math.pi * torch.rand(waves, 1),
            "sweep": 0.2 * torch.randn(waves, 1),
            "damping": torch.logit(0.05 + 0.25 * torch.rand(waves, 1)),
            "band": torch.randn(waves, 1),
        }
        for name in self.learned:
            setattr(self, name, nn.Parameter(start[name]))
        self.draw_mix(waves * self.twins(**hyper))

    def frequency(self, lags: Tensor) -> Tensor:
        """F in cycles/sample, (R, 1); above half a cycle per tap step it would be another one."""
        return bounded(self.log_frequency, *self._frequencies()).to(lags.dtype)

    def width(self, lags: Tensor) -> Tensor:
        """Width in samples, (R, 1); narrower than half a tap step a wave would slip between two taps."""
        return bounded(self.log_width, *self._widths()).to(lags.dtype)

    def _frequencies(self) -> tuple[float, float]:
        return 1e-6 / self.spec.dilation, 0.5 / self.spec.dilation

    def _widths(self) -> tuple[float, float]:
        return 0.5 * self.spec.dilation, WIDEST

    def constrain_(self) -> None:
        """Keep frequencies, widths and places where a gradient still reaches them, as LEAF clips its own."""
        if "log_frequency" in self.learned:
            self.log_frequency.clamp_(*map(math.log, self._frequencies()))
        if "log_width" in self.learned:
            self.log_width.clamp_(*map(math.log, self._widths()))
        if "centre" in self.learned:
            self.centre.clamp_(*ends(self.spec))

    def offset(self, lags: Tensor) -> Tensor:
        """Lags from the place of each wave, (R, K)."""
        return lags - self.centre.to(lags.dtype)

    @staticmethod
    def twins(**_: object) -> int:
        """Atoms that each wave gives, by the family's other hyper-parameters."""
        return 1

    @classmethod
    def param_count(cls, spec: kernbench.KernelSpec, waves: int = 16, **hyper: object) -> int:
        """R for each thing learned of a wave, and R P for each of its twins."""
        return waves * (len(cls.learned) + cls.twins(**hyper) * spec.pairs)

    @classmethod
    def kernel_flops(cls, spec: kernbench.KernelSpec, waves: int = 16, **hyper: object) -> int:
        """2 K R P for each twin: the mixing; the waves themselves are not counted."""
        return 2 * spec.kernel_size * waves * cls.twins(**hyper) * spec.pairs
