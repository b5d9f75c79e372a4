"""A point of a comparison: cells that differ in nothing but the seed, with their scores and intervals."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernbench.errors import KernbenchError
from kernbench.statistics.means import Interval, mean_interval
from kernbench.store.reading.records import OK, LineInfo, Run, Scores
from kernbench.ulm.scoring.scores import f1_scores, is_silent, skill
from kernbench.ulm.scoring.seed_spread import UNKNOWN, SeedSpread

Floats = NDArray[np.float64]

Value = float | int | str

TEST, VALIDATION = "test", "validation"  # splits
SEED = "seed"
BELOW, UNSURE = "below", "unsure"  # places beside the blind floor

PLATEAU = "plateau"


def values_text(values: Mapping[str, Value]) -> str:
    """Values for reading, by name: "hidden = 32, omega_0 = 12.4"."""
    return ", ".join(f"{name} = {value}" for name, value in sorted(values.items()))


@dataclass(frozen=True, eq=False)
class Point:
    """Cells of one family that differ in nothing but the seed.

    Attributes:
        runs: all of them, the scored ones and the others.
        axis: name of the comparison's axis.
        tolerance: headline tolerance [samples].
        spread: between trainings, from many points or from elsewhere; one point with few seeds shows it badly.
        apart: what keeps its cells out of one mean with others of the family, "protocol 1"; empty for most.
    """

    runs: tuple[Run, ...]
    axis: str
    tolerance: int
    spread: SeedSpread = UNKNOWN
    apart: str = ""

    @property
    def x(self) -> Value | None:
        """Value on the axis; None where the family does not have it."""
        return self.runs[0].params.get(self.axis)

    @property
    def params(self) -> dict[str, Value]:
        """Axis values without the seed."""
        return {name: value for name, value in self.runs[0].params.items() if name != SEED}

    @property
    def name(self) -> str:
        """Family and axis values, for sentences and titles."""
        return self.name_without()

    def name_without(self, axes: Collection[str] = ()) -> str:
        """The name without the values of these axes."""
        values = values_text({name: value for name, value in self.params.items() if name not in axes})
        values = ", ".join(filter(None, [values, self.apart]))
        return f"{self.runs[0].family} ({values})" if values else self.runs[0].family

    @cached_property
    def scored(self) -> tuple[Run, ...]:
        """Runs with scores on the test lines."""
        return tuple(run for run in self.runs if run.status == OK and TEST in run.scores)

    @cached_property
    def failed(self) -> tuple[Run, ...]:
        """Runs without."""
        return tuple(run for run in self.runs if run not in self.scored)

    @property
    def status(self) -> str:
        """The status of its runs, counted where they differ: `ok`, `ok 2, diverged 1, plateau 1`."""
        names = [PLATEAU if run in self.on_plateau else run.status for run in self.runs]
        kinds = sorted(set(names), key=lambda name: (name != OK, name))
        return kinds[0] if len(kinds) == 1 else ", ".join(f"{kind} {names.count(kind)}" for kind in kinds)

    @cached_property
    def on_plateau(self) -> list[Run]:
        """Scored runs on the plateau; of those that do not say, the ones without a hit."""
        means = self.f1().mean(axis=1) if self.scored else ()
        known = zip(self.scored, means, strict=True)
        return [run for run, mean in known if (is_silent(mean) if run.plateau is None else run.plateau)]

    @property
    def tolerances(self) -> list[int]:
        """Tolerances [samples] that its scored runs were evaluated at."""
        return [int(t) for t in self.scored[0].scores[TEST].tolerances]

    @property
    def lines(self) -> LineInfo | None:
        """Test lines and their floors."""
        return next((run.lines for run in self.scored if run.lines is not None), None)

    def f1(self, tolerance: int | None = None, split: str = TEST) -> Floats:
        """F1 of each seed and line, (S, N), read-only; by default at the headline tolerance."""
        tolerance = self.tolerance if tolerance is None else tolerance
        key = "f1", tolerance, split
        if key not in self.remembered:
            rows = _lines_f1([run.scores[split] for run in self.scored], tolerance)
            rows.setflags(write=False)
            self.remembered[key] = rows
        found: Floats = self.remembered[key]
        return found

    def mean_f1(self, tolerance: int) -> float:
        """Mean test F1 over seeds and lines at a tolerance [samples]."""
        return float(self.f1(tolerance).mean())

    @cached_property
    def remembered(self) -> dict[tuple[object, ...], Any]:
        """What was computed from this point alone, by name and arguments: tables, page and figures ask alike."""
        return {}

    @cached_property
    def interval(self) -> Interval | None:
        """Mean test F1 at the headline tolerance; None without a scored run."""
        return mean_interval(self.f1(), self.spread.prior, bounds=(0, 1)) if self.scored else None

    @cached_property
    def validation(self) -> float | None:
        """Mean F1 on the validation lines; None where a run lacks them, or some of them."""
        each = [run.scores.get(VALIDATION) for run in self.scored]
        known = [scores for scores in each if scores is not None and self.tolerance in scores.tolerances]
        if not known or len(known) < len(each) or len({scores.tp.shape[1] for scores in known}) > 1:
            return None
        return float(self.f1(split=VALIDATION).mean())

    def floors(self, tolerance: int | None = None) -> tuple[float, float]:
        """Mean F1 of the blind comb and of random noise; NaN where they were not stored."""
        if self.lines is None:
            return float("nan"), float("nan")
        # floors are stored from tolerance 0 on, whatever tolerances of the scores were read
        place = self.tolerance if tolerance is None else tolerance
        return float(self.lines.floors["comb"][place]), float(self.lines.floors["random"][place])

    @property
    def place(self) -> str:
        """Where the point is, beside the blind floor, as far as its interval shows: `BELOW`, `UNSURE`; empty above."""
        floor = max(self.floors())
        if self.interval is None or math.isnan(floor):
            return ""
        low, high = self.interval.low, self.interval.high
        if math.isnan(low):  # of one line
            return UNSURE if self.interval.mean < floor else ""
        return BELOW if high < floor else UNSURE if low < floor else ""

    @property
    def skill(self) -> float:
        """Skill over the better blind floor at the headline tolerance; NaN without scores or floors."""
        if self.interval is None:
            return float("nan")
        return float(skill(self.interval.mean, max(self.floors())))

    def mean(self, column: str) -> float:
        """Mean of a field of `Run` over the runs that have it; NaN if none has."""
        return _mean(getattr(run, column) for run in self.runs)

    def value(self, column: str) -> float:
        """Mean of a declared column over the runs that have it; NaN if none has."""
        return _mean(run.values.get(column) for run in self.runs)

    def matched(self, column: str) -> float:
        """Mean over seeds of a one-to-one score at the headline tolerance; NaN where it was not stored."""
        return _mean(run.matched[column][self.tolerance] for run in self.scored if column in run.matched)


def _mean(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else float("nan")


def line_f1(scores: Scores, tolerance: int) -> Floats:
    """F1 of each line at one tolerance [samples], (N,).

    Raises:
        KernbenchError: the tolerance was not evaluated.
    """
    return np.asarray(_lines_f1([scores], tolerance)[0])


def _lines_f1(scores: Sequence[Scores], tolerance: int) -> Floats:
    """F1 of each cell and line, (S, N), in one go: numpy's overhead on each cell would take longer than F1."""
    placed = [(each, tolerance_place(each, tolerance)) for each in scores]
    rows = [(each.tp[place], each.fn[place], each.fp[place]) for each, place in placed]
    tp, fn, fp = np.array(rows).swapaxes(0, 1)
    return np.asarray(f1_scores(tp, fn, fp), np.float64)


def tolerance_place(scores: Scores, tolerance: int) -> int:
    """Row of a tolerance in the scores.

    Raises:
        KernbenchError: the tolerance was not evaluated.
    """
    known = np.asarray(scores.tolerances).tolist()
    if tolerance not in known:
        raise KernbenchError(f"tolerance {tolerance} is not among the stored ones, {known}")
    return int(known.index(tolerance))
