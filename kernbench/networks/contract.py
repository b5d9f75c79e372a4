"""What kernbench needs of a network that builds its own module, and the check that it is there."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from kernbench.errors import PluginError, counted
from kernbench.kernels.layer import KernelConv
from kernbench.networks import fitting
from kernbench.networks.architecture import Architecture

_SPARE = 33  # samples of the trial line beyond what its padding needs


@runtime_checkable
class KernelNetwork(Protocol):
    """A torch module that maps lines (N, 1, L) to scores (N, 1, L), and says of itself what follows.

    Optional members:
        recompute: False at first; of a module that can compute its activations again in the backward pass. A study with
            `training.recompute` sets it.
        reach: (before, behind), samples before and behind an output sample that can move it, the most over all
            outputs; without it the receptive field counts as centred.
        strides(): one whole number for each of `kernel_layers()`: every how many-th output of the layer goes on, 1 for
            all. With it `kernbench evaluate` says what a stride folds, see `kernbench.networks.folding`.

    Attributes:
        padding: samples of reflection on each side of a line, as the architecture's `padding(layers)`.
        receptive_field: input samples that can reach one output sample, as the architecture's.
    """

    padding: int
    receptive_field: int

    def kernel_layers(self) -> list[KernelConv]:
        """The very convolutions that `build` was given, input side first."""


def check_module(module: object, plan: Architecture, layers: Sequence[KernelConv]) -> None:
    """Refuse a module that kernbench could not train, score, count or draw.

    Args:
        module: what the architecture's own `build` gave.
        plan: the architecture.
        layers: what `build` was given.

    Raises:
        PluginError: something is missing or of another value, a layer is not used, the output has another shape, or
            the forward pass raises.
    """
    who = f"the module of network {plan.name!r}"
    if not isinstance(module, nn.Module):
        raise PluginError(f"build() of network {plan.name!r} must return a torch module, got {type(module).__name__}")
    for name in ("kernel_layers", "padding", "receptive_field"):
        if not hasattr(module, name):
            raise PluginError(f"{who} has no {name}; subclass kernbench.networks.Network, or give it one")
    assert isinstance(module, KernelNetwork)
    own = fitting.asked(plan, module.kernel_layers)
    if not isinstance(own, list | tuple) or list(map(id, own)) != list(map(id, layers)):
        raise PluginError(
            f"{who}: kernel_layers() must return the {counted(len(layers), 'layer')} that build() was given"
        )
    specs = [layer.spec for layer in layers]
    for name in ("padding", "receptive_field"):
        if getattr(module, name) != (wanted := fitting.checked_length(plan, name, specs)):
            raise PluginError(f"{who} has {name} {getattr(module, name)!r}; its {name}(layers) says {wanted}")
    _check_pass(module, plan, module.padding + _SPARE, who)


def input_lengths(network: nn.Module, length: int) -> list[int | None]:
    """Samples that each convolution layer takes, by a forward pass of two lines; None where one is not used.

    Args:
        network: in any mode, which is left as it was.
        length: samples of a line.

    Raises:
        PluginError: the output is not (2, 1, length).
    """
    layers: list[KernelConv] = network.kernel_layers()  # type: ignore[operator]  # torch's modules may have anything
    return [calls[-1].taken if calls else None for calls in calls_of(network, length, layers)]


class Call(NamedTuple):
    """A module that is called in a forward pass: samples that it takes and gives."""

    taken: int
    given: int


def calls_of(network: nn.Module, length: int, modules: Sequence[nn.Module]) -> list[list[Call]]:
    """Calls of each of some modules, by a forward pass of two lines.

    Args:
        network: in any mode, which is left as it was.
        length: samples of a line.
        modules: of the network; each takes one tensor and gives one.

    Raises:
        PluginError: the output is not (2, 1, length).
    """
    seen: dict[int, list[Call]] = {}

    def note(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        seen.setdefault(id(module), []).append(Call(given[0].shape[-1], output.shape[-1]))

    hooks = [module.register_forward_hook(note) for module in modules]
    mode = network.training
    network.eval()
    try:
        with torch.no_grad():
            device = next(network.parameters()).device
            output = network(torch.linspace(-1, 1, 2 * length, device=device).view(2, 1, length))
    finally:
        network.train(mode)
        for hook in hooks:
            hook.remove()
    got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if got != (2, 1, length):
        raise PluginError(f"lines of shape {(2, 1, length)} gave {got}; expected scores of the same shape")
    return [seen.get(id(module), []) for module in modules]


def _check_pass(module: nn.Module, plan: Architecture, length: int, who: str) -> None:
    try:
        lengths = fitting.asked(plan, input_lengths, module, length)
    except PluginError as error:
        raise PluginError(f"{who}: {str(error).replace('input_lengths()', 'forward()')}") from error
    if None in lengths:
        raise PluginError(f"{who}: layer {lengths.index(None) + 1} takes no part in forward()")
