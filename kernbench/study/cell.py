"""What passes between the engine and the task: a cell's context going in, its outcome coming out."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from kernbench.host.files import sha256_of
from kernbench.study.progress import Progress
from kernbench.study.study import Params, Study

PRUNED = "pruned"

DONE = ("ok", "diverged", PRUNED)

ENDED = ("done", "diverged", PRUNED)  # states of a cell that is not run again


@dataclass(frozen=True)
class CellState:
    """How far one cell is.

    Attributes:
        cell: cell id.
        state: "done", "diverged", "pruned" (a draw that was ended early), "running", "lost" (its worker has ended),
            "waiting", "failed" or "missing".
        detail: failure class and first line of the error, or the worker.
        retry: whether the next `run` takes it up by itself.
        score: validation score of a done cell.
        plateau: whether training left it where it began; None where that was not stored.
        seconds: that an ended cell took; None where that was not stored.
        progress: of a running cell; None where its worker has stored none yet.
        sizes: of the network of an ended cell, those that its study works out: "K = 65, 11 channels"; else empty.
    """

    cell: str
    state: str
    detail: str = ""
    retry: bool = False
    score: float | None = None
    plateau: bool | None = None
    seconds: float | None = None
    progress: Progress | None = None
    sizes: str = ""


@dataclass(frozen=True)
class SplitFacts:
    """What the report needs to know of an evaluated split; the names are those that the task declares.

    Attributes:
        lines: name of a `Fact` -> its value for each line, (N,).
        floors: name of a `Floor` -> its mean score at tolerances 0, 1, ..., (n_tol,).
    """

    lines: Mapping[str, Sequence[float]]
    floors: Mapping[str, Sequence[float]]


@dataclass(frozen=True, eq=False)
class TrainedBefore:
    """A finished cell whose training is that of another one: they differ in their test lines alone.

    Attributes:
        cell: its id.
        trained_as: cell that was trained, which is this one or one whose training it took over.
        files: what it left, file name -> path.
        values: name of a `Column` that the task declares -> its number, as in Outcome.
    """

    cell: str
    trained_as: str
    files: Mapping[str, Path]
    values: Mapping[str, float | None]


@dataclass(frozen=True)
class CellContext:
    """Where and how one cell runs.

    Attributes:
        study: the study.
        cell: cell id.
        params: axis values, draw and drawn hyper-parameters where the study is tuned, and seed.
        device: "cpu" or "cuda:0".
        trial: number of this attempt; checkpoints carry it.
        checkpoints: where the cell finds its newest checkpoint and saves the next.
        scratch: empty folder for artifacts, removed afterwards.
        report: (epoch, score) -> None, the learning curve of the dashboard.
        stop: true when the worker was asked to leave.
        observer: shows progress.
        saved: called with the epoch of each checkpoint written.
        plugin: distribution and version that make the kernels.
        enough: asked after each epoch; true ends the cell early, as `pruned`.
        trained_before: looks for finished cells with the very training that this one needs.
    """

    study: Study
    cell: str
    params: Params
    device: str
    trial: int
    checkpoints: "Checkpoints"
    scratch: Path
    report: Callable[[int, float], None]
    stop: Callable[[], bool]
    observer: "Observer"
    saved: Callable[[int], None]
    plugin: str = ""
    enough: Callable[[], bool] = lambda: False
    trained_before: Callable[[], Sequence[TrainedBefore]] = list

    @property
    def tolerance(self) -> int:
        """Headline tolerance of the study [samples]."""
        return self.study.tolerance

    @property
    def key(self) -> str:
        """File-name part of this cell: a hash, because cell ids hold what users wrote."""
        return file_key(self.study.key, self.cell)


@dataclass(frozen=True, eq=False)
class LineCounts:
    """Counts of every line of a split at the chosen thresholds.

    Attributes:
        thresholds: (n_tol,) chosen threshold of tolerance 0, 1, ...
        tp: (n_tol, N) integers, as fn and fp.
        fn: see tp.
        fp: see tp.
    """

    thresholds: np.ndarray
    tp: np.ndarray
    fn: np.ndarray
    fp: np.ndarray


@dataclass(frozen=True, eq=False)
class Outcome:
    """A finished cell.

    Attributes:
        status: "ok", "diverged", or "pruned" when the context had enough.
        value: score to maximize, -inf when diverged; of no meaning when pruned.
        message: why it diverged, else empty.
        data_digest: data set it ran on.
        scores: split -> counts.
        facts: split -> lines and floors.
        seeds: name -> seed of every random stream.
        values: name of a `Column` that the task declares -> its number; None where it was not measured.
        tolerance: headline tolerance of the scores [samples]; None for that of the study.
        epochs: trained in all attempts; None where there are none.
        resumed_from: epoch of the checkpoint that this attempt went on from, or None.
        earlier_seconds: training before an interruption, or of another cell that was taken over.
        trained_as: that cell; empty for one that was trained itself.
        matched: one-to-one scores of the test lines, column -> value at each tolerance 0, 1, ...
        curve: precision, recall and F1 of the test lines at all thresholds, nested lists.
        summary: how it ended, one line for the terminal.
        attributes: further scalars for the dashboard.
        details: further JSON for the run table, which only the task reads.
        artifacts: files to attach, in the scratch folder.
        note: what the trial's note says of the task: name and value in words.
        plateau: whether training ended where it began; None without scores.
        draw: makes the pictures, further files in the scratch folder; called once everything else is stored, because
            what is made for show may fail.
    """

    status: str
    value: float
    data_digest: str
    message: str = ""
    scores: Mapping[str, LineCounts] = field(default_factory=dict)
    facts: Mapping[str, SplitFacts] = field(default_factory=dict)
    seeds: Mapping[str, int] = field(default_factory=dict)
    values: Mapping[str, float | None] = field(default_factory=dict)
    tolerance: int | None = None
    epochs: int | None = None
    resumed_from: int | None = None
    earlier_seconds: float = 0.0
    trained_as: str = ""
    matched: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    curve: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    summary: str = ""
    attributes: Mapping[str, bool | int | float | str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Sequence[Path] = ()
    note: Sequence[tuple[str, str]] = ()
    plateau: bool | None = None
    draw: Callable[[], Sequence[Path]] = tuple


class Checkpoints(Protocol):
    """Checkpoints of one cell."""

    def newest(self, digest: str) -> dict[str, Any] | None:
        """The newest intact one of this definition, or None."""

    def save(self, state: dict[str, Any]) -> None:
        """Keep a state; tensors, numbers, strings, lists and dicts."""


class Observer(Protocol):
    """Is notified of how a run goes, to show it on a terminal or in a log."""

    def cell_started(self, cell: str, position: int, total: int) -> None:
        """A cell begins; position counts from 1."""

    def epoch(self, epoch: int, epochs: int, loss: float, score: float | None, seconds: float) -> None:
        """An epoch ended; seconds is the training time so far."""

    def cell_finished(self, cell: str, status: str, summary: str) -> None:
        """A cell ended."""

    def cell_told(self, state: CellState, position: int, total: int, worker: str) -> None:
        """A cell ended in another process, the position-th of this run; `worker` says which."""

    def crew_told(self, running: Sequence[tuple[str, CellState]], left: str) -> None:
        """How far cells in other processes are; called often, for an observer that shows some of it.

        Args:
            running: worker and cell of each that runs.
            left: an estimate of the time until all cells are finished; empty where nothing is known.
        """

    def note(self, text: str) -> None:
        """One line worth reading."""


def file_key(study: str, cell: str) -> str:
    """File-name part of a cell: a hash, because names of studies and cells hold what users wrote."""
    return sha256_of(f"{study}\n{cell}", 16)


def derived_seed(purpose: str, seed: int) -> int:
    """A seed below 2^32 for one purpose ("initialization", "order"), the same for every family and kernel size.

    Args:
        purpose: name of the random stream.
        seed: the cell's seed.
    """
    text = hashlib.blake2b(str(seed).encode(), key=purpose.encode(), digest_size=4)
    return int.from_bytes(text.digest(), "big")
