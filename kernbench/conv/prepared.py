"""A kernel made ready for many signals, as in evaluation: its spectrum is made once."""

import torch
from torch import Tensor

from kernbench.conv.dispatch import check, convolve, resolve
from kernbench.conv.plan import Plan
from kernbench.conv.spectral import apply_spectrum, kernel_spectrum
from kernbench.host.autocast import without_autocast


class PreparedKernel:
    """Convolves without gradients; keeps the kernel's spectrum for the plan that was used last.

    Args:
        kernel: shape (Co, Ci // groups, K); must not change any more.
        dilation, groups, backend: as for `kernbench.conv.convolve`.
    """

    def __init__(self, kernel: Tensor, dilation: int = 1, groups: int = 1, backend: str = "auto") -> None:
        self.kernel, self.dilation, self.groups, self.backend = kernel.detach(), dilation, groups, backend
        self._plan: Plan | None = None
        self._spectrum: list[Tensor] = []

    @torch.no_grad()
    def __call__(self, signal: Tensor) -> Tensor:
        """Convolve; the values of `kernbench.conv.convolve`, to the last bit."""
        check(signal, self.kernel, self.dilation, self.groups)
        backend, plan = resolve(signal, self.kernel, self.dilation, self.backend)
        if plan is None or signal.dtype not in (torch.float32, torch.float64):
            return convolve(signal, self.kernel, self.dilation, self.groups, backend)
        if plan != self._plan:
            self._plan, self._spectrum = plan, []  # freed before the next one is made
            self._spectrum = kernel_spectrum(self.kernel, self.groups, plan)
        with without_autocast(signal.device):
            return apply_spectrum(signal, self._spectrum, self.kernel, self.groups, plan)
