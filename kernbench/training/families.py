"""What kernel families change of a training run: rates of their own, and penalties in the loss."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from kernbench.kernels.base import KernelModule
from kernbench.kernels.trained import kernel_modules, parameter_groups, penalties

PENALTY = "regularizer_"  # before the name of one in the curve, so that it is no other column's
_PLAIN = (1.0, 0.0)  # rate over the network's, weight decay

Groups = list[nn.Parameter] | list[dict[str, Any]]  # Any: what torch's optimizers take


def grouped(network: nn.Module, rate: float) -> Groups:
    """The parameters of a network as an optimizer takes them, a group for each distinct rate and weight decay.

    Args:
        network: with any layers.
        rate: of what no family gives a rate of its own.

    Returns:
        A plain list where all learn alike. Else groups that keep their `lr_mult`; the first has the rate itself if
        any parameter has.

    Raises:
        PluginError: see `parameter_groups`.
    """
    found = _by_kind(network)
    if list(found) == [_PLAIN]:
        return found[_PLAIN]
    return [
        {"params": parameters, "lr": rate * lr_mult, "lr_mult": lr_mult, "weight_decay": weight_decay}
        for (lr_mult, weight_decay), parameters in found.items()
    ]


def sizes(network: nn.Module) -> list[int]:
    """Number of parameters in each of the groups that `grouped` makes."""
    return [len(each) for each in _by_kind(network).values()]


def penalized(
    loss: Tensor, terms: Mapping[str, Tensor], families: Iterable[KernelModule]
) -> tuple[Tensor, Mapping[str, Tensor]]:
    """A training loss with the regularizers of the families.

    Args:
        loss: scalar.
        terms: of that loss, for the curve.
        families: kernel modules of the network.

    Returns:
        The loss plus weight times regularizer of every module, and the terms with the sums over modules, without
        weights; both as they came if no regularizer has a weight.

    Raises:
        PluginError: see `penalties`.
    """
    sums: dict[str, Tensor] = {}
    for module in families:
        for name, (weight, value) in penalties(module).items():
            loss = loss + weight * value
            sums[PENALTY + name] = sums[PENALTY + name] + value if PENALTY + name in sums else value
    return loss, {**terms, **sums}


def _by_kind(network: nn.Module) -> dict[tuple[float, float], list[nn.Parameter]]:
    """(lr_mult, weight_decay) -> parameters, in the order of the network; plain ones first."""
    kinds = {
        id(each): (group.lr_mult, group.weight_decay)
        for module in kernel_modules(network)
        for group in parameter_groups(module)
        for each in group.parameters
    }
    found: dict[tuple[float, float], list[nn.Parameter]] = {_PLAIN: []}
    for each in network.parameters():
        found.setdefault(kinds.get(id(each), _PLAIN), []).append(each)
    return {kind: parameters for kind, parameters in found.items() if parameters}
