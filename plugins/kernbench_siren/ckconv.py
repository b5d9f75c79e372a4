"""Kernel networks as CKConv's code stores them: three layers with weight normalization, old and new names."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import kernbench

_LAYERS = 3
_PARTS = {
    "weight_g": "g",
    "weight_v": "v",
    "parametrizations.weight.original0": "g",
    "parametrizations.weight.original1": "v",
    "bias": "bias",
}


@dataclass(frozen=True)
class Layer:
    """One layer of a stored network.

    Attributes:
        name: what its entries begin with.
        values: "g", "v" and "bias", as stored.
    """

    name: str
    values: Mapping[str, Tensor]

    def check(self, part: str, shape: tuple[int, ...]) -> None:
        """Refuse a part whose shape, but for axes of length 1 at its end, is not the given one."""
        got = tuple(self.values[part].shape)
        if _without_ones(got) != _without_ones(shape):
            raise kernbench.KernbenchError(
                f"ckconv: {part} of layer {self.name!r} must have shape {shape} here, got {got}; build siren with the "
                "hidden width and the channels of that network"
            )
        if not torch.isfinite(self.values[part]).all():
            raise kernbench.KernbenchError(f"ckconv: {part} of layer {self.name!r} has NaN or infinite numbers")


def ckconv_layers(state: Mapping[str, Any], omega_0: float) -> list[Layer]:
    """The layers of a stored kernel network, input side first.

    Args:
        state: name -> array or tensor.
        omega_0: what an entry of that name must hold.

    Returns:
        Three layers, each with all its parts.

    Raises:
        kernbench.KernbenchError: an entry that is none of such a network, a part that is missing, another number of
            layers, another omega_0.
    """
    layers: dict[str, dict[str, Tensor]] = {}
    for key, value in state.items():
        name, part = _place(key)
        if part is not None:
            layers.setdefault(name, {})[part] = _tensor(key, value)
        elif key != "omega_0":
            raise kernbench.KernbenchError(
                f"ckconv: {key!r} is no entry of a kernel network ({', '.join(_PARTS)}); hand over its entries alone"
            )
    stored = _number(state.get("omega_0", omega_0))
    if not math.isclose(stored, omega_0, rel_tol=1e-6):
        raise kernbench.KernbenchError(
            f"ckconv: omega_0 of the network is {stored}, build siren with it; got {omega_0}"
        )
    if len(layers) != _LAYERS:
        raise kernbench.KernbenchError(f"ckconv: expected {_LAYERS} layers, got {', '.join(sorted(layers)) or 'none'}")
    for name, parts in layers.items():
        if missing := {"g", "v", "bias"} - set(parts):
            raise kernbench.KernbenchError(f"ckconv: layer {name!r} lacks {', '.join(sorted(missing))}")
    return [Layer(name, layers[name]) for name in sorted(layers, key=_numbers)]


def _number(omega_0: Any) -> float:  # Any: what users load
    try:
        return float(omega_0)
    except (TypeError, ValueError, RuntimeError) as error:
        raise kernbench.KernbenchError(f"ckconv: omega_0 must be a number, got {omega_0!r}") from error


def _place(key: Any) -> tuple[str, str | None]:
    """Name of the layer and part of an entry; no part if it is none of a layer."""
    for ending, part in _PARTS.items():
        if isinstance(key, str) and key.endswith(f".{ending}"):
            return key[: -len(ending) - 1], part
    return key, None


def _tensor(key: str, value: Any) -> Tensor:  # Any: what users load
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise kernbench.KernbenchError(f"ckconv: {key!r} must be an array, got {type(value).__name__}") from error


def _numbers(name: str) -> list[int]:
    return [int(each) for each in re.findall(r"\d+", name)]


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape without axes of length 1 at its end."""
    while shape and shape[-1] == 1:
        shape = shape[:-1]
    return shape
