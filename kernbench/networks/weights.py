"""Trained networks as files: tensors and plain facts, enough to build them again.

The file is a dict: "format", "version", "facts" (JSON-like), "state" (name -> tensor) and "sha256". It is read by
torch's weights-only loader, so nothing in it is executed; the code comes from the installed plugin that the facts name.
"""

import dataclasses
import importlib.metadata
import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kernbench.errors import DataError, KernbenchError, KernbenchWarning, PluginError, counted, first_line
from kernbench.host.files import sha256_of_parts
from kernbench.host.tensor_files import check_tensors, write_tensors
from kernbench.kernels.layer_options import form_of
from kernbench.networks.network import Network, build
from kernbench.networks.spread import network_asked
from kernbench.registry import FILE, FoundNetwork, find, find_network

WEIGHTS = "weights.pt"  # of each scored cell, among its artifacts

FORMAT = "kernbench.weights"

VERSION = 1  # raised when a reader of the old form could not read the new one

EXTRA = "_extra_state"  # torch's name; holds family and hyper-parameters of a kernel module

Facts = Mapping[str, Any]  # JSON

Check = Callable[[Facts, str], Facts]  # settings of a network, and of which file -> the same in their types


def save_weights(path: Path, network: Network, facts: Facts) -> Path:
    """Write a trained network.

    Args:
        path: where to; written under another name and renamed.
        network: on any device.
        facts: JSON; the sections of `docs/protocol.md`, "Trained weights".

    Raises:
        PluginError: the family keeps something else than tensors in its state dict.
        DataError: the file cannot be written.
    """
    state = network.state_dict()
    for name, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise PluginError(
                f"the state dict of family {facts['family']['name']!r} has {type(value).__name__} {name}, expected "
                "tensors only; use get_extra_state as kernbench.KernelModule does"
            )
    versions = {name: importlib.metadata.version(name) for name in ("kernbench", "torch")}
    layers = [dataclasses.asdict(layer.spec) for layer in network.kernel_layers()]
    plain = json.loads(json.dumps({**facts, "layers": layers, "versions": versions}, allow_nan=False))
    # A copy of its own for each tensor: a view would save all of the storage that it shares.
    tensors = {name: value.detach().cpu().clone().contiguous() for name, value in state.items()}
    content = {"format": FORMAT, "version": VERSION, "facts": plain, "state": tensors}
    write_tensors(path, content | {"sha256": seal(plain, tensors)})
    return path


def checked_state(path: Path, content: Mapping[str, object]) -> tuple["_Reader", dict[str, Any]]:
    """Facts and tensors of a file that `save_weights` wrote, read but not yet filled into a network.

    Raises:
        DataError: of another format or version, or damaged.
    """
    if content.get("format") != FORMAT:
        raise DataError(f"{path} is no weights.pt of kernbench")
    if content.get("version") != VERSION:
        raise DataError(
            f"{path}: weights of format version {content.get('version')!r}, this kernbench reads {VERSION}; "
            "use the kernbench that wrote them"
        )
    facts, state = _Reader(path, content.get("facts")), content.get("state")
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise DataError(f"{path}: state expected a dict of tensors, got {type(state).__name__}")
    return facts, state


def fill(network: Network, path: Path, content: Mapping[str, object]) -> Facts:
    """Load the tensors of a file into the network that they are of; strictly, and only what was written.

    Returns:
        What the file says about them.

    Raises:
        DataError: of another network, changed after it was written, see also `checked_state`.
        PluginError: what its kernel modules refuse.
    """
    facts, state = checked_state(path, content)
    _fill(network, state, facts)
    if content.get("sha256") != seal(facts.content, state):
        raise DataError(f"{path} was changed after it was written: its checksum does not fit; take another copy")
    return facts.content


