"""Worker processes of this host: started with their share of the machine, watched, asked to leave, ended."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from kernbench.host.processes import process_namespace, process_place
from kernbench.store.tables.cell_states import NAMESPACE

LAST_LINES = 5  # of a log, shown when its worker died
THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Crew:
    """Worker processes that run the cells of a study.

    Attributes:
        count: how many run concurrently.
        command: place of a worker, from 0 -> program and arguments.
        environment: variables beside those of this process, among them a password: `ps` shows arguments to all users.
    """

    count: int
    command: Callable[[int], Sequence[str]]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class Child:
    """One worker process.

    Attributes:
        process: it.
        place: from 0; a replacement has the place of the one it replaces.
        log: file of its output, after that of those who had its place before.
        begins: where in the file its own output begins.
        trial: number of the trial that it was last seen running, None between two.
        since: time of the clock of outages when that was first seen.
        late: number of the trial that took too long, for which it was ended.
        namespace: where its number counts.
    """

    process: subprocess.Popen[bytes]
    place: int
    log: Path
    begins: int = 0
    trial: int | None = None
    since: float = 0.0
    late: int | None = None
    namespace: str = field(default_factory=process_namespace)

    @property
    def name(self) -> str:
        """Name in a trial: host:pid."""
        return f"{socket.gethostname()}:{self.process.pid}"

    def signed(self, attributes: Mapping[str, object]) -> bool:
        """Whether a trial with these attributes is this worker's: in another container there may be one of its name."""
        return attributes.get("worker") == self.name and attributes.get(NAMESPACE) in (None, self.namespace)

    @property
    def shown(self) -> str:
        """Name on the screen."""
        return f"worker {self.place + 1} (process {self.process.pid})"

    def send(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.process.poll() is None:
            self.process.send_signal(number)

    def close(self) -> None:
        """Close the pipe to its standard input, whose end tells it that its coordinator has ended."""
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.close()

    def end_words(self) -> str:
        """How it ended: a signal by name, or an exit code."""
        code = self.process.returncode
        if code is None or code >= 0:
            return f"ended with exit code {code}"
        names = {each.value: each.name for each in signal.Signals}  # a real-time signal has none
        killed = " (by hand, or out of memory)" if -code == signal.SIGKILL else ""
        return f"was ended by {names.get(-code, f'signal {-code}')}{killed}"

    def last_lines(self) -> list[str]:
        """The end of its log; where the interpreter died, its message about that."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(self.begins, file.seek(0, os.SEEK_END) - 16384))
                said = file.read().decode(errors="replace").splitlines()
        except OSError:
            return []
        lines = [line for line in said if line.strip()]
        fatal = [number for number, line in enumerate(lines) if line.startswith("Fatal Python error")]
        return lines[fatal[-1] :][:LAST_LINES] if fatal else lines[-LAST_LINES:]


def start(crew: Crew, place: int, folder: Path) -> Child:
    """Start one worker.

    Its output goes to a file. It has a session of its own, so that Ctrl-C reaches it once, through its coordinator,
    and a pipe on its standard input whose end tells it that the coordinator has ended.
    """
    log = folder / f"{socket.gethostname()}.{os.getpid()}-{process_place()}.{place + 1}.log"
    variables = {name: str(threads_each(crew.count)) for name in THREAD_SETTINGS}
    # output immediately, and a line of Python where it is the interpreter that dies
    variables |= {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"} | dict(crew.environment)
    with log.open("ab") as output:
        begins = output.tell()
        process = subprocess.Popen(  # noqa: S603  # our own program
            list(crew.command(place)),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **variables},
            start_new_session=True,
        )
    return Child(process, place, log, begins)


def threads_each(count: int) -> int:
    """Threads of each of so many workers: an equal share of the cores, and no more than OMP_NUM_THREADS asks for."""
    share = max(1, cores() // count)
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return min(share, max(1, int(asked))) if asked.isdigit() else share


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def wait_for_all(children: Sequence[Child], seconds: float, hurry: Callable[[], bool] = lambda: False) -> None:
    """Wait until all have ended; kill those that have not after so many seconds, or once `hurry` is true."""
    deadline = time.monotonic() + seconds
    while any(child.process.poll() is None for child in children):
        if time.monotonic() > deadline or hurry():
            for child in children:
                child.send(signal.SIGKILL)
        time.sleep(0.05)
