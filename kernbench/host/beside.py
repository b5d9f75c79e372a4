"""Work that goes on beside this process, in a copy of it: for what takes seconds and leaves nothing but files."""

import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def beside(work: Callable[[], object]) -> Iterator[None]:
    """Do `work` while the body runs; both are done when the block ends.

    The copy shares memory with this process until one of them writes to it. Where no copy can be made, or the work
    fails in it or warns, the work is done here after the body, so its errors and warnings are those of plain code.

    Args:
        work: leaves files only, and may be done twice: what it changes in memory is lost.
    """
    copy = _copied(work)
    done = False
    try:
        yield
        done = _succeeded(copy)
        copy = None
    finally:
        if copy is not None:
            with suppress(ProcessLookupError, ChildProcessError):  # it has ended, and something else has noted it
                os.kill(copy, signal.SIGKILL)
                os.waitpid(copy, 0)
    if not done:
        work()


def _copied(work: Callable[[], object]) -> int | None:
    """The number of a process that does the work and ends; None where there is no such copy."""
    # a lock that another thread holds at this moment would stay locked in the copy
    if not hasattr(os, "fork") or (os.cpu_count() or 1) < 2 or threading.active_count() > 1:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python 3.12 warns of threads, of which the work uses none
            number = os.fork()
    except OSError:  # no memory, or no more processes
        return None
    if number:
        return number
    code = 1
    try:
        warnings.simplefilter("error")
        work()
        code = 0
    finally:
        os._exit(code)  # no cleaning up: files and connections belong to the first process


def _succeeded(copy: int | None) -> bool:
    try:
        return copy is not None and os.waitpid(copy, 0)[1] == 0
    except ChildProcessError:  # the program ignores or collects children that end: the exit status is lost
        return False
