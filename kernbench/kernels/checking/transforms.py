"""What torch can do with a kernel module besides calling it; shown, never required."""

import logging

import torch
from torch import Tensor

from kernbench.errors import first_line
from kernbench.kernels.base import KernelSpec
from kernbench.kernels.checking.kernels import relative
from kernbench.kernels.family import KernelFamily
from kernbench.kernels.finding import Note

_SPEC = KernelSpec(2, 2, kernel_size=9)
_CLOSE = 1e-4  # of the largest tap: transforms may round otherwise


def compile_whole(family: KernelFamily) -> str:
    """torch.compile takes forward as one graph."""
    module, grid = family.build(_SPEC), _SPEC.grid()
    log = logging.getLogger("torch")
    before = log.level
    try:
        log.setLevel(logging.CRITICAL)  # what it cannot do is said below, in one line
        kernel = torch.compile(module, backend="eager", fullgraph=True)(grid)
    except Exception as error:
        raise Note(f"torch.compile cannot take forward as one graph: {first_line(error)}") from error
    finally:
        log.setLevel(before)
        torch.compiler.reset()
    _check_same(kernel, module(grid), "torch.compile")
    return "forward is one graph"


def func(family: KernelFamily) -> str:
    """torch.func: functional_call, and vmap and grad over the parameters of several kernels."""
    module, grid = family.build(_SPEC), _SPEC.grid()
    one = {name: p.detach() for name, p in module.named_parameters()}
    if not one:
        return "no parameters"
    several = {name: torch.stack([p, 1.1 * p]) for name, p in one.items()}

    def kernel(parameters: dict[str, Tensor]) -> Tensor:
        made: Tensor = torch.func.functional_call(module, parameters, (grid,))
        return made

    def energy(parameters: dict[str, Tensor]) -> Tensor:
        return kernel(parameters).square().sum()

    try:
        kernels = torch.func.vmap(kernel)(several)
        gradients = torch.func.vmap(torch.func.grad(energy))(several)
        own = torch.func.grad(energy)(one)
    except Exception as error:
        raise Note(f"torch.func cannot transform it: {first_line(error)}") from error
    largest = max(float(gradient.abs().max()) for gradient in own.values())  # one that vanishes is all rounding
    if not all((gradients[name][0] - own[name]).abs().max() <= _CLOSE * largest for name in own):
        raise Note("a gradient under torch.func.vmap differs from that of a single kernel")
    _check_same(kernels[0], module(grid), "torch.func.vmap")
    return "functional_call, vmap and grad"


def _check_same(got: Tensor, expected: Tensor, what: str) -> None:
    if not relative(got.detach(), expected.detach()) < _CLOSE:
        raise Note(f"the kernel under {what} differs from that of a plain call")
