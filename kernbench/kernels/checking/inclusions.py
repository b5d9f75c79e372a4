"""The check of what a family declares to contain: it makes the very kernels of the other family."""

from collections.abc import Mapping

import torch

from kernbench.errors import close_match, first_line
from kernbench.kernels.base import KernelSpec
from kernbench.kernels.checking.kernels import BASE, relative
from kernbench.kernels.family import KernelFamily
from kernbench.kernels.finding import Finding
from kernbench.kernels.inclusion import Inclusion

_SPECS = (BASE, KernelSpec(2, 2, kernel_size=9, dilation=4), KernelSpec(2, 2, kernel_size=9, side="causal"))


def inclusions(family: KernelFamily, known: Mapping[str, KernelFamily] | None = None) -> str:
    """Each family that is declared to be contained is a known one, and has its own kernel made again by this one.

    Args:
        family: declares them.
        known: name -> family of all that a user can name beside it; names are not looked up without them.

    Returns:
        What it contains, and the largest difference.
    """
    if known is not None:
        for each in family.contains:
            _check_known(each, known)
    torch.set_default_dtype(torch.float64)  # for every module below; put back after the check
    said = [f"{each.family} to {_largest_difference(family, each):.0e}" for each in family.contains]
    return f"contains {', '.join(said)}" if said else "declares to contain no other family"


def _check_known(inclusion: Inclusion, known: Mapping[str, KernelFamily]) -> None:
    """A name that leads to the very class that is built."""
    named = known.get(inclusion.family)
    if named is None:
        hint = close_match(inclusion.family, known)
        raise Finding(
            f"contains {inclusion.family!r}, but no family of that name is installed or offered by the same file{hint}"
        )
    try:
        own, others = inclusion.load(), named.load()
    except Exception as error:
        raise Finding(f"{inclusion.family}: cannot be loaded: {first_line(error)}") from error
    if own is not others:
        raise Finding(
            f"contains {inclusion.family!r}, whose class is {others.__name__}, but gives {own.__name__} of "
            f"{own.__module__} as module"
        )


def _largest_difference(family: KernelFamily, inclusion: Inclusion) -> float:
    return max(_difference(family, inclusion, spec) for spec in _SPECS)


def _difference(family: KernelFamily, inclusion: Inclusion, spec: KernelSpec) -> float:
    where = f"{inclusion.family}, K = {spec.kernel_size}, dilation {spec.dilation}, {spec.side}"
    with torch.no_grad():
        try:
            other = inclusion.build(spec)
            own = inclusion.embedded(other)
        except Exception as error:
            raise Finding(f"{where}: cannot be built: {first_line(error)}") from error
        if not isinstance(own, family.load()):
            raise Finding(f"{where}: embed must return a {family.load().__name__}, got {type(own).__name__}")
        difference = relative(own(spec.grid()), other(spec.grid()))
    if not difference <= inclusion.tolerance:
        raise Finding(
            f"{where}: kernels differ by {difference:.1e} of the largest tap, more than {inclusion.tolerance}"
        )
    return difference
