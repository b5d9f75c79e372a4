"""Several seeds of one network as one: parameters stacked, one grouped convolution for all of them.

Seed s of S owns channels s C .. (s + 1) C of every layer. BatchNorm and ReLU treat channels one by one, convolutions
with S groups keep the seeds apart, and so does Adam, which is elementwise: one seed's NaN stays its own. Kernels alone
are made by something that knows nothing of groups, the family's module: it is mapped over the stacked parameters.
"""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from kernbench.conv.dispatch import convolve
from kernbench.errors import first_line
from kernbench.kernels.layer import KernelConv
from kernbench.networks import Network

Tensors = dict[str, Tensor]
Mapped = Callable[[Tensors], Tensor]


class Stack(nn.Module):
    """Networks of equal shape, trained together.

    Args:
        networks: of one family and shape, on one device; the stack copies their numbers.

    Attributes:
        networks: as given; `scatter` writes the stack's numbers back into them.
        note: why kernels are made seed by seed, empty where they are made together.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        super().__init__()
        self.networks = tuple(networks)  # a tuple hides them from nn.Module: the stacked parameters alone are trained
        template = copy.deepcopy(networks[0]).train()
        self._layers = tuple(_Layer(layer, len(networks)) for layer in template.kernel_layers())
        self._norms = tuple(module for module in template.modules() if isinstance(module, nn.BatchNorm1d))
        self._names = [name for name, _ in networks[0].named_parameters()]
        self._buffer_names = [name for name, _ in networks[0].named_buffers()]
        self.stacked = nn.ParameterList(nn.Parameter(each) for each in self._gathered("parameters"))
        for place, buffer in enumerate(self._gathered("buffers")):
            self.register_buffer(f"buffer_{place}", buffer)
        self.note = ""
        self._map = _together
        self._choose_map()

    def forward(self, signal: Tensor) -> Tensor:
        """Localize with each seed's network on its own lines: (B, S, L) -> (B, S, L)."""
        first, numbers = self.networks[0], self._numbers()
        hidden = functional.pad(signal, (first.padding, first.padding), mode="reflect")
        for place, layer in enumerate(self._layers):
            hidden = self._convolved(layer, hidden, _below(numbers, f"blocks.{place}.0."))
            hidden = _normalized(self._norms[place], hidden, _below(numbers, f"blocks.{place}.1."))
            hidden = functional.relu(hidden, inplace=True)
        weight, bias = numbers["head.weight"], numbers["head.bias"]
        return functional.conv1d(hidden, weight.flatten(0, 1), bias.flatten(), groups=len(self.networks))

    def scatter(self) -> None:
        """Write parameters and buffers of the stack into the networks."""
        numbers = self._numbers()
        with torch.no_grad():
            for place, network in enumerate(self.networks):
                for name, tensor in (*network.named_parameters(), *network.named_buffers()):
                    tensor.copy_(numbers[name][place])

    def gather(self) -> None:
        """Take parameters and buffers of the networks into the stack."""
        with torch.no_grad():
            for stacked, new in zip(self.stacked, self._gathered("parameters"), strict=True):
                stacked.copy_(new)
            for place, new in enumerate(self._gathered("buffers")):
                self.get_buffer(f"buffer_{place}").copy_(new)

    def _gathered(self, kind: str) -> list[Tensor]:
        return [torch.stack([each.detach() for each in same]) for same in zip(*self._of_each(kind), strict=True)]

    def _of_each(self, kind: str) -> list[list[Tensor]]:
        return [list(getattr(network, kind)()) for network in self.networks]

    def _numbers(self) -> Tensors:
        """Name in a network -> stacked tensor (S, ...)."""
        buffers = [self.get_buffer(f"buffer_{place}") for place in range(len(self._buffer_names))]
        return dict(zip(self._names, self.stacked, strict=True)) | dict(zip(self._buffer_names, buffers, strict=True))

    def _convolved(self, layer: "_Layer", hidden: Tensor, numbers: Tensors) -> Tensor:
        bias = numbers.pop("bias", None)
        kernel = layer.kernels(numbers, self._map)
        spec = layer.conv.spec
        groups = len(self.networks) * spec.groups
        output = convolve(hidden, kernel.flatten(0, 1), spec.dilation, groups, layer.conv.backend)
        return output if bias is None else output + bias.flatten()[:, None]

    def _choose_map(self) -> None:
        """Make all kernels once; a family that cannot be mapped is called seed by seed."""
        numbers = self._numbers()
        try:
            for place, layer in enumerate(self._layers):
                kernels = layer.kernels(_below(numbers, f"blocks.{place}.0."), _together)
                if kernels.requires_grad:
                    kernels.sum().backward()
        except Exception as error:  # whatever a plugin does that vmap cannot follow
            self.note = f"kernels are made seed by seed, the family cannot be mapped over seeds: {first_line(error)}"
            self._map = _one_by_one
        self.zero_grad()


class _Layer(nn.Module):
    """The kernel of one layer as a function of its numbers."""

    def __init__(self, conv: KernelConv, seeds: int) -> None:
        super().__init__()
        self.conv = conv
        self._seeds = seeds

    def forward(self) -> Tensor:
        spec = self.conv.spec
        return self.conv.kernel(spec.grid(dtype=self.conv.dtype, device=self.conv.device))

    def kernels(self, numbers: Tensors, how: Callable[[Mapped], Mapped]) -> Tensor:
        """Kernels (S, Co, Ci / groups, K) of stacked parameters and buffers."""
        own = {f"conv.{name}": tensor for name, tensor in numbers.items() if name != "bias"}
        if not own:  # a family of constants: one kernel serves all seeds
            return torch.stack([self()] * self._seeds)
        return how(lambda one: functional_call(self, one, ()))(own)


def _normalized(norm: nn.BatchNorm1d, hidden: Tensor, numbers: Tensors) -> Tensor:
    """BatchNorm of all seeds' channels; the stacked statistics move in place, as views of their buffers."""
    assert norm.momentum is not None  # of torch's default; None would mean a cumulative average
    numbers["num_batches_tracked"].add_(1)
    names = ("running_mean", "running_var", "weight", "bias")
    mean, variance, weight, bias = (numbers[name].flatten() for name in names)
    return functional.batch_norm(hidden, mean, variance, weight, bias, True, norm.momentum, norm.eps)


def _below(numbers: Tensors, prefix: str) -> Tensors:
    return {name.removeprefix(prefix): tensor for name, tensor in numbers.items() if name.startswith(prefix)}


def _together(function: Mapped) -> Mapped:
    mapped: Mapped = torch.vmap(function)
    return mapped


def _one_by_one(function: Mapped) -> Mapped:
    """As `_together`, by a loop."""

    def looped(stacked: Tensors) -> Tensor:
        count = len(next(iter(stacked.values())))
        return torch.stack([function({name: each[place] for name, each in stacked.items()}) for place in range(count)])

    return looped
