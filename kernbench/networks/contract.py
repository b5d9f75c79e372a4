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
        other_operations(length): operations for one line of so many samples that are neither of its layers nor of a
            `torch.nn.Conv1d`, nor norms and activations; see `other_operations` here.

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


class Use(NamedTuple):
    """Samples that a convolution takes and gives, one time."""

    taken: int
    given: int


def uses_of(network: nn.Module, convolutions: Sequence[nn.Module], length: int) -> list[list[Use]]:
    """All uses of each convolution in a forward pass of two lines.

    Args:
        network: in any mode, which is left as it was.
        convolutions: parts of it.
        length: samples of a line.

    Raises:
        PluginError: the output is not (2, 1, length).
    """
    seen: dict[int, list[Use]] = {id(each): [] for each in convolutions}

    def note(convolution: nn.Module, taken: tuple[Tensor, ...], given: Tensor) -> None:
        seen[id(convolution)].append(Use(taken[0].shape[-1], given.shape[-1]))

    hooks = [each.register_forward_hook(note) for each in convolutions]
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
    return [seen[id(each)] for each in convolutions]


def other_operations(network: nn.Module, length: int) -> int:
    """Operations of a forward pass that a module counts itself: beside its convolutions, norms and activations.

    Args:
        network: any module; without a method `other_operations` it has none.
        length: samples of a line.

    Raises:
        PluginError: no whole number >= 0.
    """
    own = getattr(network, "other_operations", None)
    counted_by_module = 0 if own is None else own(length)
    if not isinstance(counted_by_module, int) or isinstance(counted_by_module, bool) or counted_by_module < 0:
        raise PluginError(
            f"other_operations() of {type(network).__name__} must give a whole number >= 0, "
            f"got {counted_by_module!r:.60}"
        )
    return counted_by_module


def _check_pass(module: nn.Module, plan: Architecture, length: int, who: str) -> None:
    try:
        uses = fitting.asked(plan, uses_of, module, module.kernel_layers(), length)  # type: ignore[operator]
    except PluginError as error:
        raise PluginError(f"{who}: {str(error).replace('uses_of()', 'forward()')}") from error
    if [] in uses:
        raise PluginError(f"{who}: layer {uses.index([]) + 1} takes no part in forward()")
    fitting.asked(plan, other_operations, module, length)
