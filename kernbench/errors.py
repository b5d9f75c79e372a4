"""Errors that a user can act on: one line each, printed by the command line without a traceback, exit code 2."""

import difflib
import errno
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PLUGIN_FILE_MODULE = "kernbench_file_"  # modules of plugin files that the user typed
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # a disk that takes nothing: it fails whatever comes next


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
    """A database that became unavailable while cells ran."""

    exit_code = 3


class WorkersError(KernbenchError):
    """Worker processes that end before they take up a cell."""

    exit_code = 1


class DataError(KernbenchError):
    """A data set, response file or cache entry that cannot be used."""


class DivergedError(Exception):
    """Training met NaN or infinity: a result of the cell, not bad input.

    Attributes:
        curve: rows of the learning curve up to there.
    """

    curve: Sequence[Any] = ()  # rows of kernbench.training.settings.Epoch, which imports torch


class KernbenchWarning(UserWarning):
    """Something that goes on, but not as the user may expect."""


@contextmanager
def only_warned(what: str, say: Callable[[str], None], but: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn what fails inside into one line: what is made for show never fails what was measured.

    Args:
        what: the beginning of the line: "the report was not written"; empty for the error alone.
        say: called with the line.
        but: errors that are raised all the same; a disk that takes nothing always is.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, but) or (isinstance(error, OSError) and error.errno in FULL):
            raise
        said = one_line(error, 1000) if isinstance(error, KernbenchError) else first_line(error)
        say(f"{what}: {said}" if what else said)


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
    """Type and first line of an exception's message, and the line of the user's plugin file that raised it."""
    text = str(error).strip().splitlines()
    said = f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
    said = one_line(said, 1000)  # whatever a plugin puts into its message
    place = _place_in_plugin_file(error)
    return f"{said} ({place})" if place and place not in said else said


def one_line(text: object, width: int = 120) -> str:
    """What others have written as part of one line: nothing that a terminal acts on, cut at `width`."""
    plain = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in str(text)[: width + 1])
    return plain if len(plain) <= width else f"{plain[:width]}..."


def counted(number: int, name: str) -> str:
    """A number with its noun: "1 cell", "2 cells"."""
    return f"{number} {name}{'' if number == 1 else 's'}"


def first_line_of(text: str | None) -> str:
    """First line of a docstring, empty without one."""
    return (text or "").strip().partition("\n")[0]


def _place_in_plugin_file(error: BaseException) -> str:
    """`my_kernel.py:12`, the deepest line in a plugin file named on the command line; empty if there is none."""
    files = {getattr(m, "__file__", None) for name, m in sys.modules.items() if name.startswith(PLUGIN_FILE_MODULE)}
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files - {None}]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
