"""From the names of methods to results: which detectors there are, made for one data set."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kernbench.errors import KernbenchError, close_match, counted
from kernbench.training.settings import Settings
from kernbench.ulm.detectors.blind import blind_rows
from kernbench.ulm.detectors.detector import Detector
from kernbench.ulm.detectors.fitting import Progress, evaluate, fit
from kernbench.ulm.detectors.methods.echoes import BANK_DEPTHS_M, BANK_PRESSURES_PA, Bank, simulated_bank
from kernbench.ulm.detectors.methods.envelope import EnvelopePeaks
from kernbench.ulm.detectors.methods.fir import TrainedFilter, recording_of
from kernbench.ulm.detectors.methods.fista import Fista
from kernbench.ulm.detectors.methods.matched_filter import MatchedFilter
from kernbench.ulm.detectors.methods.omp import Omp
from kernbench.ulm.detectors.methods.wiener import Wiener
from kernbench.ulm.detectors.names import BLIND, METHODS, fits, taps
from kernbench.ulm.detectors.recording import Recording
from kernbench.ulm.detectors.results import DetectorRow, replaced, stored_rows, write_rows
from kernbench.ulm.evaluation.workbench import Workbench
from kernbench.ulm.line import DEFAULT_PULSE
from kernbench.ulm.scoring.loss import TrainingLoss
from kernbench.ulm.simulator.simulate import NONLINEAR

TEST = "test"

# Shows one method at work: called with its name, gives what is called with settings tried and settings in all.
Show = Callable[[str], AbstractContextManager[Progress]]


@dataclass(frozen=True, eq=False)
class DetectorTask:
    """The lines, what detectors need to know beyond them, and where their results go.

    Attributes:
        bench: training, threshold and test lines, noise included.
        test_noise_percent: levels of the test lines.
        paths: file of the results for each of these levels.
        threshold_split: where everything is fitted.
        settings: how a linear filter is trained.
        loss: that it minimizes.
        seed: of its start and its batch order.
        transmit_response: measured response (.mat) of the templates, or None for the embedded fit.
        receive_response: the same for reception.
        pulse: that drives the bubbles of the lines, and of the templates.
        bubbles: "nonlinear" or "linear", likewise.
    """

    bench: Workbench
    test_noise_percent: Sequence[float]
    paths: Sequence[Path]
    threshold_split: str
    settings: Settings
    loss: TrainingLoss
    seed: int
    transmit_response: str | None = None
    receive_response: str | None = None
    pulse: str = DEFAULT_PULSE
    bubbles: str = NONLINEAR

    @property
    def length(self) -> int:
        """Samples of a line."""
        return int(self.bench.splits[TEST].voltage.shape[1])

    def tests(self) -> list[Recording]:
        """The test lines with each of their noise levels."""
        known = self.bench
        noises = (replace(known.noise, test_percent=level) for level in self.test_noise_percent)
        return [recording_of(Workbench(known.splits, noise, known.device), TEST) for noise in noises]

    def bank(self, *grid: tuple[float, ...]) -> Bank:
        """Templates of pressures and depths; without arguments the single one."""
        return simulated_bank(
            *grid,
            transmit_response=self.transmit_response,
            receive_response=self.receive_response,
            pulse=self.pulse,
            bubbles=self.bubbles,
        )

    def run(self, names: Sequence[str], show: Show) -> list[list[DetectorRow]]:
        """Run methods one after the other; each is stored when it is done, in place of its earlier results.

        Returns:
            Rows of all methods, for each noise level of the test lines.

        Raises:
            DataError, StorageError: a file of results that cannot be read, or written.
        """
        rows: list[list[DetectorRow]] = [[] for _ in self.paths]
        for name in names:
            with show(name) as progress:
                found = run_method(name, self, progress)
            for level, path, new in zip(rows, self.paths, found, strict=True):
                level.extend(new)
                write_rows(replaced(stored_rows(path), new), path)
        return rows


def check_methods(names: Sequence[str], length: int) -> list[str]:
    """The methods to run, in the order of `METHODS`; all that fit the lines if none is named.

    Args:
        names: of methods.
        length: samples of a line.

    Raises:
        KernbenchError: no such method, or a filter that is too long for the lines.
    """
    for name in names:
        if name not in METHODS:
            hint = close_match(name, METHODS) or f"; known: {', '.join(METHODS)}"
            raise KernbenchError(f"no baseline {name!r}{hint}")
        if not fits(name, length):
            padding = counted((taps(name) - 1) // 2, "sample")
            raise KernbenchError(f"{name} needs {padding} of padding on each side, the lines have {length}")
    return [name for name in METHODS if (name in names if names else fits(name, length))]


def run_method(name: str, task: DetectorTask, progress: Progress | None = None) -> list[list[DetectorRow]]:
    """Fit a method on the threshold split and score it on the test lines; blind ones are not fitted.

    Returns:
        For each of the task's noise levels of test lines, one row for each tolerance.
    """
    if name in BLIND:  # the same at every noise level
        lines = task.bench.splits[TEST]
        return [blind_rows(name, np.asarray(lines.counts), lines.label_support)] * len(task.paths)
    fitted_on, detector = recording_of(task.bench, task.threshold_split), make_detector(name, task)
    chosen = fit(detector, fitted_on, task.threshold_split, progress)
    return [evaluate(detector, chosen, tested) for tested in task.tests()]


def make_detector(name: str, task: DetectorTask) -> Detector:
    """A detector by name; the blind methods are none, because they score nothing by the signal."""
    if name.startswith("fir-"):
        return TrainedFilter(taps(name), task.bench, task.settings, task.loss, task.seed)
    if name == "fista-single":
        return Fista(name, task.bank())
    if name.startswith("fista-"):
        return Fista(name, task.bank(BANK_PRESSURES_PA, BANK_DEPTHS_M), per_line=name == "fista-per-line")
    if name == "omp":
        return Omp(task.bank(), task.bank(BANK_PRESSURES_PA, BANK_DEPTHS_M))
    simple: dict[str, Detector] = {
        "envelope": EnvelopePeaks(),
        "matched-filter": MatchedFilter(task.bank()),
        "wiener": Wiener(task.bank()),
    }
    return simple[name]
