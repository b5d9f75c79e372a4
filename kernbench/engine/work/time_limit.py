"""The time that one attempt at a cell may take: asked between batches, and enforced where nothing asks."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import optuna
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from kernbench.engine.work.durations import in_words
from kernbench.store.database.storage import SteadyStorage
from kernbench.store.tables.optuna_tables import trial_id

TIMED_OUT = 124  # exit code of a worker that ended itself, as of timeout(1)
SHORTEST_MARGIN_S = 60.0


class CellTimeoutError(Exception):
    """The cell took longer than it may."""


@dataclass(frozen=True)
class Limit:
    """Wall time of one attempt.

    Attributes:
        seconds: after this it is asked to leave, between two batches.
        margin: seconds more until its process is ended, for code that never asks; None where it must not be.
    """

    seconds: float
    margin: float | None = None

    @property
    def said(self) -> str:
        """What the database holds of a cell that took longer."""
        return (
            f"longer than the cell limit of {in_words(self.seconds)}; "
            "--retry-failed with a longer --cell-limit continues from its checkpoint, if there is one"
        )


def margin_of(seconds: float) -> float:
    """Seconds that the evaluation, which is not interrupted, may take beyond a limit: a quarter, at least a minute."""
    return max(SHORTEST_MARGIN_S, seconds / 4)


@contextmanager
def time_limit(
    limit: Limit | None, storage: SteadyStorage, trial: optuna.Trial, say: Callable[[str], None]
) -> Iterator[Callable[[], bool]]:
    """Watch the attempt that runs inside.

    Args:
        limit: its limit, None without one.
        storage: where an attempt that never returns is failed.
        trial: the attempt.
        say: called with one line before the process ends.

    Yields:
        Whether the time is over, for code that asks.
    """
    if limit is None:
        yield lambda: False
        return
    clock = storage.outages.clock  # waiting for the database does not count
    deadline = clock() + limit.seconds
    over, ended = threading.Lock(), threading.Event()

    def enforce() -> None:
        while (left := deadline + (limit.margin or 0) - clock()) > 0:
            if ended.wait(left):
                return
        with over:
            if not ended.is_set():
                time_out(storage, trial_id(trial), limit)
                with suppress(Exception):  # the process ends, even if the line cannot be printed
                    say(limit.said)
                os._exit(TIMED_OUT)

    if limit.margin is not None:
        threading.Thread(target=enforce, name="kernbench-cell-limit", daemon=True).start()
    try:
        yield lambda: clock() > deadline
    finally:
        with over:  # while the process is being ended, its trial is left alone
            ended.set()


def time_out(storage: SteadyStorage, trial_id: int, limit: Limit) -> None:
    """Fail an attempt from outside as `timeout`; one that has ended meanwhile is left as it is."""
    with suppress(optuna.exceptions.OptunaError, SQLAlchemyError):
        storage.set_trial_user_attr(trial_id, "status", "timeout")
        storage.set_trial_user_attr(trial_id, "error", limit.said)
        storage.set_trial_state_values(trial_id, TrialState.FAIL)
