"""Files of tensors: written completely or not at all, read without running code, checked against what is expected."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kernbench.errors import DataError, first_line
from kernbench.host.files import whole_file

SHOWN = 3  # keys named in a message


def write_tensors(path: Path, content: Mapping[str, Any], *, zipped: bool = True) -> None:
    """Write tensors, numbers, text, lists and dicts, completely or not at all.

    Args:
        path: where to; its folder is made if it is not there.
        content: what `torch.load(weights_only=True)` reads back.
        zipped: torch's zip format, or the older one.

    Raises:
        DataError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            torch.save(content, file, _use_new_zipfile_serialization=zipped)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        raise DataError(f"weights {path} cannot be written: {first_line(error)}") from error


def read_tensors(path: Path) -> dict[str, Any]:
    """Contents of a file of weights, on the CPU, through torch's loader that knows tensors and plain values only.

    Raises:
        DataError: Python code in it, another content, or a damaged file; nothing is executed.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    with file:
        try:
            content = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # the loader has no type of its own for what a foreign file may hold
            raise DataError(f"{path}: {_refusal(error)}") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise DataError(f"{path}: expected a state dict of tensors, got {type(content).__name__}")
    return content


def check_tensors(
    state: Mapping[str, object], expected: Mapping[str, Tensor], path: Path, whole: str, hint: str = ""
) -> None:
    """Refuse a state dict unless keys, shapes and types are those expected and all numbers finite.

    Args:
        state: as read.
        expected: tensors of the network that it shall fill.
        path: of the file, for messages.
        whole: what it should be, such as "a published network".
        hint: added where keys are missing.

    Raises:
        DataError: names the first thing that is wrong.
    """
    if missing := [key for key in expected if key not in state]:
        raise DataError(f"{path}: {_some(missing)} missing from the {len(expected)} of {whole}{hint}")
    if extra := [key for key in state if key not in expected]:
        raise DataError(f"{path}: {_some(extra)} not part of {whole}")
    for key, model in expected.items():
        tensor = state[key]
        if not isinstance(tensor, Tensor):
            raise DataError(f"{path}: {key} must be a tensor, got {type(tensor).__name__}")
        wanted, got = _form(model), _form(tensor)
        if got != wanted:
            raise DataError(f"{path}: {key} expected {wanted}, got {got}")
        if not bool(torch.isfinite(tensor).all()):
            raise DataError(f"{path}: {key} has NaN or infinite numbers")


def _refusal(error: Exception) -> str:
    """Why torch's loader gave up, in one line."""
    if found := re.search(r"GLOBAL ([\w.]+)", str(error)):
        return f"holds Python code ({found[1]}), not only weights; refused, nothing was run"
    return f"is not a state dict that can be read without running code ({type(error).__name__})"


def _form(tensor: Tensor) -> str:
    layout = "" if tensor.layout == torch.strided else f" {str(tensor.layout).removeprefix('torch.')}"
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}{layout}"


def _some(keys: list[str]) -> str:
    more = f" and {len(keys) - SHOWN} more are" if len(keys) > SHOWN else " are" if len(keys) > 1 else " is"
    return ", ".join(keys[:SHOWN]) + more
