"""What a training step asks of the kernel modules of a network: groups of parameters, regularizers, constraints."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kernbench.errors import PluginError, counted
from kernbench.kernels import capabilities
from kernbench.kernels.asked import ask, who
from kernbench.kernels.base import KernelModule
from kernbench.kernels.layer import KernelConv

_KEYS = ("params", "lr_mult", "weight_decay")


@dataclass(frozen=True, eq=False)
class ParameterGroup:
    """Parameters that learn in the same way.

    Attributes:
        parameters: trainable ones.
        lr_mult: their learning rate over that of the network.
        weight_decay: of Adam.
    """

    parameters: Sequence[nn.Parameter]
    lr_mult: float = 1.0
    weight_decay: float = 0.0


def kernel_modules(network: nn.Module) -> list[KernelModule]:
    """The kernel modules of a network's layers, each once; what lies inside one is the family's own affair.

    Args:
        network: any module.

    Returns:
        In the order of the layers.
    """
    found = [each.kernel_module for each in network.modules() if isinstance(each, KernelConv)]
    return list({id(module): module for module in found}.values())


def parameter_groups(module: KernelModule) -> list[ParameterGroup]:
    """How the parameters of a kernel module learn, as its family says by `param_groups()`; all alike if it is silent.

    Args:
        module: of any family.

    Returns:
        Every trainable parameter in exactly one group.

    Raises:
        PluginError: one is missing, there twice or of another module; an unknown key; a rate that is not above 0; a
            decay below 0.
    """
    trainable = {name: each for name, each in module.named_parameters() if each.requires_grad}
    declared = ask(module, "param_groups")
    if declared is None:
        return [ParameterGroup(list(trainable.values()))]
    if not isinstance(declared, list | tuple):
        raise PluginError(f"{who(module)}: param_groups() must return a list of dicts, got {_kind(declared)}")
    groups = [_group(module, each) for each in declared]
    times = Counter(id(each) for group in groups for each in group.parameters)
    wrong = [f"{name} {counted(times[id(each)], 'time')}" for name, each in trainable.items() if times[id(each)] != 1]
    if foreign := len(times.keys() - {id(each) for each in trainable.values()}):
        wrong.append(
            f"{counted(foreign, 'tensor')} that {'is' if foreign == 1 else 'are'} no trainable parameter of it"
        )
    if wrong:
        raise PluginError(
            f"{who(module)}: param_groups() must have every trainable parameter exactly once, got {', '.join(wrong)}"
        )
    return groups


def penalties(module: KernelModule) -> dict[str, tuple[float, Tensor]]:
    """The regularizers of a kernel module that count.

    Args:
        module: of any family.

    Returns:
        Name -> weight, which is the hyper-parameter of that name, and scalar; without those of weight 0. Empty if the
        family offers none, and for a module that was built by hand, which has no hyper-parameters.

    Raises:
        PluginError: one has no hyper-parameter of its name for its weight, or is no scalar.
    """
    declared = ask(module, "regularizers")
    if declared is None or not module.family:
        return {}
    if not isinstance(declared, Mapping):
        raise PluginError(f"{who(module)}: regularizers() must return a dict of name -> scalar, got {_kind(declared)}")
    found = {}
    for name, value in declared.items():
        weight = module.hyper.get(name)
        if isinstance(weight, bool | str) or weight is None:
            raise PluginError(
                f"{who(module)}: regularizer {name!r} needs its weight, a hyper-parameter {name!r} in the space that "
                f"is a kernbench.Float; got {weight!r}"
            )
        if not isinstance(value, Tensor) or value.ndim:
            got = tuple(value.shape) if isinstance(value, Tensor) else _kind(value)
            raise PluginError(f"{who(module)}: regularizer {name!r} must be a tensor without dimensions, got {got}")
        if weight:
            found[name] = float(weight), value
    return found


def check_trainable(module: KernelModule) -> None:
    """Refuse before training what no training step could use.

    Raises:
        PluginError: see `parameter_groups` and `penalties`.
    """
    parameter_groups(module)
    penalties(module)


def constrain(modules: Sequence[KernelModule]) -> None:
    """Put the parameters of kernel modules back where their families say that they may be, in place."""
    with torch.no_grad():
        for module in modules:
            if (put_back := capabilities.of(module, "constrain_")) is not None:
                put_back()


def _group(module: KernelModule, declared: object) -> ParameterGroup:
    if not isinstance(declared, Mapping) or "params" not in declared or not set(declared) <= set(_KEYS):
        got = list(declared) if isinstance(declared, Mapping) else _kind(declared)
        raise PluginError(f"{who(module)}: a group of param_groups() is a dict of {', '.join(_KEYS)}; got {got}")
    rate, decay = declared.get("lr_mult", 1.0), declared.get("weight_decay", 0.0)
    if not _is_number(rate) or not 0 < rate < math.inf:
        raise PluginError(f"{who(module)}: lr_mult in param_groups() must be a number > 0, got {rate!r}")
    if not _is_number(decay) or not 0 <= decay < math.inf:
        raise PluginError(f"{who(module)}: weight_decay in param_groups() must be a number >= 0, got {decay!r}")
    if not isinstance(declared["params"], list | tuple):
        got = _kind(declared["params"])
        raise PluginError(f"{who(module)}: params in param_groups() must be a list of parameters, got {got}")
    return ParameterGroup(list(declared["params"]), float(rate), float(decay))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: object) -> str:
    return type(value).__name__
