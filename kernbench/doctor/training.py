"""Whether twenty training steps on the device lose what they lose in float64 on the CPU."""

from collections.abc import Iterator

import torch

from kernbench.doctor.finding import Asked, Checks, Finding
from kernbench.doctor.works import FAMILY, STEPS, relative_difference, trained
from kernbench.errors import PluginError
from kernbench.host.device import choose_device

TOLERANCE = 1e-4  # float32 gave 1e-7 on CPUs
COARSE = 1e-2  # with TensorFloat-32


def checks(asked: Asked) -> Checks:
    """Training."""
    return {"training": lambda: _training(choose_device(asked.device))}


def _training(device: str) -> Iterator[Finding]:
    try:
        own, right = trained(device)[0], trained("cpu", torch.float64)[0]
    except PluginError as error:
        advice = "load the bundled plugins: unset KERNBENCH_LOAD_PLUGINS, or install kernbench again"
        yield Finding("training", "skip", f"it needs the family {FAMILY!r}: {str(error).partition(';')[0]}", advice)
        return
    off = relative_difference(own, right)
    found = f"{STEPS} steps of a small network: losses within {off:.1e} of float64 on the CPU"
    if off <= TOLERANCE:
        yield Finding("training", "ok", found)
    elif off <= COARSE and device.startswith("cuda") and torch.backends.cudnn.allow_tf32:
        yield Finding("training", "note", found, "see the lines of the backends: TensorFloat-32")
    else:
        advice = "if a backend fails above, that is why; else do not trust scores of this device, and report this line"
        yield Finding("training", "fail", f"{found}, expected {TOLERANCE:.0e}", advice)
