"""Progress of a run: cell, epoch, loss, F1 and time left, live on a terminal or as plain lines."""

import functools
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from kernbench.cli.terminal.bars import SECONDS_BETWEEN_LINES
from kernbench.study.cell import DONE, CellState, Observer
from kernbench.study.durations import duration
from kernbench.study.time_left import TimeLeft

LINES_PER_CELL = 6  # in a log
BETWEEN_CREWS_S = 30.0  # in a log, where cells end all the time
LONGEST_SILENCE_S = 300.0  # where none ends

Watcher = TypeVar("Watcher")
Given = ParamSpec("Given")


def _only_shown(method: Callable[Concatenate[Watcher, Given], None]) -> Callable[Concatenate[Watcher, Given], None]:
    """A method that raises nothing: it is called in the middle of a cell, which must not fail by what is shown."""

    @functools.wraps(method)
    def quiet(self: Watcher, /, *args: Given.args, **kwargs: Given.kwargs) -> None:
        with suppress(Exception):
            method(self, *args, **kwargs)

    return quiet


class LiveObserver(Observer, Protocol):
    """An observer that is notified of the simulation, too."""

    def simulated(self, split: str, done: int, total: int) -> None:
        """Bubbles simulated so far of one split."""


class PlainObserver:
    """Plain lines: the start and end of each cell, a few epochs in between, and the time that is left."""

    def __init__(self, study: str) -> None:
        self._study = study
        self._said = 0.0
        self._crew_said, self._news, self._lines = time.monotonic(), True, list[str]()
        self._began, self._to_come, self._seconds = 0.0, 0, list[float]()  # of this run's finished cells

    @_only_shown
    def cell_started(self, cell: str, position: int, total: int) -> None:
        """A cell begins."""
        self._began, self._to_come = time.monotonic(), total - position
        click.echo(f"[{position}/{total}] {self._study} {cell}")

    @_only_shown
    def epoch(self, epoch: int, epochs: int, loss: float, score: float | None, seconds: float) -> None:
        """An epoch ended; a line for some of them."""
        step = max(1, epochs // LINES_PER_CELL)
        if epoch % step and epoch != epochs:
            return
        left = (epochs - epoch) * seconds / epoch
        shown = "" if score is None else f"  F1 {score:.3f}"
        click.echo(f"  epoch {epoch}/{epochs}  loss {loss:.4f}{shown}  {left:.0f} s left")

    @_only_shown
    def cell_finished(self, cell: str, status: str, summary: str) -> None:
        """A cell ended."""
        click.echo(f"  {status}: {summary}" if summary else f"  {status}")
        if status in DONE:
            self._seconds.append(time.monotonic() - self._began)
        if self._seconds and self._to_come:
            mean = sum(self._seconds) / len(self._seconds)
            click.echo(f"  {TimeLeft(self._to_come * mean, 1, len(self._seconds)).text}")

    @_only_shown
    def cell_told(self, state: CellState, position: int, total: int, worker: str) -> None:
        """A cell ended in another process."""
        self._news = True
        click.echo(_told(self._study, state, position, total, worker))

    @_only_shown
    def crew_told(self, running: Sequence[tuple[str, CellState]], left: str) -> None:
        """A line for each worker and one for all: when a cell has ended, or after a while, and never often."""
        since = time.monotonic() - self._crew_said
        if since < (BETWEEN_CREWS_S if self._news else LONGEST_SILENCE_S):
            return
        lines = [_of_worker(worker, state) for worker, state in running] + ([left] if left else [])
        if lines and lines != self._lines and (left or any(state.progress for _, state in running)):
            self._crew_said, self._news, self._lines = time.monotonic(), False, lines
            for line in lines:
                click.echo(f"  {line}")

    @_only_shown
    def note(self, text: str) -> None:
        """One line."""
        click.echo(f"  {text}")

    @_only_shown
    def simulated(self, split: str, done: int, total: int) -> None:
        """A line every few seconds and at the end."""
        now = time.monotonic()
        if done == total or now - self._said > SECONDS_BETWEEN_LINES:
            self._said = now
            click.echo(f"  simulating {split} lines: {done:,} of {total:,} bubbles")


def _told(study: str, state: CellState, position: int, total: int, worker: str) -> str:
    score = "" if state.score is None else f"F1 {state.score:.3f} on validation lines"
    return "  ".join(
        filter(None, [f"[{position}/{total}] {study} {state.cell}", state.state, score, state.detail, worker])
    )


def _of_worker(worker: str, state: CellState) -> str:
    progress = "no epoch stored yet" if state.progress is None else state.progress.text
    return f"{worker}: {state.cell}, {progress}"


class TerminalObserver:
    """Lines of finished cells above bars, which are shown while `display` is entered."""

    def __init__(self, study: str, console: Console) -> None:
        self._study = study
        self._console = console
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        self.display = Progress(
            *columns, TextColumn("{task.fields[info]}", markup=False), console=console, transient=True
        )
        self._tasks: dict[str, TaskID] = {}
        self._score = self._left = ""

    @_only_shown
    def cell_started(self, cell: str, position: int, total: int) -> None:
        """A cell begins: the bar of cells moves, a new one for its epochs appears."""
        self._bar("cells", self._study, position - 1, total, "")
        self._drop("epochs")
        self._score = ""
        self._bar("epochs", f"  {cell}", 0, None, "")

    @_only_shown
    def epoch(self, epoch: int, epochs: int, loss: float, score: float | None, seconds: float) -> None:
        """An epoch ended."""
        if score is not None:  # the last one stays: not every epoch has a validation pass
            self._score = f"  F1 {score:.3f}"
        self._bar("epochs", None, epoch, epochs, f"loss {loss:.4f}{self._score}  {seconds:.0f} s")

    @_only_shown
    def cell_finished(self, cell: str, status: str, summary: str) -> None:
        """A cell ended: a line stays above the display."""
        self._drop("epochs")
        self.note(f"{self._study} {cell}  {status}  {summary}")
        if "cells" in self._tasks:
            self.display.advance(self._tasks["cells"])

    @_only_shown
    def cell_told(self, state: CellState, position: int, total: int, worker: str) -> None:
        """A cell ended in another process: a line stays above the display, the bar of cells moves."""
        self.note(_told(self._study, state, position, total, worker))
        self._bar("cells", self._study, position, total, self._left)

    @_only_shown
    def crew_told(self, running: Sequence[tuple[str, CellState]], left: str) -> None:
        """A bar for each cell that runs in another process."""
        self._left = left
        if "cells" in self._tasks:
            self.display.update(self._tasks["cells"], info=left)
        bars = {f"crew {worker}": (worker, state) for worker, state in running}
        for key in [key for key in self._tasks if key.startswith("crew ") and key not in bars]:
            self._drop(key)
        for key, (worker, state) in bars.items():
            done, total, info = 0, None, ""
            if state.progress is not None:
                done, total = state.progress.epoch, state.progress.epochs
                info = f"loss {state.progress.loss:.4f}  {duration(round(state.progress.left_s))} left"
            self._bar(key, f"  {worker.partition(' (')[0]}: {state.cell}", done, total, info)

    @_only_shown
    def note(self, text: str) -> None:
        """One line above the display."""
        self._console.print(text, markup=False, highlight=False)

    @_only_shown
    def simulated(self, split: str, done: int, total: int) -> None:
        """Bubbles simulated so far of one split."""
        self._bar(f"simulate {split}", f"  simulating {split} lines", done, total, "bubbles")
        if done == total:
            self._drop(f"simulate {split}")

    def _bar(self, key: str, description: str | None, done: int, total: int | None, info: str) -> None:
        if key not in self._tasks:
            self._tasks[key] = self.display.add_task(description or key, total=total, info=info)
        self.display.update(self._tasks[key], description=description, completed=done, total=total, info=info)

    def _drop(self, key: str) -> None:
        if key in self._tasks:
            self.display.remove_task(self._tasks.pop(key))
