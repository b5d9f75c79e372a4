"""The command line of each worker process of `kernbench run --workers N`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import kernbench

if TYPE_CHECKING:
    from kernbench.engine.fleet.children import Crew
    from kernbench.engine.fleet.runner import Options
    from kernbench.study.study import Study


def crew_of(workers: int, plugin: str, device: str, study: "Study", options: "Options") -> "Crew | None":
    """Worker processes for a run; None where its own process does the work.

    Args:
        workers: how many.
        plugin: as typed.
        device: as typed; "auto" and "cuda" give each worker the next GPU.
        study: what is run.
        options: of the run.
    """
    if workers == 0 or (workers == 1 and options.limit is None):  # a process cannot outlive its own watch
        return None
    from kernbench.engine.fleet.children import Crew

    words = [*_program(), "worker", "--study", study.key, "--plugin", plugin, "--coordinated"]
    words += [word for network in study.network_files() for word in ("--network", network)]
    words += ["--heartbeat", str(options.heartbeat_s), str(options.grace_s)]
    if options.limit is not None and options.limit.margin is not None:
        words += ["--cell-limit", f"{options.limit.seconds:.0f}s", "--cell-margin", f"{options.limit.margin:.0f}s"]
    devices = _devices(device, options.device)

    def command(place: int) -> Sequence[str]:
        return [*words, "--device", devices[place % len(devices)]]

    # in the environment, because its password would be seen among the arguments
    return Crew(workers, command, {"KERNBENCH_STORAGE": options.url})


def _program() -> list[str]:
    """This Python and this kernbench; a file of the working folder must not pass for a module."""
    safe = [] if Path(kernbench.__file__).parents[1] == Path.cwd() else ["-P"]
    return [sys.executable, *safe, "-m", "kernbench"]


def _devices(asked: str, chosen: str) -> list[str]:
    """Devices to hand out in turn: all GPUs, unless one or the CPU was asked for."""
    if chosen == "cpu" or ":" in asked:
        return [chosen]
    import torch

    return [f"cuda:{index}" for index in range(torch.cuda.device_count())]
