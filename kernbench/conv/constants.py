"""Constants of `kernbench.conv.predict`: those fitted on this machine, else those that come with kernbench.

A run reads them once and never measures, so what `auto` chooses is a function of shapes and of a file; the file's
digest is recorded with each run (`kernbench.engine.work.environment`).
"""

import json
import os
from dataclasses import asdict
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from kernbench.conv.predict import TERMS, Constants, CostTable
from kernbench.errors import KernbenchError
from kernbench.host import cache_folder
from kernbench.host.accelerator import count, name_of
from kernbench.host.device import processor
from kernbench.host.files import sha256_of, write_whole

if TYPE_CHECKING:
    from kernbench.conv.fit import Fit

FORMAT = 2


def constants(device: str) -> Constants:
    """Constants for a device type, "cpu" or "cuda".

    Raises:
        KernbenchError: the fitted file cannot be read.
    """
    return _load(fitted_path(device), device)[0]


def origin(device: str) -> str:
    """Where the constants come from, with a digest: "built-in 1a2b3c4d" or "fitted 1a2b3c4d"."""
    return _load(fitted_path(device), device)[1]


def in_use(device: str) -> tuple[Constants, str]:
    """Constants and their origin as of now; where the fitted file cannot be read, those that come with kernbench.

    For a fit, which is to replace such a file.
    """
    try:
        return constants(device), origin(device)
    except KernbenchError:
        return parse(json.loads(_built_in(device))["constants"]), "built-in, as the fitted file cannot be read"


def label(known: Constants) -> str:
    """What `origin` says of these constants once they are stored."""
    return f"fitted {_digest(asdict(known))}"


def fitted_path(device: str) -> Path:
    """File for fitted constants of this machine, its thread count and this torch; it need not exist."""
    return _path(cache_folder.cache_folder(), device, torch.get_num_threads())


@lru_cache(maxsize=16)  # asked for at every convolution
def _path(folder: Path, device: str, threads: int) -> Path:
    text = json.dumps(_machine(device, threads), sort_keys=True)
    return folder / "convolution" / f"{device}-{sha256_of(text, 12)}.json"


def store(fit: "Fit", device: str) -> Path:
    """Write fitted constants where `constants` finds them, from the next process on.

    Raises:
        KernbenchError: the folder cannot be written.
    """
    path = fitted_path(device)
    content = {
        "format": FORMAT,
        "machine": _machine(device, torch.get_num_threads()),
        "fit": {"cases": fit.cases, "median_error": fit.median_error, "largest_error": fit.largest_error},
        "constants": asdict(fit.constants),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(content, indent=1) + "\n")
    except OSError as error:
        raise KernbenchError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def check_writable(device: str) -> None:
    """Raise KernbenchError unless `store` can write, before minutes are spent on measuring."""
    advice = "set KERNBENCH_CACHE to a folder that can; see `kernbench doctor`"
    cache_folder.check_writable(fitted_path(device).parent, KernbenchError, advice)


@lru_cache(maxsize=16)
def _load(path: Path, device: str) -> tuple[Constants, str]:
    fitted = path.is_file()
    try:
        text = path.read_text(encoding="utf-8") if fitted else _built_in(device)
        content = json.loads(text)
        found = parse(content["constants"])
        known = content["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise KernbenchError(f"{path}: not constants of a convolution ({error!r}); remove it or fit again") from error
    if not known:
        raise KernbenchError(f"{path}: expected format {FORMAT}, got {content['format']!r}; remove it or fit again")
    return found, f"{'fitted' if fitted else 'built-in'} {_digest(content['constants'])}"


def _digest(content: dict[str, Any]) -> str:
    return sha256_of(json.dumps(content, sort_keys=True), 8)


def parse(content: dict[str, Any]) -> Constants:
    """Constants from their JSON form."""
    prices = {name: {term: float(content[name][term]) for term in TERMS} for name in ("matrix", "elementwise")}
    tables = {
        kind: CostTable(
            tuple(t["lengths"]),
            tuple(t["channels"]),
            tuple(t["taps"]),
            tuple(tuple(tuple(row) for row in plane) for plane in t["picoseconds"]),
            float(t["call"]),
            int(t.get("padded", 0)),
        )
        for kind, t in content["direct"].items()
    }
    return Constants(prices["matrix"], prices["elementwise"], tables)


def _built_in(device: str) -> str:
    name = "cpu.json" if device == "cpu" else "cuda.json"
    return (resources.files("kernbench.conv") / name).read_text(encoding="utf-8")


def _machine(device: str, threads: int) -> dict[str, Any]:
    return {
        "device": (name_of(device) if count(device) else None) or processor(),
        "threads": threads,
        "torch": torch.__version__,
        "cores": os.cpu_count(),
    }
