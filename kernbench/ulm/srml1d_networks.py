"""Published networks and thresholds: state dicts of SRML-1D, to and from `dilated` networks with `discrete` kernels."""

import contextlib
import os
import re
import secrets
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from kernbench.architecture import dilations
from kernbench.errors import DataError, first_line
from kernbench.networks import Network, build
from kernbench.ulm.protocol import Choice

WEIGHTS_NAME = "epoch_1249"  # the file of the last epoch, as the publication names it
THRESHOLDS_NAME = "thresholds_optimal.npy"
TOLERANCES_NAME = "tolerance_list.npy"

DEPTH, CHANNELS, TAPS = 12, 64, 3
HEAD = 3 * DEPTH + 1  # index 0 is the padding, then convolution, batch norm and ReLU of each layer
NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
SHOWN = 3  # keys named in a message


def load_network(source: str | Path) -> Network:
    """A published network as a `dilated` network with `discrete` kernels, in evaluation mode.

    Args:
        source: state dict in the published layout (86 tensors), or a folder that holds it as `epoch_1249`. Read
            without unpickling code. torch's global random generator is left as it was.

    Returns:
        Module that maps RF lines (N, 1, L), L >= 4096, to scores (N, 1, L); float32.

    Raises:
        DataError: no such file, Python code in it, or another layout; nothing is executed.
    """
    path = weights_path(Path(source))
    state = _read_state(path)
    with torch.random.fork_rng(devices=[]):
        network = build("dilated", "discrete", TAPS, CHANNELS, depth=DEPTH, gain="published")
    own = network.state_dict()
    expected = {key: own[ours] for key, ours in _keys()}
    _check_layout(state, expected, path)
    network.load_state_dict(own | {ours: state[key] for key, ours in _keys()})
    return network.eval()


def save_network(network: nn.Module, path: str | Path) -> None:
    """Write a network in the published layout: 86 tensors, key order and file format of SRML-1D.

    Families other than `discrete` are written as the kernels that they make.

    Args:
        network: 12 layers of 64 channels, K = 3, dilation 1 to 2048, float32.
        path: where to; written under another name and renamed.

    Raises:
        DataError: a network of another shape, or the file cannot be written.
    """
    state = _published_state(network)
    path = Path(path)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            torch.save(state, file, _use_new_zipfile_serialization=False)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        raise DataError(f"weights {path} cannot be written: {first_line(error)}") from error
    finally:
        with contextlib.suppress(OSError):  # the folder itself may be a file or gone
            part.unlink()


def load_thresholds(source: str | Path, split: str = "stored") -> Choice:
    """Frozen thresholds of a published network.

    Args:
        source: `thresholds_optimal.npy`, with `tolerance_list.npy` beside it, or their folder.
        split: what to call the lines on which they were chosen.

    Returns:
        One threshold per tolerance; the F1 that they reached there is not stored, so NaN.

    Raises:
        DataError: a file is missing, is no plain array, or the two do not belong together.
    """
    path = Path(source)
    path = path / THRESHOLDS_NAME if path.is_dir() else path
    thresholds = _read_array(path, "f")
    tolerances = _read_array(path.with_name(TOLERANCES_NAME), "iu").astype(np.int64)
    if len(thresholds) != len(tolerances):
        raise DataError(f"{path} has {len(thresholds)} thresholds, {TOLERANCES_NAME} has {len(tolerances)} tolerances")
    if (tolerances < 0).any() or len(set(tolerances.tolist())) != len(tolerances):
        raise DataError(f"{path.with_name(TOLERANCES_NAME)}: expected distinct tolerances >= 0, got {tolerances}")
    return Choice(split, tolerances, thresholds.astype(np.float64), np.full(len(thresholds), np.nan))


def save_thresholds(choice: Choice, folder: str | Path) -> None:
    """Write `thresholds_optimal.npy` (float64) and `tolerance_list.npy` (int64), as published.

    Raises:
        DataError: the folder cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / TOLERANCES_NAME, np.asarray(choice.tolerances, np.int64), allow_pickle=False)
        np.save(folder / THRESHOLDS_NAME, np.asarray(choice.thresholds, np.float64), allow_pickle=False)
    except OSError as error:
        raise DataError(f"thresholds cannot be written to {folder}: {error.strerror}") from error


def _keys() -> list[tuple[str, str]]:
    """Keys in the published order, each with its name in our network."""
    pairs = []
    for layer in range(DEPTH):
        convolution, norm = f"model.{3 * layer + 1}", f"model.{3 * layer + 2}"
        pairs.append((f"{convolution}.weight", f"blocks.{layer}.0.kernel_module.weight"))
        pairs.append((f"{convolution}.bias", f"blocks.{layer}.0.bias"))
        pairs += [(f"{norm}.{name}", f"blocks.{layer}.1.{name}") for name in NORM]
    return [*pairs, (f"model.{HEAD}.weight", "head.weight"), (f"model.{HEAD}.bias", "head.bias")]


def weights_path(source: Path) -> Path:
    """The file of weights: the path itself, or `epoch_1249` in a folder.

    Raises:
        DataError: there is none.
    """
    path = source / WEIGHTS_NAME if source.is_dir() else source
    if not path.is_file():
        where = f"folder {source} has no {WEIGHTS_NAME}" if source.is_dir() else f"no weights file {source}"
        raise DataError(f"{where}; expected a published state dict or the folder of one")
    return path


def _read_state(path: Path) -> dict[str, Tensor]:
    """Contents of a file of weights, through torch's loader that knows tensors only."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the loader has no type of its own for what a foreign file may hold
        raise DataError(f"{path}: {_refusal(error)}") from error
    if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
        raise DataError(f"{path}: expected a state dict of tensors, got {type(state).__name__}")
    return state


