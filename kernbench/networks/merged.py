"""A trained network as plain torch layers: kernels evaluated once, each layer a `torch.nn.Conv1d`."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from kernbench.errors import KernbenchError
from kernbench.kernels.layer import KernelConv
from kernbench.networks.boundary import CIRCULAR, MIRROR, REPLICATE, SYMMETRIC, ZERO
from kernbench.networks.network import Network
from kernbench.networks.padding import ends_of


class Merged(nn.Module):
    """The evaluation of a network without kernbench's layers: (N, 1, L) -> (N, 1, L).

    Args:
        network: trained, on the CPU; its kernels are copied.

    Raises:
        KernbenchError: its module is its own, so what stands between the layers is not known; or its kernels rotate.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        if type(network) is not Network:
            raise KernbenchError(
                f"{type(network).__name__} has a forward pass of its own: expected a network of layers in a row"
            )
        network.eval()
        layers = network.kernel_layers()
        if any(layer.tiles > 1 for layer in layers):
            raise KernbenchError("tiled layers have kernels in rotation: expected layers that are one convolution each")
        self.convolutions = nn.ModuleList(map(_convolution, layers))
        self.norms = nn.ModuleList(block[1] for block in network.blocks)  # type: ignore[index]  # Sequential
        self.head = network.head
        self.boundary = network.boundary
        self.ends = network.ends
        self.layer_ends = [ends_of(layer.spec) for layer in layers]
        self.eval()

    def forward(self, signal: Tensor) -> Tensor:
        """As `Network.forward` in evaluation mode; lines must be long enough for its padding."""
        in_layers, policy = self.boundary.in_layers, self.boundary.policy
        hidden = signal if in_layers else extended(signal, self.ends, policy)
        for convolution, norm, ends in zip(self.convolutions, self.norms, self.layer_ends, strict=True):
            hidden = extended(hidden, ends, policy) if in_layers else hidden
            hidden = functional.relu(norm(convolution(hidden)))
        return self.head(hidden)  # type: ignore[no-any-return]


def extended(signal: Tensor, ends: tuple[int, int], policy: str) -> Tensor:
    """As `kernbench.networks.padding.padded`, by places in the line: an exporter follows these for lines of any length.

    Args:
        signal: (N, C, L).
        ends: samples before and behind.
        policy: one of `kernbench.networks.boundary.POLICIES`.
    """
    if policy == ZERO:
        return functional.pad(signal, ends)
    length = signal.shape[-1]
    places = torch.arange(-ends[0], length + ends[1], device=signal.device)
    last = length - 1
    if policy == REPLICATE:
        places = places.clamp(0, last)
    elif policy == CIRCULAR:
        places = places % length
    else:
        # mirrored at 0 and at the last sample; symmetric at half a sample beyond them
        half = {MIRROR: 0, SYMMETRIC: 1}[policy]
        places = torch.where(places < 0, -half - places, places)
        places = torch.where(places > last, 2 * last + half - places, places)
    return signal.index_select(-1, places)


def _convolution(layer: KernelConv) -> nn.Conv1d:
    """The convolution that a layer does in evaluation."""
    kernel, shift = layer.kernel().detach().clone(), layer.shift
    spec = layer.spec
    plain = nn.Conv1d(
        spec.in_channels,
        spec.out_channels,
        spec.kernel_size,
        dilation=spec.dilation,
        groups=spec.groups,
        bias=shift is not None,
        dtype=kernel.dtype,
    )
    plain.weight.data = kernel
    if shift is not None:
        plain.bias.data = shift.detach().clone()  # type: ignore[union-attr]
    return plain
