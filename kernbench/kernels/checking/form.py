"""Checks of a kernel as a tensor: built, of K taps, finite, not zero, in float32."""

from dataclasses import replace

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from kernbench.errors import KernbenchError, PluginError, counted, first_line
from kernbench.kernels.checking.kernels import BASE, SPECS, kernel_of, kernels, other_hypers
from kernbench.kernels.family import KernelFamily
from kernbench.kernels.finding import Finding

_KERNEL_SIZES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 33, 64, 65, 131)


def build(family: KernelFamily) -> str:
    """The class can be built, also with one input channel, groups and dilation."""
    for where, spec in SPECS.items():
        try:
            family.build(spec)
        except KernbenchError as error:
            raise Finding(f"{where}: {error}", blocks=spec is BASE) from error
    return f"built for {', '.join(SPECS)}"


def shape(family: KernelFamily) -> str:
    """Exactly (out_channels, in_channels // groups, K)."""
    for where, spec, kernel in kernels(family):
        if not isinstance(kernel, Tensor) or tuple(kernel.shape) != spec.shape:
            got = tuple(kernel.shape) if isinstance(kernel, Tensor) else type(kernel).__name__
            raise Finding(
                f"{where}: expected {spec.shape}, got {got}; forward(grid) must return "
                "(out_channels, in_channels // groups, K)",
                blocks=spec is BASE or not isinstance(kernel, Tensor),
            )
    return "exactly (out_channels, in_channels // groups, K)"


def finite(family: KernelFamily) -> str:
    """No NaN, no infinity, whatever the hyper-parameters."""
    for where, spec, kernel in kernels(family):
        if bad := int((~torch.isfinite(kernel)).sum()):
            said = f"{where}: {counted(bad, 'tap')} {'is' if bad == 1 else 'are'} NaN or infinite"
            raise Finding(said, blocks=spec is BASE)
    for hyper in other_hypers(family):
        if not torch.isfinite(kernel_of(family.build(BASE, hyper))).all():
            raise Finding(f"with {hyper} some taps are NaN or infinite")
    return "no NaN, no infinity"


class _DtypeWatch(TorchFunctionMode):
    """Notes every half-precision tensor that a torch call gives."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]  # torch's protocol
        """Call through and check the result."""
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.dtype in (torch.float16, torch.bfloat16):
            self.found.add(f"{getattr(func, '__name__', func)} gave {result.dtype}")
        return result


def precision(family: KernelFamily) -> str:
    """Nothing in half precision on the way to a float32 kernel."""
    module = family.build(BASE)
    with _DtypeWatch() as watch:
        kernel = kernel_of(module)
    if watch.found:
        raise Finding(f"half precision inside: {'; '.join(sorted(watch.found))}")
    if kernel.dtype != torch.float32:
        raise Finding(f"float32 lags and parameters gave a kernel in {kernel.dtype}")
    return "float32 throughout"


def alive(family: KernelFamily) -> str:
    """Some taps are not 0."""
    for where, spec, kernel in kernels(family):
        if not kernel.count_nonzero():
            raise Finding(f"{where}: the kernel starts with all taps 0", blocks=spec is BASE)
    return "some taps are not 0"


def every_k(family: KernelFamily) -> str:
    """Exactly K taps for every K, or a refusal in words."""
    refused = [kernel_size for kernel_size in _KERNEL_SIZES if not _takes(family, kernel_size)]
    answer = f"exact for K = {', '.join(str(k) for k in _KERNEL_SIZES if k not in refused)}"
    return answer + (f"; refuses K = {', '.join(map(str, refused))}" if refused else "")


def _takes(family: KernelFamily, kernel_size: int) -> bool:
    """True if the kernel is right for K, False if the family refuses K in words."""
    spec = replace(BASE, kernel_size=kernel_size, extent=0.0)
    try:
        kernel = kernel_of(family.build(spec))
    except Exception as error:
        # ValueError means "not this value" in Python; anything else was not meant
        if isinstance(error.__cause__ if isinstance(error, PluginError) else error, KernbenchError | ValueError):
            return False
        raise Finding(f"K = {kernel_size}: {first_line(error)}") from error
    if tuple(kernel.shape) != spec.shape or not torch.isfinite(kernel).all():
        raise Finding(f"K = {kernel_size}: expected {spec.shape} and finite, got {tuple(kernel.shape)}")
    return True
