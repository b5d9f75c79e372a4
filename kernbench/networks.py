"""The two reference networks, with kernels from any family: `dilated` (Blanken 2022) and `shallow` (Jonker 2023)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from kernbench.architecture import (
    NETWORKS,
    architecture,
    check_kernel_size,
    dilations,
    padding,
    receptive_field,
)
from kernbench.errors import KernbenchError, close_match
from kernbench.kernels.base import KernelSpec
from kernbench.kernels.gain import calibrate
from kernbench.kernels.layer import KernelConv
from kernbench.registry import find_family

if TYPE_CHECKING:
    from kernbench.kernels.family import KernelFamily

GAINS = ("unit", "published")

__all__ = ["GAINS", "NETWORKS", "Network", "build", "check_kernel_size"]


class Network(nn.Module):
    """One reflection pad, then [KernelConv, BatchNorm1d, ReLU] x depth and a 1x1 convolution, all without padding.

    Attributes:
        blocks: the layers in order.
        head: Conv1d(channels -> 1, one tap, bias).
        padding: samples of reflection on each side.
        receptive_field: input samples that can reach one output sample.
    """

    def __init__(self, layers: list[KernelConv], pad: int, field: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(layer, nn.BatchNorm1d(layer.spec.out_channels), nn.ReLU()) for layer in layers
        )
        self.head = nn.Conv1d(layers[-1].spec.out_channels, 1, 1)
        self.padding = pad
        self.receptive_field = field

    def kernel_layers(self) -> list[KernelConv]:
        """The convolution layers, input side first."""
        return [module for module in self.modules() if isinstance(module, KernelConv)]

    def forward(self, signal: Tensor) -> Tensor:
        """Localize: RF lines (N, 1, L) -> scores (N, 1, L), unbounded.

        Raises:
            KernbenchError: the lines are too short to be reflected by the padding.
        """
        length = signal.shape[-1]
        if self.padding > length - 1:
            raise KernbenchError(
                f"this network reflects {self.padding} samples on each side, so lines need at least {self.padding + 1} "
                f"samples, got {length}"
            )
        # mirrored once, then valid: padding every layer would be another model near the edges
        hidden = functional.pad(signal, (self.padding, self.padding), mode="reflect")
        for block in self.blocks:
            hidden = block(hidden)
        return torch.as_tensor(self.head(hidden))


def build(
    network: str,
    family: "str | KernelFamily",
    kernel_size: int,
    channels: int | None = None,
    hyper: Mapping[str, object] | None = None,
    depth: int | None = None,
    gain: str = "unit",
    backend: str = "auto",
) -> Network:
    """A network with fresh weights, drawn from torch's global random generator.

    Args:
        network: "dilated" or "shallow".
        family: a kernel family or the name of an installed one.
        kernel_size: taps per layer, odd.
        channels: width; the network's default if left out.
        hyper: hyper-parameters of the family, the same in every layer.
        depth: layers; the network's default if left out.
        gain: "unit" starts every layer at gain 1; "published" leaves the family's own start.
        backend: how to convolve.

    Returns:
        A module that maps (N, 1, L) to (N, 1, L).

    Raises:
        KernbenchError: a name, size or hyper-parameter that does not fit; a plugin that breaks the kernel contract.
    """
    offered = find_family(family) if isinstance(family, str) else family
    plan = architecture(network)
    width = plan.channels if channels is None else channels
    check_kernel_size(network, kernel_size, depth, context=f"family {offered.name}")
    if gain not in GAINS:
        raise KernbenchError(f"gain must be unit or published, got {gain!r}{close_match(str(gain), GAINS)}")
    layers = [
        _layer(offered, _spec(level, width, kernel_size, step), hyper, gain, backend)
        for level, step in enumerate(dilations(network, depth))
    ]
    return Network(layers, padding(network, kernel_size, depth), receptive_field(network, kernel_size, depth))


def _spec(level: int, channels: int, kernel_size: int, dilation: int) -> KernelSpec:
    inputs = 1 if level == 0 else channels
    return KernelSpec(channels, inputs, kernel_size=kernel_size, dilation=dilation)


def _layer(
    family: "KernelFamily", spec: KernelSpec, hyper: Mapping[str, object] | None, gain: str, backend: str
) -> KernelConv:
    layer = KernelConv(family.build(spec, hyper), spec, backend=backend)
    if gain == "unit":
        calibrate(layer)
    return layer
