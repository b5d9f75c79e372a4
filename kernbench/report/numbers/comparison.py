"""From runs to comparisons: which cells belong together, along which axis, with which means and intervals."""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kernbench.errors import KernbenchError
from kernbench.report.numbers.completeness import marked
from kernbench.report.numbers.points import SEED, Point, Value
from kernbench.report.numbers.searches import Search, searches_of, shown_runs
from kernbench.report.numbers.spread import Lender, borrowed_spread, own_spread
from kernbench.report.numbers.worlds import Worlds, shared_world
from kernbench.statistics import Comparison as Verdict
from kernbench.statistics import adjusted, compare
from kernbench.store.reading.records import OK, PRUNED, Run
from kernbench.study.reference import Reference
from kernbench.ulm.scoring.seed_spread import UNKNOWN, SeedSpread

KERNEL_SIZE = "kernel_size"
# The family that every other one is measured against, where it took part.
BASELINE = "discrete"


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
        if all(point.validation is not None for point in self.scored):
            return max(self.scored, key=lambda point: point.validation or 0.0, default=None)
        return max(self.scored, key=lambda point: point.interval.mean if point.interval else 0.0)

    @property
    def rank(self) -> float:
        """F1 of its best point on validation lines, or on test lines where they are missing; -inf without any score."""
        point = self.best
        if point is None or point.interval is None:
            return float("-inf")
        return point.interval.mean if point.validation is None else point.validation


@dataclass(frozen=True, eq=False)
class Difference:
    """Two points that share the axis value, and what may be said about them.

    Attributes:
        first: point.
        second: the one that it is measured against, mostly a point of the reference family.
        found: mean F1 of first minus second, with p-values corrected over all differences that are made together.
    """

    first: Point
    second: Point
    found: Verdict

    @property
    def effect(self) -> float:
        """The difference in standard deviations between seeds, as far as those are known; else NaN."""
        prior = self.first.spread.prior
        return self.found.difference / math.sqrt(prior.variance) if prior and prior.variance > 0 else math.nan

    @property
    def blind(self) -> bool:
        """Whether neither point is surely above a blind guess; such networks differ, too, and that says nothing."""
        return bool(self.first.place and self.second.place)

    @property
    def verdict(self) -> str:
        """As `found` has it; "undecided" for two blind networks and for one seed: neither says anything of families."""
        return "undecided" if self.blind or min(self.found.seeds) < 2 else self.found.verdict

    @property
    def outcome(self) -> str:
        """For a table or a figure: "blind" where no verdict is possible because both are blind, else the verdict."""
        return "blind" if self.blind else self.verdict


@dataclass(frozen=True, eq=False)
class Comparison:
    """All cells of one study file, version and profile in one database.

    Attributes:
        base: "k_sweep.v1.quick"; of several databases with the one that it is from, "other.db: k_sweep.v1.quick".
        axis: what varies, "kernel_size" unless something else varies more.
        tolerance: headline tolerance [samples].
        runs: all of them.
        series: families in alphabetical order; of a tuned study they hold the chosen draws.
        searches: of a tuned study.
        spread: between trainings, as far as it is known.
    """

    base: str
    axis: str
    tolerance: int
    runs: tuple[Run, ...]
    series: tuple[Series, ...]
    searches: tuple[Search, ...] = ()
    spread: SeedSpread = UNKNOWN

    @property
    def points(self) -> list[Point]:
        """Points of all series."""
        return [point for series in self.series for point in series.points]

    @property
    def scored(self) -> list[Point]:
        """Points with a score."""
        return [point for point in self.points if point.interval is not None]

    @cached_property
    def series_names(self) -> dict[int, str]:
        """Id of a point -> name of its series."""
        return {id(point): series.name for series in self.series for point in series.points}

    @property
    def best(self) -> list[Point]:
        """The best point of every series that has a score."""
        return [series.best for series in self.series if series.best is not None]

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

    @cached_property
    def marked(self) -> list[Run]:
        """All cells, those whose stored scores are not whole with status "incomplete" and without scores."""
        return marked(self.runs)

    @cached_property
    def not_ok(self) -> list[Run]:
        """Cells that diverged or failed, or whose stored scores are not whole."""
        return [run for run in self.marked if run.status not in (OK, PRUNED)]

    @cached_property
    def floors(self) -> tuple[float, ...]:
        """Mean F1 of the blind comb and of random noise; empty where they are unknown, or not one for all points."""
        found = {tuple(np.round(point.floors(), 9)) for point in self.scored if point.lines is not None}
        return tuple(map(float, found.pop())) if len(found) == 1 else ()

    @property
    def best_on_validation(self) -> bool:
        """Whether the best points were chosen on validation lines, rather than on the test lines themselves."""
        return all(point.validation is not None for point in self.scored)

    @cached_property
    def differences(self) -> list[Difference]:
        """Differences to the reference family, where the lines agree and the spread between trainings is known.

        They are one family of contrasts: p-values are corrected over all of them, by Holm.
        """
        references = [point for point in self.scored if point.runs[0].family == BASELINE]
        near = ((point, reference_point(point, references)) for point in self.scored)
        pairs = [(one, other) for one, other in near if other is not None and self.comparable(one, other)]
        found = adjusted([compare(one.f1(), other.f1(), prior=self.spread.prior) for one, other in pairs])
        return [Difference(*pair, verdict) for pair, verdict in zip(pairs, found, strict=True)]

    def comparable(self, one: Point, other: Point) -> bool:
        """Whether two points share protocol and lines, at least two, and there is a spread between trainings."""
        if shared_world(one.scored[0]) != shared_world(other.scored[0]):
            return False
        lines = one.f1().shape[1], other.f1().shape[1]
        known = self.spread.prior is not None or min(len(one.scored), len(other.scored)) > 1
        return lines[0] == lines[1] > 1 and known