def _refusal(error: Exception) -> str:
    """Why torch's loader gave up, in one line."""
    if found := re.search(r"GLOBAL ([\w.]+)", str(error)):
        return f"holds Python code ({found[1]}), not only weights; refused, nothing was run"
    if isinstance(error, OSError):
        return f"cannot be read ({error.strerror})"
    return f"is not a state dict that can be read without running code ({type(error).__name__})"


def _check_layout(state: dict[str, Tensor], expected: dict[str, Tensor], path: Path) -> None:
    """Raise DataError unless keys, shapes and types are the published ones and all numbers finite."""
    if missing := [key for key in expected if key not in state]:
        ours = any(key.startswith("blocks.") for key in state) or "network" in state
        hint = "; this looks like a checkpoint of kernbench, only the published layout is read" if ours else ""
        raise DataError(f"{path}: {_some(missing)} missing from the {len(expected)} of a published network{hint}")
    if extra := [key for key in state if key not in expected]:
        raise DataError(f"{path}: {_some(extra)} not part of a published network")
    for key, model in expected.items():
        tensor = state[key]
        if not isinstance(tensor, Tensor):
            raise DataError(f"{path}: {key} must be a tensor, got {type(tensor).__name__}")
        wanted, got = _form(model), _form(tensor)
        if got != wanted:
            raise DataError(f"{path}: {key} expected {wanted}, got {got}")
        if not bool(torch.isfinite(tensor).all()):
            raise DataError(f"{path}: {key} has NaN or infinite numbers")


def _published_state(network: nn.Module) -> "OrderedDict[str, Tensor]":
    """Tensors of a network under their published names, copied."""
    layers = network.kernel_layers() if isinstance(network, Network) else []
    form = [(layer.spec.kernel_size, layer.spec.dilation, layer.spec.shape) for layer in layers]
    steps = dilations("dilated", DEPTH)
    wanted = [(TAPS, step, (CHANNELS, CHANNELS if level else 1, TAPS)) for level, step in enumerate(steps)]
    if form != wanted:
        raise DataError(
            "only a dilated network of 12 layers, 64 channels and K = 3 has a published layout, got "
            f"{type(network).__name__} of {len(layers)} kernel layers"
            + (f", {layers[-1].spec.out_channels} channels, K = {layers[-1].spec.kernel_size}" if layers else "")
        )
    own = network.state_dict()
    with torch.no_grad():
        own |= {f"blocks.{level}.0.kernel_module.weight": layer.kernel() for level, layer in enumerate(layers)}
    state = OrderedDict((key, own[ours].detach().cpu().contiguous().clone()) for key, ours in _keys())
    for key, tensor in state.items():
        wanted_type = torch.int64 if key.endswith("num_batches_tracked") else torch.float32
        if tensor.dtype != wanted_type:
            raise DataError(f"{key} must be {wanted_type}, got {tensor.dtype}; convert the network with .float()")
    state._metadata = _metadata()  # type: ignore[attr-defined]  # torch's own attribute: versions of the modules
    return state


def _metadata() -> "OrderedDict[str, dict[str, int]]":
    """Module versions as torch notes them for the published network; batch norm has version 2."""
    modules = ["", "model", *(f"model.{index}" for index in range(HEAD + 1))]
    norms = {f"model.{3 * layer + 2}" for layer in range(DEPTH)}
    return OrderedDict((name, {"version": 2 if name in norms else 1}) for name in modules)


def _read_array(path: Path, kinds: str) -> np.ndarray[tuple[int], np.dtype[np.generic]]:
    """A plain one-dimensional array of finite numbers."""
    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise DataError(f"no file {path}") from error
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} is not a plain array: {first_line(error)}") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in kinds or array.ndim != 1 or not array.size:
        kind = "integers" if "i" in kinds else "numbers"
        form = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise DataError(f"{path}: expected a list of {kind}, got {form}")
    if not np.isfinite(array).all():
        raise DataError(f"{path}: NaN or infinite numbers")
    return array


def _form(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def _some(keys: list[str]) -> str:
    more = f" and {len(keys) - SHOWN} more are" if len(keys) > SHOWN else " are" if len(keys) > 1 else " is"
    return ", ".join(keys[:SHOWN]) + more
