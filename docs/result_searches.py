"""Searches of a tuned study: what was chosen on validation lines, and what that gained on test lines."""

import numpy as np
from result_points import point_of, table, typed_value

from kernbench.errors import KernbenchError
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.searches import validation_f1
from kernbench.report.numbers.tuning import tuning_rows


def searches(comparison: Comparison) -> str:
    """A row for each search: the chosen setting, F1 of it and of the default setting, and the gain on test lines."""
    rows = tuning_rows(comparison)
    if not rows:
        raise KernbenchError(f"{comparison.base} has no searches")
    header = ("family", comparison.axis, "search", "chosen setting", "F1 chosen", "F1 default", "gain over default")
    names = ("family", "x", "others", "setting", "test", "test_default", "gain")
    return table([name.replace("_", " ") for name in header], [[row[name] for name in names] for row in rows])


def picked(comparison: Comparison, seeds: str, *at: str) -> str:
    """SEEDS VALUE ...: what choosing alone gains, on test lines, where all trainings of a point have the same setting.

    F1 of the best one on validation lines over the mean of all; the mean of the points with so many seeds.
    """
    values = [typed_value(comparison, comparison.axis, value) for value in at]
    points = [point for point in comparison.scored if len(point.scored) == int(seeds) and point.x in values]
    if not points:
        raise KernbenchError(f"{comparison.base} has no point with {seeds} seeds at {', '.join(at) or 'no value'}")
    gained = []
    for point in points:
        valid = [validation_f1(run) for run in point.scored]
        if None in valid:
            raise KernbenchError(f"{comparison.base}: {point.name} has a training without scores on validation lines")
        means = point.f1().mean(axis=1)
        gained.append(means[int(np.argmax(valid))] - means.mean())
    return f"{np.mean(gained):+.3f}"


def chosen_parameters(comparison: Comparison, family: str, *at: str) -> str:
    """FAMILY VALUE ...: how many trainable parameters the networks have that its searches chose, in their order."""
    point = point_of(comparison, family, at)
    if not tuning_rows(comparison):
        raise KernbenchError(f"{comparison.base} has no searches")
    return " and ".join(f"{run.values['n_params']:,.0f}" for run in point.scored)