def reference_point(point: Point, candidates: Iterable[Point]) -> Point | None:
    """The first of these points that has the lines and protocol of a point, and its value on every axis of both.

    An axis that only the family has is no matter: free taps have no frequency to share. Where only the reference family
    has one, several points fit equally, and none is taken.

    Returns:
        None if there is none, or more than one, and for the reference itself.
    """
    world = shared_world(point.scored[0])
    found = [
        each
        for each in candidates
        if all(each.params[name] == value for name, value in point.params.items() if name in each.params)
        and shared_world(each.scored[0]) == world
    ]
    alike = all(each.params == found[0].params for each in found)
    return found[0] if found and alike and found[0] is not point else None


def comparisons(runs: Iterable[Run]) -> list[Comparison]:
    """Sort runs into comparisons, one for each study file, version and profile, and for each database.

    Cells of several databases are never mixed, nor averaged: nothing says that they were made alike.

    Raises:
        KernbenchError: there are no runs.
    """
    runs = list(runs)
    if not runs:
        raise KernbenchError(
            "there is nothing to report: no finished or failed cell. Run one first, "
            "`kernbench run --plugin siren --study k_sweep`, or name another --study or --storage"
        )
    keys: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        keys.setdefault((run.base, run.database), []).append(run)
    return _with_spread([_comparison(_name(*key), members) for key, members in sorted(keys.items())])


def _name(base: str, database: str) -> str:
    """The base stays at the end, because the last part of a name is its profile."""
    return f"{database}: {base}" if database else base


def _with_spread(found: Sequence[Comparison]) -> list[Comparison]:
    """Each comparison with its spread between trainings: its own, or borrowed where its cells have one seed each."""
    spreads = [own_spread(comparison.points, "this study") for comparison in found]
    lenders = [Lender(each.base, each.runs[0].definition, each.points) for each in found]
    for place, lender in enumerate(lenders):
        if spreads[place].prior is None and not lender.lends:  # what its own seeds show goes before
            spreads[place] = borrowed_spread(lender, lenders[:place] + lenders[place + 1 :])
    return [_reckoned(comparison, spread) for comparison, spread in zip(found, spreads, strict=True)]


def _reckoned(comparison: Comparison, spread: SeedSpread) -> Comparison:
    series = tuple(
        dataclasses.replace(each, points=tuple(dataclasses.replace(point, spread=spread) for point in each.points))
        for each in comparison.series
    )
    return dataclasses.replace(comparison, series=series, spread=spread)


def _comparison(base: str, runs: Sequence[Run]) -> Comparison:
    whole = marked(runs)
    searches = searches_of(whole)
    shown = shown_runs(whole, searches)
    axis, others = _axes(shown)
    tolerance = next((run.tolerance for run in runs if run.status == OK), runs[0].tolerance)
    worlds = Worlds(whole)
    keys: dict[str, list[Run]] = {}
    for run in shown:
        keys.setdefault(_series_name(run, others, worlds), []).append(run)
    series = tuple(
        _series(name, members, axis, tolerance, ", ".join(worlds.parts(members[0])))
        for name, members in sorted(keys.items(), key=lambda item: (_by_values(item[1][0], others), item[0]))
    )
    return Comparison(base, axis, tolerance, tuple(runs), series, tuple(searches))


def _axes(runs: Sequence[Run]) -> tuple[str, list[str]]:
    """The axis of the figures, and the other parameters that vary."""
    names = {name for run in runs for name in run.params} - {SEED}
    values = {name: {run.params[name] for run in runs if name in run.params} for name in names}
    words = {name: any(isinstance(value, str) for value in values[name]) for name in names}  # they make no curve
    order = sorted(values, key=lambda name: (-len(values[name]), name != KERNEL_SIZE, words[name], name))
    if not order:
        return KERNEL_SIZE, []
    if len(values[order[0]]) == 1 and KERNEL_SIZE in values:
        return KERNEL_SIZE, []
    return order[0], [name for name in order[1:] if len(values[name]) > 1]


def _series_name(run: Run, others: Sequence[str], worlds: Worlds) -> str:
    parts = [f"{name} = {run.params[name]}" for name in others if name in run.params]
    return ", ".join([run.family, *parts, *worlds.parts(run)])


def _by_values(run: Run, others: Sequence[str]) -> tuple[str, list[tuple[int, float, str]]]:
    """For sorting: the family, then its other values, numbers by size."""
    return run.family, [_value_key(run.params.get(name)) for name in others]


def _series(name: str, runs: Sequence[Run], axis: str, tolerance: int, apart: str) -> Series:
    groups: dict[tuple[tuple[str, Value], ...], list[Run]] = {}
    for run in runs:
        key = tuple(sorted((k, v) for k, v in run.params.items() if k != SEED))
        groups.setdefault(key, []).append(run)
    points = [
        Point(tuple(sorted(members, key=lambda run: str(run.params.get(SEED, "")))), axis, tolerance, apart=apart)
        for members in groups.values()
    ]
    return Series(name, runs[0].family, tuple(sorted(points, key=_along)))


def _along(point: Point) -> tuple[int, float, str]:
    return _value_key(point.x)


def _value_key(value: Value | None) -> tuple[int, float, str]:
    """Numbers in order, then texts, then what has no value."""
    if value is None:
        return 2, 0.0, ""
    return (1, 0.0, value) if isinstance(value, str) else (0, float(value), "")
