"""Devices that are no CPU: what torch offers for them, asked for in one place.

CUDA, and a device that an extension registers with torch, answer by the same functions (`torch.cuda`,
`torch.get_device_module`). So no other file asks for CUDA by name, unless it means CUDA alone.
"""

from typing import Any

import torch
from torch import Tensor

WITHOUT_FLOAT64 = ("mps",)  # sums of losses and echoes are float64


def is_cpu(device: torch.device | str) -> bool:
    """Whether a device, such as "cpu" or "cuda:0", is the processor."""
    return torch.device(device).type == "cpu"


def present() -> str | None:
    """The first accelerator that this process can compute on, "cuda:0"; None where there is none."""
    found = torch.accelerator.current_accelerator(check_available=True)
    usable = found is not None and found.type not in WITHOUT_FLOAT64 and count(found.type)
    return f"{found.type}:0" if found is not None and usable else None


def is_kind(name: str) -> bool:
    """Whether kernbench computes on this kind of device where there is one: "cuda", or what torch has found here."""
    here = present()
    return name == "cuda" or (here is not None and name == torch.device(here).type)


def count(kind: str) -> int:
    """Devices of a kind, such as "cuda", that torch can use now; 0 of a kind that computes nothing, such as "meta"."""
    module = getattr(torch, kind, None)
    if module is None:
        return 0
    return int(module.device_count()) if module.is_available() else 0


def module_of(device: torch.device | str) -> Any:  # Any: a module of torch, which has no type of its own
    """What torch offers for a device, as `torch.cuda`; None for the CPU."""
    return None if is_cpu(device) else torch.get_device_module(torch.device(device).type)


def name_of(device: torch.device | str) -> str | None:
    """Name of a card, as its driver says it; None for the CPU."""
    module = module_of(device)
    return None if module is None else str(module.get_device_name(torch.device(device)))


def wait(device: torch.device | str) -> None:
    """Return when a device has done all that was asked of it; a CPU has."""
    module = module_of(device)
    if module is not None:
        module.synchronize(torch.device(device))


def random_states(device: torch.device | str) -> list[Tensor]:
    """State of a device's random numbers, one uint8 tensor on the CPU; none for the CPU."""
    module = module_of(device)
    return [] if module is None else [module.get_rng_state(torch.device(device))]


def set_random_states(states: list[Tensor], device: torch.device | str) -> None:
    """Put back what `random_states` gave, on this device, whichever it was on.

    Args:
        states: of one device, or of all devices of a machine, as checkpoints of kernbench 0.2 have them.
        device: to go on with; nothing happens on the CPU.
    """
    module = module_of(device)
    if module is None or not states:
        return
    place = torch.device(device).index or 0
    module.set_rng_state(states[place if place < len(states) else 0], torch.device(device))


def release_cached() -> None:
    """Give memory that torch keeps for later on accelerators back to them."""
    here = present()
    if here is not None:
        module_of(here).empty_cache()
