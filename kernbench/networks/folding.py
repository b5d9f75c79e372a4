"""What a stride folds: the energy of kernels above the Nyquist frequency of the outputs that are kept."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kernbench.analysis.spectrum import energy_above
from kernbench.errors import PluginError
from kernbench.kernels.layer import KernelConv


@dataclass(frozen=True)
class Folded:
    """One layer of whose outputs some go on.

    Attributes:
        layer: position, from 1 at the input.
        stride: every how many-th output goes on.
        nyquist: of those, in cycles per sample of the layer's input: 0.5 / stride.
        energy: share of the energy of the layer's kernels above it, so of its outputs for white input; between 0 and 1,
            NaN where all kernels are 0.
    """

    layer: int
    stride: int
    nyquist: float
    energy: float


def folded(network: nn.Module) -> list[Folded]:
    """What is folded in each layer that has a stride; nothing where the network has no method `strides`.

    Args:
        network: keeps `kernbench.networks.contract.KernelNetwork`.

    Raises:
        PluginError: `strides` gives something else than a whole number >= 1 for each layer.
    """
    if not hasattr(network, "strides"):
        return []
    layers: list[KernelConv] = network.kernel_layers()  # type: ignore[operator]  # torch's modules may have anything
    strides = network.strides()  # type: ignore[operator]
    right = isinstance(strides, list | tuple) and len(strides) == len(layers)
    if not right or not all(type(each) is int and each >= 1 for each in strides):
        raise PluginError(
            f"strides() of {type(network).__name__} must give a whole number >= 1 for each of {len(layers)} layers, "
            f"got {strides!r:.60}"
        )
    pairs = enumerate(zip(layers, strides, strict=True), 1)
    return [_of_layer(number, layer, stride) for number, (layer, stride) in pairs if stride > 1]


def _of_layer(number: int, layer: KernelConv, stride: int) -> Folded:
    nyquist = 0.5 / stride
    return Folded(number, stride, nyquist, energy_above(_on_samples(layer), nyquist))


@torch.no_grad()
def _on_samples(layer: KernelConv) -> NDArray[np.float64]:
    """The kernel on every sample that it spans: zeros stand between the taps of a dilated one."""
    kernel = layer.kernel().double().cpu().numpy()
    step = layer.spec.dilation
    spread = np.zeros((*kernel.shape[:-1], step * (kernel.shape[-1] - 1) + 1))
    spread[..., ::step] = kernel
    return spread
