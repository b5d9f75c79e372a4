"""One cell of the results in Python: its scores, curves and files as NumPy arrays."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernbench.errors import KernbenchError
from kernbench.report.numbers.points import SEED, TEST, line_f1, tolerance_place
from kernbench.store.reading.records import OK, Curves, Run, Scores
from kernbench.ulm.cells.artifact_reader import ARRAYS, CURVE, CellArrays, load_arrays, load_curve
from kernbench.ulm.scoring.scores import is_silent

Value = float | int | str
WEIGHTS = "weights.pt"


@dataclass(frozen=True, eq=False)
class Cell:
    """One training with its evaluation: a kernel family at one point of the axes with one seed.

    Attributes:
        run: the record that all of it comes from, with what is not repeated here: definition, environment, references.
    """

    run: Run

    def __repr__(self) -> str:
        return f"<Cell {self.study} {self.name}: {self.status}>"

    @property
    def study(self) -> str:
        """Optuna study, "k_sweep.v1.quick/siren"."""
        return self.run.study

    @property
    def family(self) -> str:
        """Kernel family."""
        return self.run.family

    @property
    def name(self) -> str:
        """Id within the study, "kernel_size=65,seed=0"."""
        return self.run.cell

    @property
    def params(self) -> dict[str, Value]:
        """Axis values, and draw and drawn hyper-parameters of a tuned study; without the seed."""
        return {name: value for name, value in self.run.params.items() if name != SEED}

    @property
    def network(self) -> dict[str, Value]:
        """Name, `kernel_size`, `depth`, `channels` and `field` of its network, where the study works them out."""
        return dict(self.run.network)

    @property
    def seed(self) -> int | None:
        """Seed of initialization and batch order; None where the study has none."""
        found = self.run.params.get(SEED)
        return None if found is None else int(found)

    @property
    def status(self) -> str:
        """`ok`, `diverged` and `pruned` are results; the others, as on the page, are none."""
        return self.run.status

    @property
    def plateau(self) -> bool:
        """Whether training left it where it began; in databases that do not say, whether it has no hit."""
        if self.run.plateau is not None:
            return self.run.plateau
        return self.status == OK and TEST in self.run.scores and is_silent(float(self.f1().mean()))

    @property
    def values(self) -> dict[str, float | None]:
        """What the task declares of a cell: parameters, operations, latency, memory, ...; None where not measured."""
        return dict(self.run.values)

    @property
    def seconds(self) -> float | None:
        """Wall time of training and evaluation."""
        return self.run.seconds

    @property
    def tolerance(self) -> int:
        """Headline tolerance of the study [samples]."""
        return self.run.tolerance

    @property
    def splits(self) -> list[str]:
        """Splits with scores: "test", "validation"; empty without a result."""
        return sorted(self.run.scores)

    def counts(self, split: str = TEST) -> Scores:
        """Hits, misses and false alarms of every line at every tolerance, (n_tol, N) each, with their thresholds.

        Args:
            split: "test" or "validation".

        Raises:
            KernbenchError: the cell has no scores there.
        """
        if split not in self.run.scores:
            there = ", ".join(self.splits) or f"none, its status is {self.status}"
            raise KernbenchError(f"{self!r} has no scores on {split!r} lines; it has: {there}")
        return self.run.scores[split]

    def f1(self, split: str = TEST, tolerance: int | None = None) -> NDArray[np.float64]:
        """F1 of each line, (N,), with the published guards.

        Args:
            split: "test" or "validation".
            tolerance: samples; the headline tolerance by default.

        Raises:
            KernbenchError: no scores on these lines, or not at this tolerance.
        """
        return line_f1(self.counts(split), self.tolerance if tolerance is None else tolerance)

    @property
    def line_facts(self) -> dict[str, NDArray[Any]]:
        """What is known of each test line, (N,) each: bubbles, drive pressure [Pa]; empty without scores."""
        return {} if self.run.lines is None else dict(self.run.lines.facts)

    def floors(self, tolerance: int | None = None) -> dict[str, float]:
        """Mean F1 of blind guesses on the test lines, by name; empty without scores.

        Args:
            tolerance: samples; the headline tolerance by default.
        """
        if self.run.lines is None:
            return {}
        place = self.tolerance if tolerance is None else tolerance
        tolerance_place(self.counts(), place)  # it was evaluated
        return {name: float(values[place]) for name, values in self.run.lines.floors.items()}

    @property
    def matched(self) -> dict[str, list[float | None]]:
        """One-to-one scores of the test lines, each a list over tolerances 0, 1, ...; empty where not stored."""
        return dict(self.run.matched)

    @property
    def curve(self) -> Curves | None:
        """Mean precision, recall and F1 at every tolerance and threshold, (n_tol, n_thr); None where not stored."""
        return self.run.curve

    def learning_curve(self) -> dict[str, NDArray[np.float64]]:
        """Columns over epochs, each (epochs,): `epoch`, `train_loss`, `val_loss`, `val_f1`, `rate`, `seconds`, ...

        Raises:
            DataError: its file cannot be read.
            KernbenchError: it is not there.
        """
        return load_curve(self.file(CURVE))

    def arrays(self) -> CellArrays:
        """Kernels before and after training, their spectra, and one test line with the output of the network.

        Raises:
            DataError: its file cannot be read.
            KernbenchError: it is not there.
        """
        return load_arrays(self.file(ARRAYS))

    @property
    def weights(self) -> Path:
        """File of the trained network, for `kernbench.ulm.evaluation.trained.load_trained`.

        Raises:
            KernbenchError: it is not there.
        """
        return self.file(WEIGHTS)

    def file(self, name: str) -> Path:
        """An artifact by its name.

        Raises:
            KernbenchError: the cell has none of this name, or its file is gone.
        """
        if name not in self.run.artifacts:
            known = ", ".join(sorted(self.run.artifacts)) or "none"
            raise KernbenchError(f"{self!r} has no file {name}; it has: {known}")
        return self.run.artifacts[name]
