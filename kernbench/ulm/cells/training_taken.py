"""A training that another cell of the study has done already, taken over: its network and its learning curve."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch

from kernbench.errors import DataError, PluginError
from kernbench.host.tensor_files import read_tensors
from kernbench.networks import weights
from kernbench.networks.network import Network
from kernbench.study.cell import CellContext, TrainedBefore
from kernbench.training.settings import Epoch
from kernbench.ulm.cells.artifact_reader import CURVE, load_curve
from kernbench.ulm.cells.definition import make_network

MEMORY = "peak_memory_mb"


@dataclass(frozen=True, eq=False)
class Taken:
    """What is taken over.

    Attributes:
        cell: that was trained.
        network: trained, on the device, in evaluation mode.
        curve: its learning curve.
        memory_mb: most memory that its training took; None where it was not measured.
    """

    cell: str
    network: Network
    curve: list[Epoch]
    memory_mb: float | None


def take_over(context: CellContext, epochs: int) -> Taken | None:
    """The trained network of a finished cell with the same training, if there is one.

    A file that is missing or damaged is noted, and the cell is trained as if there were none. torch's global random
    generator is left as it was.

    Args:
        context: of the cell.
        epochs: of a whole training.

    Returns:
        What was taken over; None where the cell is to be trained.
    """
    before = context.trained_before()
    if before is None:
        return None
    try:
        curve = _curve(before, epochs)
        path = _file(before, weights.WEIGHTS)
        with torch.random.fork_rng(devices=[]):
            network = make_network(context.study, context.params)
        weights.fill(network, path, read_tensors(path))
    except (DataError, PluginError) as error:
        context.observer.note(f"cell {before.cell} has the same training, but is not taken over: {error}")
        return None
    context.observer.note(f"trained already, as cell {before.cell}; only its test lines are scored")
    for row in curve:
        if row.val_f1 is not None:
            context.report(row.epoch, row.val_f1)
    return Taken(before.cell, network.to(context.device).eval(), curve, before.values.get(MEMORY))


def _curve(before: TrainedBefore, epochs: int) -> list[Epoch]:
    path = _file(before, CURVE)
    columns = {name: values.tolist() for name, values in load_curve(path).items()}
    try:
        rows = [
            Epoch.from_columns(
                {name: None if math.isnan(value) else value for name, value in zip(columns, row, strict=True)}
                | {"epoch": at}
            )
            for at, row in enumerate(zip(*columns.values(), strict=True))
        ]
    except TypeError as error:
        raise DataError(f"{path.name} lacks a column: {error}") from error
    if len(rows) != epochs:
        raise DataError(f"{path.name} has {len(rows)} epochs, expected {epochs}")
    return rows


def _file(before: TrainedBefore, name: str) -> Path:
    if name not in before.files:
        raise DataError(f"it has no file {name} beside the database")
    return before.files[name]
