"""Trained cells with their networks, as they are and as they were before training."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from kernbench.errors import KernbenchError
from kernbench.networks.network import Network
from kernbench.networks.weights import WEIGHTS
from kernbench.store.reading.records import OK, Run
from kernbench.ulm.cells.artifact_reader import ARRAYS, load_arrays
from kernbench.ulm.cells.artifacts import kernels_of
from kernbench.ulm.evaluation.trained import Trained, load_trained, untrained

CLOSE = 1e-4  # of the largest tap: kernels made by other code for the same formula differ by rounding, others by more

Say = Callable[[str], None]  # takes one line for the user
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class TrainedCell:
    """A cell that was trained and scored.

    Attributes:
        run: what it left behind.
        trained: its network, in evaluation mode, and what its file says.
        start: the network before training, likewise; None where it cannot be drawn again.
    """

    run: Run
    trained: Trained
    start: Network | None

    @property
    def network(self) -> Network:
        """The trained network."""
        return self.trained.network

    def kernels(self) -> list[Floats]:
        """Trained kernels of every layer, (pairs, K) each, pairs in (output, input) order."""
        return kernels_of(self.network)

    def kernels_before(self) -> list[Floats] | None:
        """The same before training; None where they are not known."""
        return None if self.start is None else kernels_of(self.start)


def trained_cells(
    runs: Iterable[Run], say: Say, plugin: str | None = None, network: str | None = None
) -> Iterator[TrainedCell]:
    """The scored cells among runs, one after the other, so that one network is held at a time.

    Args:
        runs: cells, finished or not.
        say: takes a line for each cell that is left out, and for each whose start is not known.
        plugin: FILE.py:NAME of a family from a local file; as for `load_trained`.
        network: likewise of a network.
    """
    for run in runs:
        name = f"{run.study} {run.cell}"
        path = run.artifacts.get(WEIGHTS)
        if run.status != OK:
            continue
        if path is None:
            say(f"{name} is left out: its file {WEIGHTS} is not beside the database; see `kernbench storage check`")
            continue
        try:
            trained = load_trained(path, plugin, network)
        except KernbenchError as error:
            say(f"{name} is left out: {error}")
            continue
        start, why = _start(trained, run.artifacts.get(ARRAYS), plugin, network)
        if why:
            say(f"{name}: its kernels before training are not known: {why}")
        yield TrainedCell(run, trained, start)


def _start(
    trained: Trained, arrays: Path | None, plugin: str | None, network: str | None
) -> tuple[Network | None, str]:
    """The network before training, or why it is not known: it must give the kernels that the cell stored of it.

    Of a cell that stored none, the torch that trained it must be the one that draws again.
    """
    try:
        start = untrained(trained, plugin, network)
        kept = [] if arrays is None else load_arrays(arrays).starts
    except KernbenchError as error:
        return None, str(error)
    if not kept and trained.facts.get("versions", {}).get("torch") != torch.__version__:
        return None, "they were drawn by another torch, and the cell stored none to compare with"
    for first, last, stored in zip(kernels_of(start), kernels_of(trained.network), kept, strict=False):
        strongest = np.argsort(-np.square(last).sum(axis=1), kind="stable")[: len(stored)]
        if np.abs(first[strongest] - stored).max(initial=0) > CLOSE * np.abs(stored).max(initial=0):
            return None, "drawn again they are others than those that the cell stored; was it another torch?"
    return start, ""
