"""What a fit of the convolution's constants found, beside the constants that are in use."""

import statistics
from collections.abc import Iterable

from kernbench.bench.table import BenchTable, Value
from kernbench.bench.timing import where
from kernbench.conv.auto import choose_by
from kernbench.conv.fit import Case, Fit, predicted
from kernbench.conv.predict import Constants

_KINDS = {
    "dense": lambda case: case.inputs > case.groups,
    "first": lambda case: case.inputs == 1,
    "depthwise": lambda case: case.inputs == case.groups > 1,
}
_COLUMNS = ("layers", "measured", "fitted: median off [%]", "most [%]", "in use: median off [%]", "most [%] ")


def table(found: Fit, in_use: Constants, device: str) -> BenchTable:
    """How far predicted seconds are from the measured ones, by kind of layer and way to convolve.

    Args:
        found: measurements and what was fitted to them.
        in_use: the constants that `auto` decides by now.
        device: where it was measured, for the title.
    """
    rows = []
    for kind, belongs in _KINDS.items():
        for way, direct in (("in blocks", False), ("direct", True)):
            cases = [case for case in found.seconds if belongs(case) and (case.size == 0) is direct]
            if cases:
                offs = [_off(found, cases, known) for known in (found.constants, in_use)]
                rows.append([f"{kind}, {way}", len(cases), *(value for off in offs for value in off)])
    title = f"Predicted against measured seconds, forward and backward, {where(device)}."
    return BenchTable("conv_fit", title, list(_COLUMNS), rows)


def chosen_otherwise(found: Fit, in_use: Constants) -> tuple[int, int]:
    """How many layers `auto` would convolve by another backend than now, and of how many that were measured."""
    layers = {(case.signal, case.kernel, case.dilation) for case in found.seconds}
    other = sum(choose_by(found.constants, *layer) != choose_by(in_use, *layer) for layer in layers)
    return other, len(layers)


def _off(found: Fit, cases: Iterable[Case], known: Constants) -> list[Value]:
    errors = [100 * abs(predicted(case, known) / found.seconds[case] - 1) for case in cases]
    return [round(statistics.median(errors), 1), round(max(errors), 1)]
