"""Commands of `accelerator.py`: processes with a time limit, their output kept, the device watched meanwhile."""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]


class FailedError(Exception):
    """A part has no result, or not all of it."""


class SkippedError(Exception):
    """A part cannot run here."""


@dataclass(frozen=True)
class Done:
    """A command that ended with a code that was expected.

    Attributes:
        code: exit code.
        out: what it printed.
        seconds: wall time.
        utilization: mean percent of the card, as nvidia-smi says; on a CPU of CPU seconds; None if unknown.
    """

    code: int
    out: str
    seconds: float
    utilization: float | None


@dataclass
class Commands:
    """Runs commands for one device, none beyond the end of all.

    Attributes:
        folder: for logs, the cache of lines and databases.
        device: "cpu", "cuda" or "cuda:i".
        tiny: whether sizes shall be the smallest.
        end: of all parts, on the monotonic clock.
        patience: every limit is multiplied by it.
    """

    folder: Path
    device: str
    tiny: bool
    end: float
    patience: float = 1.0

    def kernbench(self, log: str, words: list[str], limit: float, **options: Any) -> Done:  # Any: those of `run`
        """A command of kernbench, with a cache folder of this run."""
        return self.run(log, [sys.executable, "-m", "kernbench", *words], limit, **options)

    def run(
        self,
        log: str,
        command: list[str],
        limit: float,
        *,
        copies: int = 1,
        cache: str = "cache",
        codes: tuple[int, ...] = (0,),
    ) -> Done:
        """Run a command in the repository.

        Args:
            log: name of the file for its output.
            command: program and arguments.
            limit: seconds, times `patience`; less where the end of all is nearer.
            copies: processes that run it concurrently.
            cache: folder of lines and constants, under `folder`.
            codes: exit codes that are results.

        Raises:
            FailedError: no time is left, the limit was reached, or another exit code.
        """
        limit = min(self.patience * limit, self.end - time.monotonic())
        if limit <= 0:
            raise FailedError(f"{log}: no time was left")
        logs = self.folder / "logs"
        logs.mkdir(exist_ok=True)
        environment = os.environ | {"KERNBENCH_CACHE": str(self.folder / cache), "MPLBACKEND": "agg"}
        started, watch = time.monotonic(), _Watch(self.device)
        names = [log if copies == 1 else f"{log}_{number}" for number in range(copies)]
        processes = [_start(command, environment, logs / name) for name in names]
        try:
            codes_found = [process.wait(max(0.0, started + limit - time.monotonic())) for process in processes]
        except subprocess.TimeoutExpired:
            raise FailedError(f"{log}: took longer than its {limit:.0f} s") from None
        finally:
            for process in processes:
                _end(process)
            seconds, utilization = time.monotonic() - started, watch.stop()
        for name, code in zip(names, codes_found, strict=True):
            if code not in codes:
                raise FailedError(f"{name}: exit code {code}, {_last_line(logs / name)}")
        out = (logs / f"{names[0]}.out").read_text(encoding="utf-8", errors="replace")
        return Done(codes_found[0], out, seconds, utilization)


def _start(command: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own; its output goes to LOG.out and LOG.err."""
    with log.with_suffix(".out").open("wb") as out, log.with_suffix(".err").open("wb") as err:
        return subprocess.Popen(  # noqa: S603  # commands of kernbench
            command, cwd=REPOSITORY, env=environment, stdout=out, stderr=err, start_new_session=True
        )


def _last_line(log: Path) -> str:
    texts = [log.with_suffix(suffix).read_text(encoding="utf-8", errors="replace") for suffix in (".err", ".out")]
    lines = [line for text in texts for line in text.strip().splitlines()[-1:]]
    return lines[0] if lines else "nothing said"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command, if it runs, and what it has started: they are one group."""
    if process.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class _Watch:
    """How busy the device is while a command runs."""

    def __init__(self, device: str) -> None:
        self._program = None if device == "cpu" else shutil.which("nvidia-smi")
        self._cpu, self._started, self._device = _children_seconds(), time.monotonic(), device
        self._percents: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        if self._program is not None:
            self._thread.start()

    def _sample(self) -> None:
        assert self._program is not None
        index = self._device.partition(":")[2] or "0"
        command = [self._program, f"--id={index}", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        while not self._over.wait(0.5):
            with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
                said = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)  # noqa: S603
                self._percents.append(float(said.stdout))

    def stop(self) -> float | None:
        """Mean percent since the beginning."""
        self._over.set()
        if self._device == "cpu":
            return 100 * (_children_seconds() - self._cpu) / max(time.monotonic() - self._started, 1e-9)
        return sum(self._percents) / len(self._percents) if self._percents else None


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
