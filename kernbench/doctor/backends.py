"""Whether each convolution backend gives the right numbers on the device, forward and backward."""

from collections.abc import Iterator
from functools import cache, partial

import torch
from torch import Tensor

from kernbench.conv.backends import BACKENDS
from kernbench.conv.constants import origin
from kernbench.doctor.finding import Asked, Checks, Finding
from kernbench.doctor.works import SHAPES, Shape, backend, convolved, relative_difference
from kernbench.errors import first_line
from kernbench.host.device import choose_device

TOLERANCE = 1e-5  # of the largest value; float32 gave 1e-6 on CPUs
COARSE = 5e-3  # TensorFloat-32 keeps 10 bits of each factor
PARTS = ("output", "gradient of the signal", "gradient of the kernel")
_FOREIGN = "fft_conv"
_WRONG = "do not train on this device: give --device cpu, and update driver and torch"
_FOREIGN_WRONG = "`auto` never takes it: cells do not need it; update fft-conv-pytorch, driver and torch"


def checks(asked: Asked) -> Checks:
    """Each backend, and the constants of `auto`."""
    device = choose_device(asked.device)
    found: Checks = {f"backend {name}": partial(_backend, name, device) for name in BACKENDS}
    return {**found, "constants": partial(_constants, device)}


def _backend(name: str, device: str) -> Iterator[Finding]:
    """A backend in float32 on the device against float64 on the CPU."""
    check, wrong = f"backend {name}", _FOREIGN_WRONG if name == _FOREIGN else _WRONG
    try:
        worst, part = _largest_error(name, device)
    except Exception as error:
        yield Finding(check, "fail", first_line(error), wrong)
        return
    found = f"within {worst:.1e} of float64 on the CPU, forward and backward ({part})"
    if worst <= TOLERANCE:
        yield Finding(check, "ok", found)
    elif worst <= COARSE and device.startswith("cuda") and torch.backends.cudnn.allow_tf32:
        advice = "cuDNN rounds to TensorFloat-32; set NVIDIA_TF32_OVERRIDE=0 for the digits of a CPU"
        yield Finding(check, "note", found, advice)
    else:
        found = f"{worst:.1e} from float64 on the CPU in the {part}, expected {TOLERANCE:.0e}"
        yield Finding(check, "fail", found, wrong)


def _largest_error(name: str, device: str) -> tuple[float, str]:
    """Largest difference in parts of the largest value, and of what."""
    return max(
        (relative_difference(own, right), part)
        for shape in SHAPES
        for own, right, part in zip(
            convolved(shape, backend(name), device, torch.float32), _wanted(shape), PARTS, strict=True
        )
    )


@cache
def _wanted(shape: Shape) -> list[Tensor]:
    return convolved(shape, _definition, "cpu", torch.float64)


def _definition(signal: Tensor, kernel: Tensor, dilation: int, groups: int) -> Tensor:
    """What `convolve` means, by torch itself."""
    return torch.nn.functional.conv1d(signal, kernel, dilation=dilation, groups=groups)


def _constants(device: str) -> Iterator[Finding]:
    kind = torch.device(device).type
    known = origin(kind)
    if known.startswith("fitted") or kind == "cpu":
        yield Finding("constants", "ok", f"auto decides by those {known}")
        return
    advice = f"`kernbench bench fit --device {device}` measures this one"
    yield Finding("constants", "note", f"auto decides by those {known}, of another device", advice)
