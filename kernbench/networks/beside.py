"""What a network has beside its kernels."""

import torch
from torch import Tensor

from kernbench.kernels.base import KernelModule, KernelSpec, LagGrid
from kernbench.kernels.counting import trainable_numbers
from kernbench.kernels.family import KernelFamily
from kernbench.kernels.layer_options import PLAIN, TILES
from kernbench.networks.architecture import Architecture
from kernbench.networks.network import build


class _Flat(KernelModule):
    """A constant: the smallest kernel that a network can be built with."""

    def __init__(self, spec: KernelSpec) -> None:
        super().__init__(spec)
        self.level = torch.nn.Parameter(torch.ones(()))

    def forward(self, grid: LagGrid) -> Tensor:
        return self.level.to(grid.lags.dtype).expand(*self.spec.shape[:2], grid.lags.numel())

    def scale_(self, factor: float) -> None:
        self.level.mul_(factor)


def numbers_beside_kernels(
    network: str | Architecture,
    kernel_size: int,
    channels: int | None = None,
    depth: int | None = None,
    layer: str = PLAIN,
    tiles: int = TILES,
) -> int:
    """Trainable numbers of a network that no kernel family owns: biases, normalization, last layer.

    A network is built for it, because one that is offered by a plugin may hold anything. No random number is drawn.

    Args:
        network: an architecture, or the name of one.
        kernel_size: taps, odd.
        channels: width; the network's default if left out.
        depth: layers; the network's default if left out.
        layer: form of every layer.
        tiles: kernels in rotation of the form "tiled".

    Raises:
        KernbenchError, PluginError: see `kernbench.networks.build`.
    """
    with torch.random.fork_rng(devices=[]):
        flat = KernelFamily("flat", _Flat)
        net = build(network, flat, kernel_size, channels, depth=depth, layer=layer, tiles=tiles)
    return trainable_numbers(net) - sum(trainable_numbers(layer.kernel_module) for layer in net.kernel_layers())
