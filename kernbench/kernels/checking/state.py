"""Checks of what a module keeps: nothing made in forward, all of it saved, copied, converted."""

import copy
import io
from collections import deque
from collections.abc import Mapping, Set

import numpy as np
import torch
from torch import Tensor, nn

from kernbench.errors import KernbenchError
from kernbench.host.accelerator import present
from kernbench.kernels.checking.kernels import BASE, SEED, kernel_of, move, other_hypers, relative
from kernbench.kernels.family import KernelFamily
from kernbench.kernels.finding import Finding, NotTried
from kernbench.kernels.layer import KernelConv
from kernbench.kernels.trained import constrain

_TENSORS_AND_PARTS = ("_parameters", "_buffers", "_modules")  # of a module; found by their own names


def stateless_forward(family: KernelFamily) -> str:
    """Forward makes no state, changes none, and leaves the lags alone."""
    module = family.build(BASE)
    grid = BASE.grid()
    before, lags = _state(module), grid.lags.clone()
    module(grid)
    after = _state(module)
    changed = sorted(key for key in {*before, *after} if not _same(before.get(key), after.get(key)))
    if changed:
        raise Finding(f"forward creates or changes {', '.join(changed)}; decide everything in __init__")
    if not torch.equal(lags, grid.lags):
        raise Finding("forward changes grid.lags in place")
    return "forward changes nothing"


def _state(module: nn.Module) -> dict[str, object]:
    """Every attribute of every submodule; tensors, arrays and what containers hold as copies."""
    found: dict[str, object] = {}
    for prefix, part in module.named_modules():
        plain = {key: value for key, value in vars(part).items() if key not in _TENSORS_AND_PARTS}
        for key, value in {**plain, **part._parameters, **part._buffers}.items():
            found[f"{prefix}.{key}".lstrip(".")] = _copied(value)
    return found


def _copied(value: object, inside: tuple[int, ...] = ()) -> object:
    """A copy that later changes in place do not reach; what is neither container nor numbers is itself.

    Args:
        value: of an attribute, or in a container.
        inside: ids of the containers around it, for one that holds itself.
    """
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, bytearray | np.ndarray):
        return value.copy()
    if id(value) in inside:
        return None
    inside = (*inside, id(value))
    if isinstance(value, Mapping):
        return {key: _copied(each, inside) for key, each in value.items()}
    if isinstance(value, list | tuple | deque):
        return [_copied(each, inside) for each in value]
    return set(value) if isinstance(value, Set) else value


def _same(one: object, other: object) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one, other)
    if isinstance(one, bytearray | np.ndarray) and type(one) is type(other):
        return np.array_equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(map(_same, one.values(), other.values()))
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, set) and isinstance(other, set):
        return one == other
    return one is other


def determinism(family: KernelFamily) -> str:
    """The same seed gives the same kernel; forward draws nothing."""
    kernels = []
    for _ in range(2):
        torch.manual_seed(SEED)
        module = family.build(BASE)
        before = torch.get_rng_state()
        kernels += [kernel_of(module), kernel_of(module)]
        if not torch.equal(before, torch.get_rng_state()):
            raise Finding("forward draws random numbers")
    if not all(torch.equal(kernels[0], other) for other in kernels[1:]):
        same_module = torch.equal(kernels[0], kernels[1]) and torch.equal(kernels[2], kernels[3])
        raise Finding(
            "the same seed gives different kernels; draw only from torch's global generator", blocks=not same_module
        )
    return "same seed, same bits"


def dtype(family: KernelFamily) -> str:
    """Float64 lags give a float64 kernel, the same to float32's accuracy, there and back."""
    module = family.build(BASE)
    single = kernel_of(module).detach().clone()
    double = module.double()(BASE.grid(dtype=torch.float64)).detach()
    if double.dtype != torch.float64:
        raise Finding(f"after .double() float64 lags gave a kernel in {double.dtype}")
    error = relative(single.double(), double)
    if not error <= 1e-3:  # NaN, too
        raise Finding(f"float32 and float64 kernels differ by {error:.1e} of the largest tap")
    if not torch.equal(kernel_of(module.float()).detach(), single):
        raise Finding("the kernel after .double().float() is another one")
    return f"float32 and float64 agree to {error:.0e}"


def device(family: KernelFamily) -> str:
    """The same kernel on an accelerator, if there is one."""
    where = present()
    if where is None:
        raise NotTried("no accelerator here")
    module = family.build(BASE)
    here = kernel_of(module).detach().clone()
    there = module.to(where)(BASE.grid(device=where)).detach()
    if there.device != torch.device(where) or not relative(there.cpu(), here) <= 1e-3:
        raise Finding(f"kernel on {there.device} differs from the one on the CPU")
    return "same kernel on the accelerator"


def state_dict(family: KernelFamily) -> str:
    """What is saved is the kernel; weights of other hyper-parameters are refused."""
    module = family.build(BASE)
    move(module)
    constrain([module])  # as a trained one: it may keep something of its steps
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    other = family.build(BASE)
    other.load_state_dict(state)
    if not torch.equal(kernel_of(module), kernel_of(other)):
        raise Finding("a kernel loaded from the state dict differs from the one saved: something is not stored")
    others = list(other_hypers(family))
    for hyper in others:
        different = family.build(BASE, hyper)
        try:
            different.load_state_dict(state)
        except (KernbenchError, RuntimeError):
            continue
        if not torch.equal(kernel_of(different), kernel_of(module)):
            raise Finding(
                f"weights load into a module with {hyper} and are not refused: hyper-parameters are not stored"
            )
    return "same kernel after save and load" + ("; other hyper-parameters are refused" if others else "")


def deepcopy(family: KernelFamily) -> str:
    """A copy is equal and shares nothing."""
    module = family.build(BASE)
    twin = copy.deepcopy(module)
    before = kernel_of(module).detach().clone()
    if not torch.equal(kernel_of(twin), before):
        raise Finding("a deep copy makes another kernel")
    move(twin)
    if not torch.equal(kernel_of(module), before):
        raise Finding("a deep copy shares parameters with the original")
    return "a copy is equal and independent"


def cache(family: KernelFamily) -> str:
    """A kernel kept for evaluation follows a step of its parameters."""
    layer = KernelConv(family.build(BASE), BASE).eval()
    with torch.no_grad():
        before = layer.kernel()
        if layer.kernel() is not before:
            raise Finding("the kernel is made again although nothing changed: forward changes a parameter or buffer")
        before = before.clone()
        move(layer.kernel_module)
        if torch.equal(layer.kernel(), before) and any(True for _ in layer.kernel_module.parameters()):
            raise Finding("the kernel in eval mode does not follow a step of its parameters")
    return "kept in eval mode until a parameter changes"