def seal(facts: Facts, state: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 of facts and tensors, hexadecimal: torch's own file format does not notice a flipped bit."""
    return sha256_of_parts(_sealed(facts, state))


def _sealed(facts: Facts, state: Mapping[str, torch.Tensor]) -> Iterator[str | bytes]:
    yield json.dumps(facts, sort_keys=True)
    for name, tensor in sorted(state.items()):
        yield f"{name} {tensor.dtype} {tuple(tensor.shape)}"
        yield tensor.reshape(-1).view(torch.uint8).numpy().tobytes()


def _rebuilt(facts: "_Reader", plugin: str | None, network: str | None, check: Check, seed: int = 0) -> Network:
    """The untrained network that the facts describe.

    Args:
        facts: of the file.
        plugin: family to take in place of the one that the facts name.
        network: likewise, FILE.py:NAME or the name of an installed one.
        check: says that settings of a network are what a study may say, or raises.
        seed: of its weights.
    """
    found, offered = _family(facts, plugin), _network(facts, network)
    own = {} if offered is None else {"name": offered.name}
    plan = check({**facts.get("network", dict), **own}, str(facts.path))
    if missing := {"name", "kernel_size", "channels", "depth", "gain"} - set(plan):
        raise DataError(f"{facts.path}: no network.{min(missing)} among the facts; the file is damaged")
    size, channels = int(plan["kernel_size"]), int(plan["channels"])
    hyper = facts.get("family.hyper", dict)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            sizes = size, channels, hyper, int(plan["depth"]), str(plan["gain"])
            built = build(network_asked(plan), found, *sizes, **form_of(plan))
    except KernbenchError as error:
        raise type(error)(f"{facts.path} cannot be rebuilt: {error}") from error
    layers = [dataclasses.asdict(layer.spec) for layer in built.kernel_layers()]
    if layers != (stored := facts.get("layers", list)):
        differ = next((n for n, pair in enumerate(zip(layers, stored, strict=False)) if pair[0] != pair[1]), None)
        where = counted(len(stored), "layer") if differ is None else f"layer {differ + 1} as {stored[differ]}"
        raise DataError(f"{facts.path} has {where}; this kernbench builds another network from the same settings")
    return built


def _network(facts: "_Reader", given: str | None) -> FoundNetwork | None:
    """The network that is given in place of the one of the facts; None if that is to be looked up."""
    facts.get("network", dict)
    name, _, digest = facts.get("network.name", str).partition("@")
    if given is None and (digest or ".py" in name):  # a file of weights must not say which code to run
        raise PluginError(
            f"{facts.path}: network {name!r} came from a local file ({digest}); give it with --network FILE.py:{name}"
        )
    if given is None:
        return None
    found = find_network(given)
    if found.architecture.name != name:
        raise PluginError(f"{facts.path} needs network {name!r}, --network {given} offers {found.architecture.name!r}")
    if digest and found.version != digest:
        text = f"{facts.path}: network {name!r} was trained with {FILE} {digest}, it is now built by {found.label}"
        warnings.warn(text, KernbenchWarning, stacklevel=2)
    return found


def _family(facts: "_Reader", plugin: str | None) -> Any:  # KernelFamily
    """The kernel family of the facts, of the version that trained it unless the plugin is named."""
    name, made = facts.get("family.name", str), facts.get("family.plugin", str)
    if plugin is None and made.startswith("file "):
        raise PluginError(
            f"{facts.path}: family {name!r} came from a local file ({made}); give it with --plugin FILE.py:{name}"
        )
    try:
        found = find(plugin or name)
    except PluginError as error:
        raise PluginError(f"{facts.path} needs family {name!r} of {made}: {error}") from error
    if found.family.name != name:
        raise PluginError(f"{facts.path} needs family {name!r}, --plugin {plugin} offers {found.family.name!r}")
    if found.label != made and plugin is None:
        raise PluginError(
            f"{facts.path}: family {name!r} was trained with {made}, here is {found.label}; install that version, or "
            f"take this one with --plugin {name}"
        )
    if found.label != made:
        text = f"{facts.path}: family {name!r} was trained with {made}, its kernels are now made by {found.label}"
        warnings.warn(text, KernbenchWarning, stacklevel=2)
    return found.family


def _fill(network: Network, state: Mapping[str, Any], facts: "_Reader") -> None:
    """Load tensors strictly: every key, shape and type, finite numbers, the same hyper-parameters."""
    expected = network.state_dict()
    # A module compares its own JSON, which may differ in length, and says what differs: not a matter of shapes.
    compared = {name: tensor for name, tensor in expected.items() if name.endswith(EXTRA) and name in state}
    owner = f"the {facts.get('family.name', str)} network of {facts.get('study', str)}"
    check_tensors({**state, **compared}, expected, facts.path, owner)
    try:
        network.load_state_dict(dict(state))
        for layer in network.kernel_layers():
            layer.checked_kernel()
    except PluginError as error:
        raise PluginError(f"{facts.path}: {error}") from error
    except Exception as error:  # a plugin reads its own extra state as it likes
        said = str(error) if isinstance(error, KernbenchError) else first_line(error)
        raise DataError(f"{facts.path} cannot be loaded: {said}") from error


class _Reader:
    """Facts of a file, each checked as it is taken; DataError names file and key."""

    def __init__(self, path: Path, content: object) -> None:
        self.path = path
        if not isinstance(content, dict):
            raise DataError(f"{path}: facts expected a dict, got {type(content).__name__}; the file is damaged")
        self.content: Facts = content

    def get(self, key: str, kind: type) -> Any:  # of that kind
        """The value at a dotted key."""
        value: object = self.content
        for part in key.split("."):
            if not isinstance(value, dict) or part not in value:
                raise DataError(f"{self.path}: no {key} among the facts; the file is damaged")
            value = value[part]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise DataError(f"{self.path}: {key} expected {kind.__name__}, got {value!r:.60}")
        return value

    def number(self, key: str) -> float:
        """A finite number, whole or not."""
        value = self.get(key, object)
        if type(value) not in (int, float) or not math.isfinite(value):
            raise DataError(f"{self.path}: {key} expected a number, got {value!r:.60}")
        return float(value)

    def natural(self, key: str, least: int = 0) -> int:
        """A whole number from `least` on."""
        value = self.get(key, int)
        if value < least:
            raise DataError(f"{self.path}: {key} expected a whole number >= {least}, got {value}")
        return int(value)

    def thresholds(self, section: str) -> tuple[Any, Any]:  # arrays
        """Tolerances (int64) and thresholds (float64) of one metric, (n_tol,) each."""
        tolerances, values = self.get(f"{section}.tolerances", list), self.get(f"{section}.values", list)
        natural = all(type(tolerance) is int and tolerance >= 0 for tolerance in tolerances)
        if not natural or not tolerances or len(set(tolerances)) != len(tolerances):
            raise DataError(f"{self.path}: {section}.tolerances expected distinct samples >= 0, got {tolerances!r:.60}")
        finite = all(type(value) in (int, float) and math.isfinite(value) for value in values)
        if not finite or len(values) != len(tolerances):
            raise DataError(f"{self.path}: {section}.values expected {len(tolerances)} numbers, got {values!r:.60}")
        return np.asarray(tolerances, np.int64), np.asarray(values, np.float64)
