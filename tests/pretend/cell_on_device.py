"""One cell of `smoke` where a test wants it, and all that it leaves, read back."""

import copy
import dataclasses

import fakes
import numpy as np
import torch

from kernbench.registry import find_family
from kernbench.store.files.checkpoints import CellCheckpoints
from kernbench.study.cell import CellContext, file_key
from kernbench.study.task import load
from kernbench.ulm.cells.run import run_cell

CELL = "kernel_size=9,seed=0"
COSTS = ("latency_ms", "peak_memory_mb")  # of a machine


def study(tables=None, runtime=None, family="siren"):
    """The smoke study with other settings."""
    found = load("smoke", find_family(family), "quick")
    definition = copy.deepcopy(found.definition)
    for table, values in (tables or {}).items():
        definition[table] |= values
    return dataclasses.replace(found, definition=definition, runtime=found.runtime | (runtime or {}))


def outcome(folder, device, asked, stop=lambda: False, attempt=0):
    """Outcome of its first cell, trained on a device; checkpoints are in the folder, for any attempt and device."""
    scratch = folder / f"{device.replace(':', '-')}-{attempt}"
    scratch.mkdir(parents=True)
    kept = CellCheckpoints(folder / "checkpoints", file_key(asked.key, CELL), attempt)
    given = {"report": lambda *_: None, "stop": stop, "observer": fakes.Silent(), "saved": lambda _epoch: None}
    return run_cell(CellContext(asked, CELL, asked.cells()[CELL], device, attempt, kept, scratch, **given))


def all_of(found):
    """All that a cell has found out, for a comparison bit for bit: costs of the machine and paths left out."""
    scores = {
        f"{split} {name}": getattr(counts, name).tolist()
        for split, counts in found.scores.items()
        for name in ("thresholds", "tp", "fn", "fp")
    }
    values = {name: value for name, value in found.values.items() if name not in COSTS}
    files = {path.name: path for path in found.artifacts}
    with np.load(files["cell.npz"]) as file:
        arrays = {name: file[name].tolist() for name in file.files}
    weights = torch.load(files["weights.pt"], weights_only=True)["state"]
    curve = [row.rpartition(",")[0] for row in files["curve.csv"].read_text().splitlines()]  # less the seconds
    return {
        "status": found.status,
        "value": found.value,
        "scores": scores,
        "values": values,
        "matched": found.matched,
        "curves": found.curve,
        "layers": found.details["layers"],
        "files": sorted(files),
        "arrays": arrays,
        "weights": {name: value.tolist() for name, value in weights.items()},
        "epochs": curve,
    }
