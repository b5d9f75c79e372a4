"""When a study will be finished: an estimate from the cells that are."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from kernbench.errors import counted
from kernbench.study.cell import ENDED, CellState
from kernbench.study.durations import duration


@dataclass(frozen=True)
class TimeLeft:
    """An estimate of the time until the last cell ends.

    Attributes:
        seconds: of wall time.
        workers: that share the cells; 0 where no worker runs, and one is assumed.
        cells: finished ones that it is computed from.
    """

    seconds: float
    workers: int
    cells: int

    @property
    def text(self) -> str:
        """One line that says that it is an estimate, and from what."""
        from_what = f"estimate from {counted(self.cells, 'cell')}"
        if not self.workers:
            return f"no worker runs; one would take about {duration(round(self.seconds))} ({from_what})"
        with_whom = counted(self.workers, "worker")
        return f"about {duration(round(self.seconds))} left with {with_whom} ({from_what})"


def time_left(states: Sequence[CellState], workers: int = 0) -> TimeLeft | None:
    """When the cells that run and wait will be finished: each waiting one takes the mean time of those that are.

    Args:
        states: of all cells that are meant.
        workers: how many there are, if cells are left for all; those that run one count in any case.

    Returns:
        None where no cell is finished, or none is left.
    """
    known = [state.seconds for state in states if state.state in ENDED and state.seconds is not None]
    running = [state for state in states if state.state == "running"]
    waiting = sum(state.state == "waiting" or state.retry for state in states)
    if not known or not (running or waiting):
        return None
    mean = sum(known) / len(known)
    workers = max(len(running), min(workers, len(running) + waiting))
    # each worker takes the next cell when it is free; of a cell whose progress is not known all of it is left
    free = [mean if state.progress is None else state.progress.left_s for state in running]
    free += [0.0] * (max(1, workers) - len(free))
    heapq.heapify(free)
    for _ in range(waiting):
        heapq.heapreplace(free, free[0] + mean)
    return TimeLeft(max(free), workers, len(known))
