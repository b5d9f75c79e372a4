"""Which kernels the checks ask for, and how: a few specs that differ in one thing each."""

from collections.abc import Iterator, Mapping
from contextlib import suppress

import torch
from torch import Tensor, nn

from kernbench.errors import KernbenchError
from kernbench.host.process_state import kept
from kernbench.kernels.base import KernelModule, KernelSpec
from kernbench.kernels.family import KernelFamily
from kernbench.kernels.space import Choice, Value

SEED = 20220101
BASE = KernelSpec(4, 3, kernel_size=17)
SPECS = {
    "4 x 3 channels": BASE,
    "one input channel": KernelSpec(4, 1, kernel_size=17),
    "2 groups": KernelSpec(4, 4, groups=2, kernel_size=9),
    "dilation 4": KernelSpec(2, 2, kernel_size=9, dilation=4),
}
ONE_SIDED = {side: KernelSpec(2, 2, kernel_size=9, side=side) for side in ("causal", "anticausal")}


def kernel_of(module: KernelModule) -> Tensor:
    """The kernel of a module on its training grid."""
    with kept(quick=True):  # `process` says what it changes
        kernel: Tensor = module(module.spec.grid())
    return kernel


def kernels(family: KernelFamily) -> Iterator[tuple[str, KernelSpec, Tensor]]:
    """A kernel of the defaults for every spec that can be built; whatever the family takes for one."""
    for where, spec in buildable(family, SPECS).items():
        yield where, spec, kernel_of(family.build(spec))


def buildable(family: KernelFamily, specs: Mapping[str, KernelSpec]) -> dict[str, KernelSpec]:
    """Those of some specs for which a family can be built; of the others `build` and `sides` speak."""
    found = {}
    for where, spec in specs.items():
        with suppress(KernbenchError):
            family.build(spec)
            found[where] = spec
    return found


def other_hypers(family: KernelFamily) -> Iterator[dict[str, Value]]:
    """For each hyper-parameter, the defaults with that one changed."""
    for name, parameter in family.parameters.items():
        default = parameter.start
        values = parameter.options if isinstance(parameter, Choice) else (parameter.low, parameter.high)
        yield from ({name: value} for value in values if value != default)


def move(module: nn.Module) -> None:
    """An in-place change of every parameter, as an optimizer makes it."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * (1 + parameter.abs()))


def relative(one: Tensor, other: Tensor) -> float:
    """Largest difference of two tensors over the largest number of the second."""
    return float((one - other).abs().max() / other.abs().max())
