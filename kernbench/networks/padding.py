"""The samples that stand beyond the ends of a line."""

import torch
from torch import Tensor, nn

from kernbench.kernels.base import KernelSpec
from kernbench.kernels.layer import KernelConv
from kernbench.networks.boundary import CIRCULAR, MIRROR, REPLICATE, SYMMETRIC, ZERO


def padded(signal: Tensor, ends: tuple[int, int], policy: str) -> Tensor:
    """A line, or channels of a layer, with samples before and behind.

    Parts are taken and joined: the values are those of `torch.nn.functional.pad`, which has no symmetric padding and
    whose gradients of mirrored and repeated samples are added up in no fixed order on CUDA.

    Args:
        signal: (N, C, L); L is long enough, see `Boundary.shortest`.
        ends: samples before and behind, 0 or more.
        policy: one of `kernbench.networks.boundary.POLICIES`.

    Returns:
        (N, C, before + L + behind).
    """
    if not any(ends):
        return signal
    before, behind = ends
    return torch.cat([_start(signal, before, policy), signal, _end(signal, behind, policy)], dim=-1)


def ends_of(spec: KernelSpec) -> tuple[int, int]:
    """Samples before and behind that keep the length of what a layer takes: K - 1 steps, on the side of its lags."""
    reach = spec.dilation * (spec.kernel_size - 1)
    return {"centered": (reach // 2, reach - reach // 2), "causal": (reach, 0), "anticausal": (0, reach)}[spec.side]


class PaddedBlock(nn.Sequential):
    """A layer and what follows it, on padded channels: (N, C, L) -> (N, C', L).

    Args:
        policy: see `padded`.
        modules: a `KernelConv`, which says by how much is padded, and what follows it.
    """

    def __init__(self, policy: str, *modules: nn.Module) -> None:
        super().__init__(*modules)
        self.policy = policy

    def forward(self, hidden: Tensor) -> Tensor:
        """Pad, then the modules in turn."""
        layer = self[0]
        assert isinstance(layer, KernelConv)  # of this rate: it may have other taps than in training
        return torch.as_tensor(super().forward(padded(hidden, ends_of(layer.spec), self.policy)))


def _start(signal: Tensor, samples: int, policy: str) -> Tensor:
    """What stands before the first sample."""
    if policy == CIRCULAR:
        return signal[..., signal.shape[-1] - samples :]
    return _end(signal.flip(-1), samples, policy).flip(-1)


def _end(signal: Tensor, samples: int, policy: str) -> Tensor:
    """What stands behind the last sample."""
    length = signal.shape[-1]
    if policy == ZERO:
        return signal.new_zeros((*signal.shape[:-1], samples))
    if policy == REPLICATE:
        return signal[..., -1:].expand(*signal.shape[:-1], samples)
    if policy == CIRCULAR:
        return signal[..., :samples]
    skipped = {MIRROR: 1, SYMMETRIC: 0}[policy]
    return signal[..., length - skipped - samples : length - skipped].flip(-1)
