"""Errors that a user can act on: one line each, printed by the command line without a traceback, exit code 2."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any


class KernbenchError(Exception):
    """Bad input or a failed environment; the message says what is wrong, expected and got, where, and what to do.

    Attributes:
        exit_code: of the command line.
    """

    exit_code = 2


class PluginError(KernbenchError):
    """A plugin that cannot be found, imported, or that breaks the kernel contract."""


class StudyError(KernbenchError):
    """A study file, profile or axis that cannot be used, or that changed since its cells ran."""


class StorageError(KernbenchError):
    """A database, artifact or checkpoint folder that cannot be opened, read or written."""


class StorageLostError(StorageError):
    """A database that was there and went away while cells ran."""

    exit_code = 3


class DataError(KernbenchError):
    """A data set, response file or cache entry that cannot be used."""


class DivergedError(Exception):
    """Training met NaN or infinity: a result of the cell, not bad input.

    Attributes:
        curve: rows of the learning curve up to there.
    """

    curve: Sequence[Any] = ()  # rows of kernbench.training.Epoch, which imports torch


class KernbenchWarning(UserWarning):
    """Something that goes on, but not as the user may expect."""


def close_match(name: str, candidates: Iterable[str]) -> str:
    """The end of an error sentence that offers the nearest known name.

    Args:
        name: what was asked for.
        candidates: the known names.

    Returns:
        "; did you mean 'siren'?" or the empty string.
    """
    found = difflib.get_close_matches(name, list(candidates), n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def first_line(error: BaseException) -> str:
    """Type and first line of an exception's message."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
