"""A training that another cell of the study has done already, taken over: its network and its learning curve."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch

from kernbench.errors import DataError, DivergedError, PluginError
from kernbench.host.tensor_files import read_tensors
from kernbench.networks import weights
from kernbench.networks.network import Network
from kernbench.study.cell import CellContext, TrainedBefore
from kernbench.training.settings import Epoch
from kernbench.ulm.cells.artifact_reader import CURVE, load_curve
from kernbench.ulm.cells.definition import make_network

MEMORY = "peak_memory_mb"

Validate = Callable[[Network], tuple[float, float]]  # loss and F1 on the validation lines


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


def take_over(context: CellContext, epochs: int, seed: int, validate: Validate) -> Taken | None:
    """The trained network of a finished cell with the same training, if there is one.

    It must score on the validation lines as its curve says, to the last bit: code that was edited, and state that a
    module keeps elsewhere than in its state dict, make another network of the same file. What does not fit, or is
    missing or damaged, is noted, and the cell is trained as if there were nothing to take over. torch's global random
    generator is left as it was.

    Args:
        context: of the cell.
        epochs: of a whole training.
        seed: of the weights at the start, from which what is no tensor of the network follows.
        validate: see `Validate`.

    Returns:
        What was taken over; None where the cell is to be trained.
    """
    for before in context.trained_before():
        try:
            taken = _taken(before, context, epochs, seed, validate)
        except (DataError, DivergedError, PluginError) as error:
            context.observer.note(f"cell {before.cell} has the same training, but is not taken over: {error}")
            continue
        context.observer.note(f"trained already, as cell {before.trained_as}; only its test lines are scored")
        for row in taken.curve:
            if row.val_f1 is not None:
                context.report(row.epoch, row.val_f1)
        return taken
    return None


def _taken(before: TrainedBefore, context: CellContext, epochs: int, seed: int, validate: Validate) -> Taken:
    curve, path = _curve(_file(before, CURVE), epochs), _file(before, weights.WEIGHTS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = make_network(context.study, context.params)
    facts = weights.fill(network, path, read_tensors(path))
    if [facts.get(name) for name in ("study", "digest", "cell")] != [
        context.study.key,
        context.study.digest,
        before.cell,
    ]:
        raise DataError(f"{weights.WEIGHTS} is of another cell")
    network.to(context.device).eval()
    if validate(network) != (curve[-1].val_loss, curve[-1].val_f1):
        raise DataError("its network does not score on the validation lines as its learning curve says")
    return Taken(before.trained_as, network, curve, before.values.get(MEMORY))


def _curve(path: Path, epochs: int) -> list[Epoch]:
    """The learning curve in a file; it must be that of a whole training."""
    columns = {name: values.tolist() for name, values in load_curve(path).items()}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if columns["epoch"] != list(range(epochs)):
        raise DataError(f"{CURVE} expected epochs 0 to {epochs - 1}, got {len(rows)} rows")
    known = {name: [row.get(name, math.nan) for row in rows] for name in ("train_loss", "rate", "seconds")}
    last = [rows[-1].get(name, math.nan) for name in ("val_loss", "val_f1")]
    scores = [score for score in columns.get("val_f1", []) if not math.isnan(score)]
    if not all(map(math.isfinite, [*last, *scores, *(each for column in known.values() for each in column)])):
        raise DataError(f"{CURVE} lacks a number")
    if any(after < before for before, after in pairwise([0.0, *known["seconds"]])):
        raise DataError(f"{CURVE} has times that go back")
    return [Epoch.from_columns({name: _read(name, value) for name, value in row.items()}) for row in rows]


def _read(name: str, value: float) -> float | None:
    if name == "epoch":
        return int(value)
    return None if math.isnan(value) else value


def _file(before: TrainedBefore, name: str) -> Path:
    if name not in before.files:
        raise DataError(f"it has no file {name} beside the database")
    return before.files[name]
