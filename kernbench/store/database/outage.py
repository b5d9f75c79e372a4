"""A database that is unavailable for a while: callers wait, one line says so, and they give up after a bounded time."""

import functools
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Concatenate, ParamSpec, TypeVar

import optuna
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

log = logging.getLogger("kernbench")

OUTAGE_S = 300.0  # that one call waits for the database
LEAVING_S = 10.0  # the same once the process is to leave
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0

Done = TypeVar("Done")
P = ParamSpec("P")


def is_outage(error: BaseException | None) -> bool:
    """Whether a call failed because the database did not answer: no server, or a lock held too long."""
    cause = _cause(error)
    if not isinstance(cause, DBAPIError):
        return False
    if isinstance(cause.orig, sqlite3.Error):  # a full disk or a lost folder does not pass by waiting
        return "locked" in str(cause.orig)
    return isinstance(cause, OperationalError) or cause.connection_invalidated


def reason_of(error: BaseException) -> str:
    """First line of what the database's driver said."""
    said = driver_error(error) or error.__cause__ or error
    return next(iter(str(said).strip().splitlines()), type(said).__name__)


def driver_error(error: BaseException | None) -> BaseException | None:
    """The driver's error behind one of SQLAlchemy's or Optuna's; None where there is none."""
    return getattr(_cause(error), "orig", None)


def _cause(error: BaseException | None) -> BaseException | None:
    """The driver's error behind Optuna's, which may have asked a broken session once more and failed at that."""
    while error is not None and not isinstance(error, DBAPIError):
        if not isinstance(error, optuna.exceptions.StorageInternalError | SQLAlchemyError):
            return None
        error = error.__cause__ or error.__context__
    return error


class Outages:
    """What one process knows of the outages of its database.

    Attributes:
        name: of the database, as it is shown.
        seconds: that one call waits; 0 never waits.
        say: called with one line when an outage begins and with one when it ends.
        leaving: whether the process is to leave, and waits for little more.
        ended: `time.monotonic()` at the end of the last outage, None without one.
    """

    def __init__(self, name: str, seconds: float | None = None) -> None:
        self.name = name
        self.seconds = OUTAGE_S if seconds is None else seconds
        self.say: Callable[[str], None] = log.warning
        self.leaving: Callable[[], bool] = lambda: False
        self.ended: float | None = None
        self._lock = threading.Lock()
        self._away_since: float | None = None
        self._leaving_since: float | None = None
        self._lost: BaseException | None = None
        self._waiting, self._stopped_at, self._stopped_s = 0, 0.0, 0.0  # waiting threads; since when; seconds left out

    def clock(self) -> float:
        """Seconds of `time.monotonic()` without those spent waiting: an outage does not count as time of a cell."""
        with self._lock:
            return (self._stopped_at if self._waiting else time.monotonic()) - self._stopped_s

    def outlast(self, call: Callable[[], Done]) -> Done:
        """What `call` returns, called again while the database is unavailable; repeating it must be harmless.

        Raises:
            StorageInternalError: it is unavailable for too long; from then on every call raises this immediately.
        """
        if self._lost is not None:
            raise optuna.exceptions.StorageInternalError("the database is unavailable") from self._lost
        started, pause = time.monotonic(), FIRST_PAUSE_S
        with ExitStack() as stack:
            while True:
                try:
                    done = call()
                except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
                    if not is_outage(error) or self.seconds <= 0 or self._lost is not None:
                        raise
                    failed = error
                else:
                    self.answers()
                    return done
                self.does_not_answer(failed)
                if pause == FIRST_PAUSE_S:
                    stack.enter_context(self._clock_stopped(started))
                if not self._pause(pause, started):
                    self._lost = _cause(failed)
                    raise failed
                pause = min(2 * pause, LONGEST_PAUSE_S)

    def _pause(self, seconds: float, started: float) -> bool:
        """Wait for so many seconds; false when the wait has lasted too long in all."""
        again = time.monotonic() + seconds
        while (now := time.monotonic()) < again:
            if self._leaving_since is None and self.leaving():
                self._leaving_since = now
            leaving = float("inf") if self._leaving_since is None else max(self._leaving_since, started)
            if now >= min(started + self.seconds, leaving + LEAVING_S):
                return False
            time.sleep(0.05)
        return True

    @contextmanager
    def _clock_stopped(self, since: float) -> Iterator[None]:
        with self._lock:
            if not self._waiting:
                self._stopped_at = since
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1
                if not self._waiting:
                    self._stopped_s += time.monotonic() - self._stopped_at

    def does_not_answer(self, error: BaseException) -> None:
        """Note the beginning of an outage, and say it."""
        with self._lock:
            if self._away_since is not None:
                return
            self._away_since = time.monotonic()
        waits = f"waiting for it, up to {self.seconds:.0f} s" if self.seconds > 0 else "trying again"
        self.say(f"storage {self.name} does not answer ({reason_of(error)}); {waits}")

    def answers(self) -> None:
        """Note the end of an outage, and say it."""
        with self._lock:
            since, self._away_since = self._away_since, None
            if since is None:
                return
            self.ended = time.monotonic()
        self.say(f"storage {self.name} answers again after {self.ended - since:.0f} s; going on")


def outlasting(function: Callable[Concatenate[Engine, P], Done]) -> Callable[Concatenate[Engine, P], Done]:
    """A function of an engine that is repeated while the database is unavailable, which must be harmless.

    How long, the engine's execution option "outages" says; without it an outage is raised immediately.
    """

    @functools.wraps(function)
    def call(engine: Engine, /, *args: P.args, **kwargs: P.kwargs) -> Done:
        outages = engine.get_execution_options().get("outages")
        if outages is None:
            return function(engine, *args, **kwargs)
        done: Done = outages.outlast(lambda: function(engine, *args, **kwargs))
        return done

    return call
