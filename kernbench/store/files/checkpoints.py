"""Checkpoints of one training run: written atomically, read without unpickling, damaged ones skipped."""

import warnings
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kernbench.errors import KernbenchWarning, StorageError, first_line
from kernbench.host.files import PART, whole_file
from kernbench.store.files.artifact_entries import is_plain

State = dict[str, Any]  # nested dicts of tensors, numbers and strings, as state_dict() gives them


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
        """The newest intact checkpoint of the cell, of any attempt.

        Args:
            digest: definition the checkpoint must belong to; another one is ignored.

        Returns:
            The state, or None when there is none to go on from. A damaged file is reported by a KernbenchWarning.
        """
        for path in sorted(self.folder.glob(f"{self.key}.*.pt"), key=_trial, reverse=True):
            if not is_plain(path):
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

    def save(self, state: State) -> None:
        """Write a checkpoint, `<key>.<trial>.pt`, so that a kill or a full disk leaves the old file or the new one.

        Args:
            state: tensors, numbers, strings, lists and dicts: what `torch.load(weights_only=True)` reads back.

        Raises:
            StorageError: the folder cannot be written or the disk is full.
        """
        path = self.folder / f"{self.key}.{self.trial}.pt"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as file:
                torch.save(state, file)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
            raise StorageError(
                f"checkpoint {path} cannot be written: {error}; free space or change --storage"
            ) from error


def remove(folder: Path, key: str) -> None:
    """Delete all checkpoints of a cell, half-written ones included."""
    plain = [path for path in folder.glob(f"{key}.*.pt") if is_plain(path)]
    for path in [*plain, *folder.glob(f"{key}.*{PART}")]:
        path.unlink(missing_ok=True)


def remove_of_trials(folder: Path, key: str, trials: Collection[int]) -> None:
    """Delete the checkpoints that these attempts at a cell have left, half-written ones included."""
    for path in [path for trial in trials for path in folder.glob(f"{key}.{trial}.*") if is_plain(path)]:
        path.unlink(missing_ok=True)


def _trial(path: Path) -> int:
    number = path.name.split(".")[-2]
    return int(number) if number.isdigit() else -1
