"""Published networks and thresholds: state dicts of SRML-1D, to and from `dilated` networks with `discrete` kernels."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from kernbench.errors import DataError, first_line
from kernbench.host.process_state import plain_torch
from kernbench.host.tensor_files import check_tensors, read_tensors, write_tensors
from kernbench.kernels.layer import KernelConv
from kernbench.networks.boundary import PUBLISHED
from kernbench.networks.bundled import DILATED
from kernbench.networks.network import Network, build
from kernbench.ulm.scoring.protocol import Choice

WEIGHTS_NAME = "epoch_1249"  # the file of the last epoch, as the publication names it
THRESHOLDS_NAME = "thresholds_optimal.npy"
TOLERANCES_NAME = "tolerance_list.npy"

DEPTH, CHANNELS, TAPS = 12, 64, 3
HEAD = 3 * DEPTH + 1  # index 0 is the padding, then convolution, batch norm and ReLU of each layer
NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


@plain_torch()
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
    return network_of(read_tensors(path), path)


def network_of(state: Mapping[str, object], path: Path) -> Network:
    """A published network from the contents of its file; see `load_network`.

    Raises:
        DataError: another layout.
    """
    with torch.random.fork_rng(devices=[]):
        network = build(DILATED, "discrete", TAPS, CHANNELS, depth=DEPTH, gain="published")
    own = network.state_dict()
    expected = {key: own[ours] for key, ours in _keys()}
    if "format" in state:
        raise DataError(
            f"{path} is no published state dict but of format {state['format']!r:.40}; see kernbench.weights"
        )
    unpacked = any(key.startswith("blocks.") for key in state) or "network" in state
    hint = "; this looks like a checkpoint of kernbench, only its weights.pt and the published layout are read"
    check_tensors(state, expected, path, "a published network", hint if unpacked else "")
    network.load_state_dict(own | {ours: torch.as_tensor(state[key]) for key, ours in _keys()})
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
    write_tensors(Path(path), _published_state(network), zipped=False)


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

    Args:
        choice: thresholds, one for each tolerance.
        folder: to write to; made where it is missing.

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
        raise DataError(f"{where}; expected a published state dict or the folder of one, or weights.pt of a cell")
    return path


def _published_state(network: nn.Module) -> "OrderedDict[str, Tensor]":
    """Tensors of a network under their published names, copied."""
    layers = network.kernel_layers() if type(network) is Network else []  # not one with a forward pass of its own
    mismatch = _mismatch(layers) if layers else f"got {type(network).__name__}"
    boundary = network.boundary if isinstance(network, Network) else PUBLISHED
    if boundary != PUBLISHED:  # the layout cannot say another
        mismatch = mismatch or f"expected lines mirrored at the input, got {boundary.policy} at the {boundary.at}"
    if mismatch:
        raise DataError(
            f"only a dilated network of {DEPTH} layers, {CHANNELS} channels and K = {TAPS} has a published layout: "
            + mismatch
        )
    own = network.state_dict()
    with torch.no_grad():
        own |= {f"blocks.{level}.0.kernel_module.weight": layer.kernel() for level, layer in enumerate(layers)}
        own |= {f"blocks.{level}.0.bias": layer.shift for level, layer in enumerate(layers) if layer.shift is not None}
    state = OrderedDict((key, own[ours].detach().cpu().contiguous().clone()) for key, ours in _keys())
    for key, tensor in state.items():
        wanted_type = torch.int64 if key.endswith("num_batches_tracked") else torch.float32
        if tensor.dtype != wanted_type:
            raise DataError(f"{key} must be {wanted_type}, got {tensor.dtype}; convert the network with .float()")
    state._metadata = _metadata()  # type: ignore[attr-defined]  # torch's own attribute: versions of the modules
    return state


def _mismatch(layers: Sequence[KernelConv]) -> str:
    """The first thing in which layers differ from the published ones; empty if there is none."""
    if len(layers) != DEPTH:
        return f"expected {DEPTH} layers, got {len(layers)}"
    for level, (layer, wanted) in enumerate(zip(layers, DILATED.layers(TAPS, CHANNELS, DEPTH), strict=True)):
        if layer.tiles > 1:
            return f"expected one kernel a channel pair, got {layer.tiles} in rotation in layer {level + 1}"
        for name in ("kernel_size", "out_channels", "in_channels", "groups", "dilation", "side"):
            if (got := getattr(layer.spec, name)) != (expected := getattr(wanted, name)):
                return f"{name} of layer {level + 1} expected {expected}, got {got}"
    return ""


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
