"""Memory of one training update, counted on tensors without values: no GPU, and no memory, is needed."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from kernbench.bench.live_bytes import LiveBytes
from kernbench.conv.auto import choose
from kernbench.networks.network import Network
from kernbench.ulm.scoring.loss import dual_loss

# Shapes alone matter there, and `auto` decides as on CUDA: by the constants of a device that is no CPU.
ABSTRACT = "meta"
REST = -1  # what no layer keeps: lines, loss, the 1x1 convolution at the end


@dataclass
class LayerMemory:
    """What one layer keeps for the backward pass, in bytes; each storage counts where it is kept first.

    Attributes:
        backend: what the layer convolves with, never "auto"; "" for what no layer keeps.
        activations: real tensors as large as lines.
        spectra: complex tensors.
        kernel: what making the kernel keeps, and the kernel.
    """

    backend: str
    activations: int = 0
    spectra: int = 0
    kernel: int = 0


@dataclass(frozen=True)
class UpdateMemory:
    """Memory of one update, in bytes.

    Attributes:
        state: parameters, buffers and the two moments of Adam, there before and after.
        peak: the most that the update adds: its batch, activations, spectra, temporaries, gradients.
        layers: what each layer keeps, input side first.
        rest: what no layer keeps.
    """

    state: int
    peak: int
    layers: list[LayerMemory]
    rest: LayerMemory

    def kept(self, what: str) -> int:
        """Bytes of "activations", "spectra" or "kernel" that are kept for the backward pass, in all."""
        return sum(int(getattr(each, what)) for each in (*self.layers, self.rest))


def count_update(network: Network, batch: int, samples: int) -> UpdateMemory:
    """Count what an update needs beside the lines of the study.

    Args:
        network: made by `kernbench.networks.build`; it is moved to "meta" and loses its values.
        batch: lines.
        samples: of a line.

    Returns:
        Bytes, without what libraries allocate inside an operation.
    """
    network.to(ABSTRACT).train()
    state = _bytes(network.parameters()) * 3 + _bytes(network.buffers())
    layers, rest = _kept(network, batch, samples)
    network.zero_grad(set_to_none=True)
    with LiveBytes() as live:
        _loss(network, batch, samples).backward()
    return UpdateMemory(state, live.peak, layers, rest)


def _loss(network: nn.Module, batch: int, samples: int) -> Tensor:
    signal, target = torch.empty(2, batch, samples, device=ABSTRACT).unbind()
    return dual_loss(network(signal.unsqueeze(1)), target.unsqueeze(1)).loss


def _kept(network: Network, batch: int, samples: int) -> tuple[list[LayerMemory], LayerMemory]:
    """What a forward pass leaves for the backward pass."""
    kept = _Kept(network, samples, batch)
    with torch.autograd.graph.saved_tensors_hooks(kept.pack, lambda tensor: tensor):
        held = _loss(network, batch, samples)  # held: the address of a freed storage would be used again
    del held
    kept.close()
    return [kept.found[number] for number in sorted(kept.found) if number != REST], kept.found[REST]


class _Kept:
    """Who keeps which tensor: hooks on layers and kernels say whose turn it is when autograd saves one."""

    def __init__(self, network: Network, samples: int, batch: int) -> None:
        self.found = {REST: LayerMemory("")}
        self._turn, self._making_kernel = REST, False
        # what is there whether or not gradients are asked for
        self._known = {each.untyped_storage()._cdata for each in (*network.parameters(), *network.buffers())}
        self._handles: list[RemovableHandle] = []
        lengths = network.layer_lengths(samples)
        for number, (block, layer) in enumerate(zip(network.blocks, network.kernel_layers(), strict=True)):
            spec, inputs = layer.spec, layer.spec.in_channels
            shapes = (batch, inputs, lengths[number]), (spec.out_channels, inputs // spec.groups, spec.kernel_size)
            backend = choose(*shapes, spec.dilation, ABSTRACT) if layer.backend == "auto" else layer.backend
            self.found[number] = LayerMemory(backend)
            self._around(block, functools.partial(setattr, self, "_turn"), number, REST)
            self._around(layer.kernel_module, functools.partial(setattr, self, "_making_kernel"), True, False)

    def _around(self, module: nn.Module, tell: functools.partial[None], before: object, after: object) -> None:
        self._handles.append(module.register_forward_pre_hook(lambda *_: tell(before)))
        self._handles.append(module.register_forward_hook(lambda *_: tell(after)))

    def pack(self, tensor: Tensor) -> Tensor:
        """Count a tensor that autograd saves; an alias, as an output that its own graph held would never be freed."""
        storage = tensor.untyped_storage()
        if storage._cdata not in self._known:
            self._known.add(storage._cdata)
            here = self.found[self._turn]
            name = "kernel" if self._making_kernel else "spectra" if tensor.is_complex() else "activations"
            setattr(here, name, getattr(here, name) + storage.nbytes())
        return tensor.detach()

    def close(self) -> None:
        for handle in self._handles:
            handle.remove()


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(each.untyped_storage().nbytes() for each in tensors)
