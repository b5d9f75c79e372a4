"""Kernels of a trained network as arrays, for programs that know nothing of kernbench."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernbench.errors import DataError
from kernbench.host.files import whole_file
from kernbench.networks.network import side_of
from kernbench.ulm.evaluation.trained import Trained
from kernbench.ulm.line import SAMPLE_RATE_HZ

PUBLISHED = "discrete"  # the published networks have free taps


def kernel_arrays(trained: Trained) -> dict[str, NDArray[Any]]:
    """What `export_kernels` writes, by name.

    Returns:
        For layer i = 1, 2, ... from the input side: `lags_i` (K,) samples at `rate_hz_i`, `values_i`
        (C_out, C_in // groups, K), the dense kernel as the layer applies it (amplitude, mixing and branches included),
        `dilation_i`, `groups_i`, `tiles_i` (q) and `bias_i` (C_out,). Of a tiled layer (q > 1) values and bias have
        q C_out rows: that of channel o and phase p is o q + p. Of the network: `family`, `hyper` (JSON), `study`,
        `cell`, `side`, `rate_hz`, `layers`.
    """
    facts = trained.facts
    family = facts.get("family", {})
    arrays = {
        "family": np.asarray(family.get("name", PUBLISHED)),
        "hyper": np.asarray(json.dumps(family.get("hyper", {}), sort_keys=True)),
        "study": np.asarray(facts.get("study", trained.path.name)),
        "cell": np.asarray(facts.get("cell", "")),
        "side": np.asarray(side_of(trained.network)),
        "rate_hz": np.asarray(SAMPLE_RATE_HZ),
    }
    layers = trained.network.kernel_layers()
    arrays["layers"] = np.asarray(len(layers))
    for number, layer in enumerate(layers, 1):
        shift = layer.shift
        arrays |= {
            f"lags_{number}": layer.spec.grid().lags.detach().cpu().numpy(),
            f"values_{number}": layer.kernel().detach().cpu().numpy().copy(),
            f"dilation_{number}": np.asarray(layer.spec.dilation),
            f"groups_{number}": np.asarray(layer.spec.groups),
            f"tiles_{number}": np.asarray(layer.tiles),
            f"rate_hz_{number}": np.asarray(layer.spec.sample_rate),
        }
        if shift is not None:
            arrays[f"bias_{number}"] = shift.detach().cpu().numpy().copy()
    return arrays


def export_kernels(trained: Trained, path: Path) -> None:
    """Write the kernels of a network to an npz file, completely or not; a file that is there is replaced.

    It holds numbers and text of fixed length, no Python objects.

    Raises:
        DataError: the file cannot be written, or does not end in .npz.
    """
    if path.suffix != ".npz":
        raise DataError(f"{path}: expected a name that ends in .npz")
    arrays = kernel_arrays(trained)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from error
