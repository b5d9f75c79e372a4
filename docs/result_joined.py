"""Two studies as one, to ask what changes from one to the other: with another budget, or when families are tuned."""

import functools
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from result_matrices import verdicts
from result_points import point_of, signed

from kernbench.errors import KernbenchError
from kernbench.report.numbers.comparison import BASELINE, KERNEL_SIZE, Comparison, comparisons
from kernbench.report.numbers.points import SEED, Point, Value
from kernbench.report.numbers.worlds import shared_world
from kernbench.statistics import compare
from kernbench.store.reading.records import Run
from kernbench.study.settings import AXIS_TEST, SETTINGS

STUDY = "study"  # the axis whose values are the two
AND = "+"  # between their names

Key = tuple[str, frozenset[tuple[str, Value]]]


@functools.cache
def joined(first: Comparison, second: Comparison) -> Comparison:
    """Points that both studies have, at the same values and on the same lines, with the study as one more axis.

    Where nothing but a setting of the test lines tells them apart, such as `test_kernels`, networks are the same in
    both, and the axis is this setting.

    What is the same training in both, as a family has whose setting the second study leaves as it was, is left out:
    nothing can change there, and it would be counted as if it had been measured twice.

    Raises:
        KernbenchError: there is no such point.
    """
    others = {_key(point): point for point in second.scored}
    pairs = [(point, others[_key(point)]) for point in first.scored if _key(point) in others]
    pairs = [pair for pair in pairs if _comparable(*pair) and not _same_trainings(*pair)]
    if not pairs:
        raise KernbenchError(f"{first.base} and {second.base} have no point in common")
    base, (axis, *names) = AND.join((first.base, second.base)), _axis(first, second)
    return comparisons(
        replace(run, base=base, study=run.study if axis == STUDY else f"{base}/{run.family}")
        for pair in pairs
        for point, name in zip(pair, names, strict=True)
        for run in _with(point, axis, name)
    )[0]


def reference(comparison: Comparison, other: Comparison, family: str, *at: str) -> str:
    """STUDY FAMILY VALUE ...: the difference from free taps of another study, with the interval of it alone.

    For studies in which free taps have no part, as they lack the hyper-parameter; at the same kernel size and lines.
    """
    point = point_of(comparison, family, at)
    size = point.params.get(KERNEL_SIZE)
    found = [each for each in other.scored if each.runs[0].family == BASELINE and each.params == {KERNEL_SIZE: size}]
    if not found or not _comparable(point, found[0]):
        raise KernbenchError(
            f"{other.base}: no score of {BASELINE} at {KERNEL_SIZE} = {size} on the lines of {point.name}"
        )
    between = compare(point.f1(), found[0].f1(), prior=other.spread.prior)  # the wider study
    return signed(between.difference, between.low, between.high)


def verdicts_alike(comparison: Comparison, other: Comparison, word: str, at: str) -> str:
    """STUDY VERDICT VALUE: what `verdicts` says if families, values and seeds are those that the other study has.

    What only the other one varies, such as the draws of its searches, does not count.
    """
    names = {name for run in comparison.runs for name in run.params}

    def cell(run: Run) -> tuple[object, ...]:
        return run.family, *sorted((name, value) for name, value in run.params.items() if name in names)

    wanted = {cell(run) for run in other.runs}
    runs = [run for run in comparison.runs if cell(run) in wanted]
    if not runs:
        raise KernbenchError(f"{comparison.base} has no cell of {other.base}")
    return verdicts(comparisons(runs)[0], word, at)


def _key(point: Point) -> Key:
    return point.runs[0].family, frozenset(point.params.items())


def _comparable(one: Point, other: Point) -> bool:
    return shared_world(one.scored[0]) == shared_world(other.scored[0]) and one.tolerance == other.tolerance


def _same_trainings(one: Point, other: Point) -> bool:
    """Whether all seeds that both have gave the same scores."""
    rows = [dict(zip((run.params[SEED] for run in point.scored), point.f1(), strict=True)) for point in (one, other)]
    common = rows[0].keys() & rows[1].keys()
    return bool(common) and all(np.array_equal(rows[0][seed], rows[1][seed]) for seed in common)


def _axis(first: Comparison, second: Comparison) -> tuple[str, Value, Value]:
    """What tells the studies apart, and its values: a setting of the test lines, else "k_sweep", "k_sweep.v1.quick"."""
    known = [each.runs[0].definition for each in (first, second)]
    parts = [
        {part: each.get(part) for part in ("network", "training", "evaluation", "tuning", "budget")} for each in known
    ]
    kernels = [{run.family: run.definition.get("kernel") for run in each.runs} for each in (first, second)]
    same = all(kernels[0][family] == kernels[1][family] for family in kernels[0].keys() & kernels[1].keys())
    data = [dict(each.get("data", {})) for each in known]
    values = {name: [each.pop(name, SETTINGS["data"][name].default) for each in data] for name in AXIS_TEST}
    other = [name for name, (one, another) in values.items() if one != another]
    if same and data[0] and data[0] == data[1] and parts[0] == parts[1] and len(other) == 1:
        return other[0], *values[other[0]]
    short = first.base.split(".")[0], second.base.split(".")[0]
    return STUDY, *(short if len(set(short)) == 2 else (first.base, second.base))


def _with(point: Point, axis: str, value: Value) -> Iterable[Run]:
    """Its cells with one more value; definitions differ in nothing but what the studies are about."""
    return [replace(run, params={**run.params, axis: value}, digest="") for run in point.runs]
