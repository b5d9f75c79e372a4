"""From runs to comparisons: which cells belong together, along which axis, with which means and intervals."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernbench.errors import KernbenchError
from kernbench.report.numbers.searches import Search, searches_of, shown_runs
from kernbench.statistics.intervals import Interval, bootstrap_difference, bootstrap_mean
from kernbench.store.reading.records import OK, PRUNED, LineInfo, Run, Scores
from kernbench.study.reference import Reference
from kernbench.ulm.scoring.scores import f1_scores, skill

Floats = NDArray[np.float64]
Value = float | int | str

TEST = "test"
VALIDATION = "validation"
SEED = "seed"
KERNEL_SIZE = "kernel_size"
# The family that every other one is measured against, where it took part.
BASELINE = "discrete"


@dataclass(frozen=True, eq=False)
class Point:
    """Cells of one family that differ in nothing but the seed.

    Attributes:
        runs: all of them, the scored ones and the others.
        axis: name of the comparison's axis.
        tolerance: headline tolerance [samples].
    """

    runs: tuple[Run, ...]
    axis: str
    tolerance: int

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
        values = ", ".join(f"{name} = {value}" for name, value in sorted(self.params.items()))
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
        """The status of its runs, counted where they differ: `ok`, `ok 2, diverged 1`."""
        names = [run.status for run in self.runs]
        kinds = sorted(set(names), key=lambda name: (name != OK, name))
        return kinds[0] if len(kinds) == 1 else ", ".join(f"{kind} {names.count(kind)}" for kind in kinds)

    @property
    def lines(self) -> LineInfo | None:
        """Test lines and their floors."""
        return next((run.lines for run in self.scored if run.lines is not None), None)

    def f1(self, tolerance: int | None = None, split: str = TEST) -> Floats:
        """F1 of each seed and line, (S, N), not to be written to; the headline tolerance unless told."""
        key = "f1", self._tolerance(tolerance), split
        if key not in self.remembered:
            rows = _lines_f1([run.scores[split] for run in self.scored], self._tolerance(tolerance))
            rows.setflags(write=False)
            self.remembered[key] = rows
        found: Floats = self.remembered[key]
        return found

    @cached_property
    def remembered(self) -> dict[tuple[object, ...], Any]:
        """What was computed from this point alone, by name and arguments: tables, page and figures ask alike."""
        return {}

    @cached_property
    def interval(self) -> Interval | None:
        """Mean test F1 at the headline tolerance; None without a scored run."""
        return bootstrap_mean(self.f1()) if self.scored else None

    @cached_property
    def validation(self) -> float | None:
        """Mean F1 on the validation lines; None where a run lacks them."""
        if not self.scored or any(VALIDATION not in run.scores for run in self.scored):
            return None
        return float(self.f1(split=VALIDATION).mean())

    def floors(self, tolerance: int | None = None) -> tuple[float, float]:
        """Mean F1 of the blind comb and of random noise; NaN where they were not stored."""
        if self.lines is None:
            return float("nan"), float("nan")
        place = tolerance_place(self.scored[0].scores[TEST], self._tolerance(tolerance))
        return float(self.lines.floors["comb"][place]), float(self.lines.floors["random"][place])

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
        known = [run.matched[column][self.tolerance] for run in self.scored if column in run.matched]
        numbers = [value for value in known if value is not None]
        return float(np.mean(numbers)) if numbers else float("nan")

    def _tolerance(self, tolerance: int | None) -> int:
        return self.tolerance if tolerance is None else tolerance


@dataclass(frozen=True, eq=False)
class Series:
    """One family along the axis, everything else but the seed fixed.

    Attributes:
        name: family, and the other axes' values where there are several.
        family: kernel family.
        points: ascending along the axis.
    """

    name: str
    family: str
    points: tuple[Point, ...]

    @property
    def scored(self) -> list[Point]:
        """Points with a score."""
        return [point for point in self.points if point.interval is not None]

    @cached_property
    def best(self) -> Point | None:
        """Point of the highest validation F1, or test F1 where a point lacks validation scores; None if no score."""
        known = self.scored
        if not known:
            return None
        if all(point.validation is not None for point in known):
            return max(known, key=lambda point: point.validation or 0.0)
        return max(known, key=lambda point: point.interval.mean if point.interval else 0.0)


@dataclass(frozen=True, eq=False)
class Difference:
    """Paired difference of two points that share the axis value.

    Attributes:
        first: point.
        second: point of the reference family.
        interval: of the mean of first minus second.
    """

    first: Point
    second: Point
    interval: Interval


@dataclass(frozen=True, eq=False)
class Comparison:
    """All cells of one study file, version and profile.

    Attributes:
        base: "k_sweep.v1.quick".
        axis: what varies, "kernel_size" unless something else varies more.
        tolerance: headline tolerance [samples].
        runs: all of them.
        series: families in alphabetical order; of a tuned study they hold the chosen draws.
        searches: of a tuned study.
    """

    base: str
    axis: str
    tolerance: int
    runs: tuple[Run, ...]
    series: tuple[Series, ...]
    searches: tuple[Search, ...] = ()

    @property
    def points(self) -> list[Point]:
        """Points of all series."""
        return [point for series in self.series for point in series.points]

    @property
    def scored(self) -> list[Point]:
        """Points with a score."""
        return [point for point in self.points if point.interval is not None]

    @property
    def families(self) -> list[str]:
        """Families that took part."""
        return sorted({run.family for run in self.runs})

    @cached_property
    def references(self) -> list[Reference]:
        """Published rows of the studies, each once, in the order of their files."""
        # cells of one study share one tuple, and there are thousands of them
        shared = {id(run.references): run.references for run in self.runs}.values()
        return list({repr(reference): reference for rows in shared for reference in rows}.values())

    @property
    def not_ok(self) -> list[Run]:
        """Cells that diverged or failed."""
        return [run for run in self.runs if run.status not in (OK, PRUNED)]

    @property
    def best_on_validation(self) -> bool:
        """Whether the best points were chosen on validation lines, rather than on the test lines themselves."""
        return all(point.validation is not None for point in self.scored)

    @cached_property
    def differences(self) -> list[Difference]:
        """Paired differences to the reference family, where seeds and lines agree."""
        reference = next((s for s in self.series if s.family == BASELINE and s.scored), None)
        if reference is None:
            return []
        there = {point.x: point for point in reference.scored}
        pairs = [
            (point, there[point.x])
            for series in self.series
            if series is not reference
            for point in series.scored
            if point.x in there and _comparable(point, there[point.x])
        ]
        return [Difference(one, other, bootstrap_difference(one.f1(), other.f1())) for one, other in pairs]


def _mean(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else float("nan")


def comparisons(runs: Iterable[Run]) -> list[Comparison]:
    """Sort runs into comparisons, one for each study file, version and profile.

    Raises:
        KernbenchError: there are no runs.
    """
    runs = list(runs)
    if not runs:
        raise KernbenchError(
            "there is nothing to report: no finished or failed cell. Run one first, "
            "`kernbench run --plugin siren --study k_sweep`, or name another --study or --storage"
        )
    bases = sorted({run.base for run in runs})
    return [_comparison(base, [run for run in runs if run.base == base]) for base in bases]


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


def _comparison(base: str, runs: Sequence[Run]) -> Comparison:
    searches = searches_of(runs)
    shown = shown_runs(runs, searches)
    axis, others = _axes(shown)
    tolerance = next((run.tolerance for run in runs if run.status == OK), runs[0].tolerance)
    mixed_data = len({run.data_digest for run in runs if run.status == OK}) > 1
    keys: dict[str, list[Run]] = {}
    for run in shown:
        keys.setdefault(_series_name(run, others, mixed_data), []).append(run)
    series = tuple(_series(name, members, axis, tolerance) for name, members in sorted(keys.items()))
    return Comparison(base, axis, tolerance, tuple(runs), series, tuple(searches))


def _axes(runs: Sequence[Run]) -> tuple[str, list[str]]:
    """The axis of the figures, and the other parameters that vary."""
    values: dict[str, set[Value]] = {}
    for run in runs:
        for name, value in run.params.items():
            if name != SEED:
                values.setdefault(name, set()).add(value)
    order = sorted(values, key=lambda name: (-len(values[name]), name != KERNEL_SIZE, name))
    if not order:
        return KERNEL_SIZE, []
    if len(values[order[0]]) == 1 and KERNEL_SIZE in values:
        return KERNEL_SIZE, []
    return order[0], [name for name in order[1:] if len(values[name]) > 1]


def _series_name(run: Run, others: Sequence[str], mixed_data: bool) -> str:
    parts = [f"{name} = {run.params[name]}" for name in others if name in run.params]
    if mixed_data:
        parts.append(f"data {run.data_digest}")
    return ", ".join([run.family, *parts])


def _series(name: str, runs: Sequence[Run], axis: str, tolerance: int) -> Series:
    groups: dict[tuple[tuple[str, Value], ...], list[Run]] = {}
    for run in runs:
        key = tuple(sorted((k, v) for k, v in run.params.items() if k != SEED))
        groups.setdefault(key, []).append(run)
    points = [
        Point(tuple(sorted(members, key=lambda run: str(run.params.get(SEED, "")))), axis, tolerance)
        for members in groups.values()
    ]
    return Series(name, runs[0].family, tuple(sorted(points, key=_along)))


def _along(point: Point) -> tuple[int, float, str]:
    """Numbers in order, then texts, then what has no place on the axis."""
    if point.x is None:
        return 2, 0.0, ""
    return (1, 0.0, point.x) if isinstance(point.x, str) else (0, float(point.x), "")


def _comparable(one: Point, other: Point) -> bool:
    """Same lines and same seeds."""
    seeds = [[run.params.get(SEED) for run in point.scored] for point in (one, other)]
    data = [{run.data_digest for run in point.scored} for point in (one, other)]
    return seeds[0] == seeds[1] and data[0] == data[1] and one.f1().shape == other.f1().shape
