"""From the names of methods to results: which detectors there are, made for one data set."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kernbench.errors import KernbenchError, close_match
from kernbench.training.settings import Settings
from kernbench.ulm.detectors.detector import Detector
from kernbench.ulm.detectors.fitting import Progress, comb_rows, evaluate, fit
from kernbench.ulm.detectors.methods.blind import UniformNoise
from kernbench.ulm.detectors.methods.echoes import BANK_DEPTHS_M, BANK_PRESSURES_PA, Bank, simulated_bank
from kernbench.ulm.detectors.methods.envelope import EnvelopePeaks
from kernbench.ulm.detectors.methods.fir import TrainedFilter, recording_of
from kernbench.ulm.detectors.methods.fista import Fista
from kernbench.ulm.detectors.methods.matched_filter import MatchedFilter
from kernbench.ulm.detectors.methods.omp import Omp
from kernbench.ulm.detectors.methods.wiener import Wiener
from kernbench.ulm.detectors.names import METHODS, fits, taps
from kernbench.ulm.detectors.results import DetectorRow
from kernbench.ulm.evaluation.workbench import Workbench
from kernbench.ulm.scoring.loss import TrainingLoss

TEST = "test"


@dataclass(frozen=True, eq=False)
class DetectorTask:
    """The lines, and what detectors need to know beyond them.

    Attributes:
        bench: training, threshold and test lines, noise included.
        test_noise_percent: levels of the test lines.
        threshold_split: where everything is fitted.
        settings: how a linear filter is trained.
        loss: that it minimizes.
        seed: of its start, its batch order, and of blind noise.
        transmit_response: measured response (.mat) of the templates, or None for the embedded fit.
        receive_response: the same for reception.
    """

    bench: Workbench
    test_noise_percent: Sequence[float]
    threshold_split: str
    settings: Settings
    loss: TrainingLoss
    seed: int
    transmit_response: str | None = None
    receive_response: str | None = None

    @property
    def length(self) -> int:
        """Samples of a line."""
        return int(self.bench.splits[TEST].voltage.shape[1])

    @property
    def test_benches(self) -> list[Workbench]:
        """The same lines, with each of the noise levels on the test lines."""
        known = self.bench
        noises = (replace(known.noise, test_percent=level) for level in self.test_noise_percent)
        return [Workbench(known.splits, noise, known.device) for noise in noises]

    def bank(self, pressures: Sequence[float] | None = None, depths: Sequence[float] | None = None) -> Bank:
        """Templates; without arguments the single one."""
        grid = () if pressures is None or depths is None else (tuple(pressures), tuple(depths))
        return simulated_bank(*grid, transmit_response=self.transmit_response, receive_response=self.receive_response)


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
            raise KernbenchError(
                f"{name} needs {(taps(name) - 1) // 2} samples of padding on each side, the lines have {length}"
            )
    return [name for name in METHODS if (name in names if names else fits(name, length))]


def run_method(name: str, task: DetectorTask, progress: Progress | None = None) -> list[list[DetectorRow]]:
    """Fit a method on the threshold split and score it on the test lines.

    Returns:
        For each of the task's noise levels of test lines, one row for each tolerance.
    """
    fitted_on = recording_of(task.bench, task.threshold_split)
    tests = [recording_of(bench, TEST) for bench in task.test_benches]
    if name == "comb":
        return [comb_rows(fitted_on, tested, task.threshold_split) for tested in tests]
    detector = make_detector(name, task)
    chosen = fit(detector, fitted_on, task.threshold_split, progress)
    return [evaluate(detector, chosen, tested) for tested in tests]


def make_detector(name: str, task: DetectorTask) -> Detector:
    """A detector by name; "comb" is none, because it has another score for each tolerance."""
    if name.startswith("fir-"):
        return TrainedFilter(taps(name), task.bench, task.settings, task.loss, task.seed)
    if name == "fista-single":
        return Fista(name, task.bank())
    if name.startswith("fista-"):
        return Fista(name, task.bank(BANK_PRESSURES_PA, BANK_DEPTHS_M), per_line=name == "fista-per-line")
    if name == "omp":
        return Omp(task.bank(), task.bank(BANK_PRESSURES_PA, BANK_DEPTHS_M))
    simple: dict[str, Detector] = {
        "random": UniformNoise(task.seed),
        "envelope": EnvelopePeaks(),
        "matched-filter": MatchedFilter(task.bank()),
        "wiener": Wiener(task.bank()),
    }
    return simple[name]
