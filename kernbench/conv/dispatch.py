"""`convolve`: checks once at the border, one meaning for every backend."""

import torch
from torch import Tensor

from kernbench.conv.auto import block_plan, choose
from kernbench.conv.backends import BACKENDS
from kernbench.conv.direct import convolve_direct
from kernbench.conv.fft_conv import convolve_fft_conv
from kernbench.conv.plan import Plan, whole
from kernbench.conv.spectral import convolve_spectral
from kernbench.conv.transformed import convolve_transformed, is_transformed
from kernbench.errors import KernbenchError, close_match
from kernbench.host.autocast import without_autocast

_WITHOUT_PLAN = {"direct": convolve_direct, "fft_conv": convolve_fft_conv}
_HALF = (torch.float16, torch.bfloat16)


def convolve(signal: Tensor, kernel: Tensor, dilation: int = 1, groups: int = 1, backend: str = "auto") -> Tensor:
    """Valid cross-correlation, as torch.nn.functional.conv1d without padding.

    y[b, o, t] = sum over i, j of kernel[o, i, j] signal[b, i, t + j dilation].

    Args:
        signal: shape (B, Ci, L).
        kernel: shape (Co, Ci // groups, K), same dtype (floating point) and device.
        dilation: samples between neighbouring taps.
        groups: blocks of channels that do not see each other.
        backend: a name in `BACKENDS`.

    Returns:
        Tensor (B, Co, L - dilation (K - 1)) in the signal's dtype, on its device; half precision is computed in
        float32 and cast back. Under `torch.func` and `torch.jit.trace`, "fft" and "overlap_save" take one spectrum of
        each whole line, and "fft_conv" cannot be batched by vmap.

    Raises:
        KernbenchError: shapes, dtypes or channels that do not fit, integers or complex numbers, or no output
            sample left.
    """
    check_backend(backend)
    check(signal, kernel, dilation, groups)
    backend, plan = resolve(signal, kernel, dilation, backend)
    dtype = signal.dtype
    if dtype in _HALF:  # torch has no half-precision FFT on the CPU
        signal, kernel = signal.float(), kernel.float()
    with without_autocast(signal.device):
        if backend != "fft_conv" and is_transformed():
            return convolve_transformed(signal, kernel, dilation, groups, spectral=plan is not None).to(dtype)
        if plan is None:
            return _WITHOUT_PLAN[backend](signal, kernel, dilation, groups).to(dtype)
        return convolve_spectral(signal, kernel, groups, plan).to(dtype)


def resolve(signal: Tensor, kernel: Tensor, dilation: int, backend: str) -> tuple[str, Plan | None]:
    """What a backend does with these shapes: its name, never "auto", and its cut into blocks if it uses spectra."""
    if backend == "auto":
        backend = choose(signal.shape, kernel.shape, dilation, signal.device.type)
    if backend == "fft":
        return backend, whole(signal.shape[2], kernel.shape[2], dilation)
    if backend == "overlap_save":
        return backend, block_plan(signal.shape, kernel.shape, dilation, signal.device.type)
    return backend, None


def check_backend(backend: str) -> str:
    """The backend's name, if there is one of that name; else KernbenchError with the nearest."""
    if backend not in BACKENDS:
        hint = close_match(backend, BACKENDS)
        raise KernbenchError(f"no convolution backend {backend!r}; there are {', '.join(BACKENDS)}{hint}")
    return backend


def check(signal: Tensor, kernel: Tensor, dilation: int, groups: int) -> None:
    """Raise KernbenchError unless `convolve` can take these arguments."""
    if signal.ndim != 3 or kernel.ndim != 3:
        raise KernbenchError(
            f"expected a signal (B, Ci, L) and a kernel (Co, Ci // groups, K), got shapes {tuple(signal.shape)} "
            f"and {tuple(kernel.shape)}"
        )
    if dilation < 1 or groups < 1:
        raise KernbenchError(f"dilation and groups must be >= 1, got {dilation} and {groups}")
    if signal.dtype != kernel.dtype or signal.device != kernel.device:
        raise KernbenchError(
            f"signal and kernel must share dtype and device, got {signal.dtype} on {signal.device} and {kernel.dtype} "
            f"on {kernel.device}"
        )
    if not signal.dtype.is_floating_point:  # a spectrum would be cut to whole numbers, each backend in its own way
        raise KernbenchError(
            f"signal and kernel must hold floating-point numbers, got {signal.dtype}; convert both, as with .float()"
        )
    (_, inputs, length), (outputs, per_group, taps) = signal.shape, kernel.shape
    if inputs != per_group * groups or outputs % groups:
        raise KernbenchError(
            f"a kernel with {outputs} output and {per_group} input channels per group ({groups} groups) needs a "
            f"signal of {per_group * groups} channels and outputs divisible by groups, got {inputs} channels"
        )
    span = dilation * (taps - 1) + 1
    if taps < 1 or span > length:
        raise KernbenchError(
            f"a kernel of K = {taps} taps at dilation {dilation} spans {span} samples, the signal has {length}: "
            "no output sample is left. Use a smaller K or dilation, or pad the signal."
        )
