"""The door between engine and task: what a task declares, and what it is asked to do.

A process works on one task. The bundled one is named here as text and imported when it is first needed, as kernel
families are; `use` replaces it, before any table of results is made.
"""

import dataclasses
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from kernbench.errors import KernbenchError, StudyError
from kernbench.kernels.family import KernelFamily
from kernbench.study.cell import CellContext, Outcome
from kernbench.study.columns import Column, Fact, Floor
from kernbench.study.reading import load_study, study_of
from kernbench.study.selection import ALL, Selection
from kernbench.study.study import Study
from kernbench.study.toml_tables import TomlTable

if TYPE_CHECKING:
    from kernbench.store.reading.stored_study import Stored

BUNDLED = "kernbench.ulm.cells.task:TASK"

Progress = Callable[[str, int, int], None]  # split, steps done, steps in all


@dataclass(frozen=True)
class Bytes:
    """What cells of a study write, beside what depends on the number of parameters.

    Attributes:
        lines: data that are not in the cache yet [bytes].
        files: pictures, curves and arrays of one cell [bytes].
        scores: rows of one cell in the table of scores.
    """

    lines: int
    files: int
    scores: int


class Task(Protocol):
    """What trains and scores the cells of a study; `docs/design.md` describes the bundled one."""

    @property
    def score(self) -> str:
        """Name of the number that a trial maximizes, for the dashboard."""

    @property
    def columns(self) -> Sequence[Column]:
        """Numbers that a finished cell reports, each in one entry."""

    @property
    def line_facts(self) -> Sequence[Fact]:
        """What is known of each evaluated line."""

    @property
    def floors(self) -> Sequence[Floor]:
        """Blind detectors that every score is compared with."""

    def facts(self, definition: TomlTable) -> TomlTable:
        """What the task adds to a study's definition: its version, that of its protocol, the digest of its data."""

    def check(self, study: Study, device: str, only: Selection = ALL) -> int:
        """Refuse what cannot work before anything is written; returns the trainable numbers of the largest network.

        Networks of cells that `only` leaves out are not looked at.

        Raises:
            KernbenchError: a setting that the network, the lines or the device cannot take.
            PluginError: a plugin that breaks its contract.
        """

    def prepare(self, study: Study, device: str, progress: Progress) -> None:
        """Make sure that the data of a study are in the cache."""

    def run(self, context: CellContext) -> Outcome:
        """Train and score one cell.

        Raises:
            Interrupted: the worker was asked to leave; a checkpoint is saved.
        """

    def bytes_needed(self, study: Study) -> Bytes:
        """What the cells of a study write."""


_in_use: list[Task] = []


def task() -> Task:
    """The task of this process."""
    if not _in_use:
        module, _, name = BUNDLED.partition(":")
        _in_use.append(getattr(importlib.import_module(module), name))
    return _in_use[0]


def use(other: Task) -> None:
    """Replace the bundled task.

    Raises:
        KernbenchError: this process works on a task already.
    """
    if _in_use and _in_use[0] is not other:
        raise KernbenchError("this process works on a task already; choose another one before the first is used")
    _in_use[:] = [other]


def load(name: str, family: KernelFamily, profile: str) -> Study:
    """A study, with what the task adds to its definition.

    Raises:
        StudyError: see `kernbench.study.reading.load_study`.
    """
    return _with_facts(load_study(name, family, profile))


def restored(kept: "Stored", family: KernelFamily) -> Study:
    """A study of a database as this installation reads it; that it means the same is checked by the caller.

    Raises:
        StudyError: a setting or a value that this installation does not know, or a path instead of a name.
    """
    names = [kept.table.get("network", {}).get("name"), *kept.table["axes"].get("name", [])]
    names += kept.table.get("networks", {})
    if any(".py" in str(name) for name in names):  # a database must not say which code to run
        raise StudyError(f"{kept.source}: network.name: a path is no name of a network; the database is damaged")
    return _with_facts(study_of(kept.table, kept.name, family, kept.profile, kept.source))


def _with_facts(study: Study) -> Study:
    return dataclasses.replace(study, definition=study.definition | task().facts(study.definition))


def columns_shown(where: str) -> list[Column]:
    """Declared numbers of a cell that appear in a place: "csv", "page", "terminal" or "dashboard"."""
    return [column for column in task().columns if where in column.shown]
