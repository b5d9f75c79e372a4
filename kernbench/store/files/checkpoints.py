"""Checkpoints of one training run: written atomically, read without unpickling, damaged ones skipped."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kernbench.errors import KernbenchWarning, StorageError, first_line
from kernbench.host.files import PART, whole_file

State = dict[str, Any]  # nested dicts of tensors, numbers and strings, as state_dict() gives them


def save(path: Path, state: State) -> None:
    """Write a checkpoint so that a kill or a full disk at any moment leaves the old file or the new one.

    Args:
        path: final name, `<key>.<trial>.pt`; what a kill leaves is a sibling `<key>.<trial>.pt.*.part`.
        state: tensors, numbers, strings, lists and dicts: what `torch.load(weights_only=True)` reads back.

    Raises:
        StorageError: the folder cannot be written or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            torch.save(state, file)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        raise StorageError(f"checkpoint {path} cannot be written: {error}; free space or change --storage") from error


def load_newest(folder: Path, key: str, digest: str) -> State | None:
    """The newest intact checkpoint of a cell, of this definition.

    Args:
        folder: checkpoint folder.
        key: hash of study and cell; files are `<key>.<trial>.pt`.
        digest: definition the checkpoint must belong to; another one is ignored.

    Returns:
        The state, or None when there is none to go on from. A damaged file is reported by a KernbenchWarning.
    """
    for path in sorted(folder.glob(f"{key}.*.pt"), key=_trial, reverse=True):
        if path.is_symlink() or not path.is_file():
            text = f"checkpoint {path} is no plain file and skipped; remove it"
            warnings.warn(text, KernbenchWarning, stacklevel=2)
            continue
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # whatever a damaged file raises, the cell starts again
            text = f"checkpoint {path} is damaged and skipped: {first_line(error)}"
            warnings.warn(text, KernbenchWarning, stacklevel=2)
            continue
        if isinstance(state, dict) and state.get("digest") == digest:
            return state
    return None


def remove(folder: Path, key: str) -> None:
    """Delete all checkpoints of a cell, half-written ones included."""
    for path in [*_files(folder, key), *folder.glob(f"{key}.*{PART}")]:
        path.unlink(missing_ok=True)


@dataclass(frozen=True)
class CellCheckpoints:
    """Checkpoints of one cell, written by one attempt.

    Attributes:
        folder: of all checkpoints.
        key: hash of study and cell.
        trial: number of the attempt.
    """

    folder: Path
    key: str
    trial: int

    def newest(self, digest: str) -> State | None:
        """See `load_newest`."""
        return load_newest(self.folder, self.key, digest)

    def save(self, state: State) -> None:
        """See `save`."""
        save(self.folder / f"{self.key}.{self.trial}.pt", state)


def _files(folder: Path, key: str) -> list[Path]:
    return [path for path in folder.glob(f"{key}.*.pt") if path.is_file() and not path.is_symlink()]


def _trial(path: Path) -> int:
    number = path.name.split(".")[-2]
    return int(number) if number.isdigit() else -1
