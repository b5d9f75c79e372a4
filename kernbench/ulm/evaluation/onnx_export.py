"""A trained network as an ONNX file, written only if it gives what the network gives."""

import contextlib
import io
import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from kernbench.errors import DataError, KernbenchError, first_line
from kernbench.host.files import write_whole
from kernbench.host.process_state import plain_torch
from kernbench.networks.merged import Merged
from kernbench.networks.network import Network
from kernbench.ulm.evaluation.trained import Trained

NEEDED = ("onnx", "onnxscript", "onnxruntime")
INPUT, OUTPUT = "lines", "scores"
CLOSE = 1e-4  # of the largest output: float32 sums in another order
BEYOND = 257  # samples of the lines that are tried, beyond what the network needs


@plain_torch()
def export_onnx(trained: Trained, path: Path) -> float:
    """Write a network to an ONNX file: float32 `lines` (N, 1, L) -> `scores` (N, 1, L), N and L free.

    Kernels are evaluated once; the file holds plain convolutions and is checked before it gets its name: onnxruntime
    runs it on random lines of two lengths and must give what the network gives.

    Args:
        trained: the network.
        path: ends in .onnx; a file that is there is replaced.

    Returns:
        Largest difference that was met, over the largest output.

    Raises:
        KernbenchError: packages that are missing, a network with a module of its own, or a file whose outputs differ.
        DataError: the file cannot be written, or does not end in .onnx.
    """
    if path.suffix != ".onnx":
        raise DataError(f"{path}: expected a name that ends in .onnx")
    _check_packages()
    network = trained.network.cpu()
    shortest = 1 + getattr(network, "padding", 0)
    content = _exported(Merged(network), torch.zeros(2, 1, shortest + BEYOND))
    worst = max(_difference(content, network, lines, shortest + more) for lines, more in ((1, 1), (3, BEYOND)))
    if not worst <= CLOSE:
        raise KernbenchError(
            f"the ONNX file of {trained.path} gives other scores than its network: they differ by {worst:.2g} of the "
            f"largest, expected at most {CLOSE:g}; nothing is written"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from error
    return worst


def _check_packages() -> None:
    for name in NEEDED:
        try:
            __import__(name)
        except ImportError as error:
            raise KernbenchError(f'ONNX files need {name}: pip install "kernbench[onnx]"') from error


def _exported(module: nn.Module, example: torch.Tensor) -> bytes:
    """Content of the file.

    Raises:
        KernbenchError: torch cannot export this network.
    """
    free = {0: torch.export.Dim("count", min=1, max=2**16), 2: torch.export.Dim.DYNAMIC}
    settings: dict[str, Any] = {"input_names": [INPUT], "output_names": [OUTPUT], "dynamo": True, "verbose": False}
    loggers = logging.getLogger("torch.onnx"), logging.getLogger("onnxscript"), logging.getLogger("onnx_ir")
    levels = [each.level for each in loggers]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about itself
        for each in loggers:
            each.setLevel(logging.ERROR)
        try:
            target = Path(folder) / "network.onnx"
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                torch.onnx.export(
                    module, (example,), str(target), dynamic_shapes=(free,), external_data=False, **settings
                )
            return target.read_bytes()
        except Exception as error:  # whatever the exporter meets
            reason = first_line(error.__cause__ or error)
            raise KernbenchError(f"torch cannot export this network to ONNX: {reason}") from error
        finally:
            for each, level in zip(loggers, levels, strict=True):
                each.setLevel(level)


def _difference(content: bytes, network: Network, lines: int, length: int) -> float:
    """Largest difference between the file's outputs and the network's on random lines, over the largest output."""
    import onnxruntime  # noqa: PLC0415  # of an extra

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    signal = np.random.default_rng(lines).normal(size=(lines, 1, length)).astype(np.float32)
    (found,) = session.run([OUTPUT], {INPUT: signal})
    network.eval()
    with torch.inference_mode():
        wanted = network(torch.from_numpy(signal)).numpy()
    if found.shape != wanted.shape:
        return float("inf")
    return float(np.abs(found - wanted).max() / max(np.abs(wanted).max(), np.finfo(np.float32).tiny))
