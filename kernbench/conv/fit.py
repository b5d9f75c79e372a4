"""Fit the constants of `kernbench.conv.predict` to this machine, by measuring convolutions of many shapes.

Nothing calls this while networks train: `auto` decides from constants, so that a cell is always computed one way.
"""

import itertools
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

from kernbench.conv.cost import multiply_adds
from kernbench.conv.direct import convolve_direct
from kernbench.conv.plan import Plan, candidates, cut
from kernbench.conv.predict import TERMS, Constants, CostTable, seconds_direct, seconds_in_blocks, work
from kernbench.conv.spectral import convolve_spectral
from kernbench.host.accelerator import wait

# torch's CPU library changes its method behind 13 and 14 taps
_TAPS = (1, 3, 5, 9, 13, 15, 17, 25, 33, 65)
# Kind of layer -> widths, lengths, and `CostTable.padded` (dilated ones measure smoother without)
_KINDS = {
    "dense": ((2, 4, 8, 16, 22, 32, 64), (2048, 8446), 2),
    "dense_single": ((2, 4, 8, 16), (1024, 2048), 0),
    "first": ((1, 8, 16, 22, 32, 64), (2048, 4096, 8446), 1),
    "first_single": ((1, 8, 16, 22, 64), (2048, 8446), 0),
    "depthwise": ((8, 16, 22, 32, 64), (2048, 8446), 1),
}
_DILATION = 8
# of all lines of a table's convolution: few enough for the cache, as many as networks are trained with
_SAMPLES = 16384
# Seconds; what takes less is run more often, or else it is the call on a cold cache that is measured.
_SHORT = 0.5e-3

# (batch, in, out, groups, length, taps, dilation) of the convolutions in blocks
_SHAPES = [
    (batch, *channels, length, taps, 1)
    for channels in ((8, 8, 1), (16, 16, 1), (22, 22, 1), (64, 64, 1), (1, 22, 1), (1, 1, 1), (8, 8, 8), (64, 64, 64))
    for batch, length, taps in (
        (1, 2048, 9),
        (4, 2048, 33),
        (8, 2048, 131),
        (2, 8446, 17),
        (1, 8446, 65),
        (4, 8446, 263),
    )
] + [
    (batch, *channels, 8446, taps, dilation)
    for channels in ((8, 8, 1), (64, 64, 1), (1, 22, 1), (22, 22, 22))
    for batch, taps, dilation in ((1, 9, 16), (8, 3, 8), (2, 65, 4))
]


@dataclass(frozen=True)
class Fit:
    """Fitted constants and how well they describe what was measured.

    Attributes:
        constants: to be stored by `kernbench.conv.constants.store`.
        cases: convolutions in blocks that were measured.
        median_error, largest_error: relative difference of predicted to measured seconds.
        seconds: what was measured, all convolutions.
    """

    constants: Constants
    cases: int
    median_error: float
    largest_error: float
    seconds: Mapping["Case", float]


def fit(device: torch.device | str = "cpu", passes: int = 5, progress: Callable[[str], None] = lambda _: None) -> Fit:
    """Measure on a device and fit; about four minutes on one core.

    Args:
        device: "cpu" or "cuda:0".
        passes: times that everything is measured; of each convolution the fastest counts, as the least disturbed.
            Passes over everything, so that a busy minute does not slow one method only.
        progress: called with a line about each pass.
    """
    device = torch.device(device)
    blocks, direct = list(_block_cases()), list(_direct_cases())
    taken = dict.fromkeys((*blocks, *direct), math.inf)
    for number in range(passes):
        progress(f"pass {number + 1} of {passes}")
        for case, fastest in taken.items():
            taken[case] = min(fastest, _seconds(case, device))
    matrix = _prices({case: taken[case] for case in blocks if case.inputs > case.groups})
    elementwise = _prices({case: taken[case] for case in blocks if case.inputs == case.groups})
    constants = Constants(matrix, elementwise, _tables(taken, device.type == "cpu"))
    errors = [abs(predicted(case, constants) / taken[case] - 1) for case in blocks]
    return Fit(constants, len(errors), statistics.median(errors), max(errors), taken)


def predicted(case: "Case", constants: Constants) -> float:
    """Seconds that the constants predict for a convolution."""
    if case.size:
        return seconds_in_blocks(case.signal, case.kernel, _plan(case), constants)
    return seconds_direct(case.signal, case.kernel, case.dilation, constants)


@dataclass(frozen=True)
class Case:
    """A convolution to measure; size 0 means direct, else samples of a block."""

    batch: int
    inputs: int
    outputs: int
    groups: int
    length: int
    taps: int
    dilation: int
    size: int = 0

    @property
    def signal(self) -> tuple[int, int, int]:
        """Shape (B, Ci, L)."""
        return self.batch, self.inputs, self.length

    @property
    def kernel(self) -> tuple[int, int, int]:
        """Shape (Co, Ci // groups, K)."""
        return self.outputs, self.inputs // self.groups, self.taps


def _block_cases() -> Iterator[Case]:
    for shape in _SHAPES:
        plans = candidates(shape[4], shape[5], shape[6])
        for plan in (plans[0], *plans[1::2]):
            if plan.size >= 4 * shape[5] or plan.size < 2048:
                yield Case(*shape, plan.size)


def _direct_cases() -> Iterator[Case]:
    """What the tables need."""
    for kind, (widths, lengths, _) in _KINDS.items():
        for dilation in (1, _DILATION):
            yield _smallest(kind, dilation)
            for node in itertools.product(lengths, widths, _TAPS):
                yield _table_case(kind, dilation, *node)


def _smallest(kind: str, dilation: int) -> Case:
    """A layer whose time is the call's."""
    case = _table_case(kind, dilation, 64, 8, 3)
    return replace(case, batch=min(case.batch, 2))


def _table_case(kind: str, dilation: int, length: int, width: int, taps: int) -> Case:
    inputs = 1 if kind.startswith("first") else width
    batch = 1 if kind.endswith("_single") else max(2, round(_SAMPLES / length))
    groups = width if kind == "depthwise" else 1
    return Case(batch, inputs, width, groups, length, taps, dilation)


def _tables(taken: dict[Case, float], on_cpu: bool) -> dict[str, CostTable]:
    tables = {}
    for (kind, (widths, lengths, padded)), dilation in itertools.product(_KINDS.items(), (1, _DILATION)):
        cases = [[[_table_case(kind, dilation, n, c, k) for k in _TAPS] for c in widths] for n in lengths]
        # no layer takes less than its call: where one did, the smallest was disturbed (one tap has a method of its own)
        several = [case for plane in cases for row in plane for case in row if case.taps > 1]
        call = min(taken[case] for case in (_smallest(kind, dilation), *several))
        rates = tuple(tuple(tuple(_rate(c, taken[c], call) for c in row) for row in plane) for plane in cases)
        name = kind if dilation == 1 else f"{kind}_dilated"
        filled = padded if dilation == 1 and on_cpu else 0
        tables[name] = CostTable(lengths, widths, _TAPS, rates, 1e9 * call, filled)
    return tables


def _rate(case: Case, taken: float, call: float) -> float:
    """Picoseconds per multiply-add, the call taken off."""
    return 1e12 * max(taken - call, 0.1 * taken) / multiply_adds(case.signal, case.kernel, case.dilation)


def _prices(taken: dict[Case, float]) -> dict[str, float]:
    """Nanoseconds per amount of work, none negative, so that relative errors are small."""
    amounts = np.array([work(case.signal, case.kernel, _plan(case)) for case in taken])
    relative = amounts / np.array(list(taken.values()))[:, None]
    scale = np.maximum(relative.max(axis=0), 1e-300)
    prices, _ = nnls(relative / scale, np.ones(len(taken)))
    return {term: float(1e9 * price) for term, price in zip(TERMS, prices / scale, strict=True)}


def _plan(case: Case) -> Plan:
    return cut(case.length, case.taps, case.dilation, case.size)


def _seconds(case: Case, device: torch.device) -> float:
    """The fastest of some runs, forward and backward; the first also warms up."""
    signal = torch.randn(case.signal, device=device, requires_grad=True)
    kernel = torch.randn(case.kernel, device=device, requires_grad=True)
    fastest = min(_once(case, signal, kernel) for _ in range(2))
    return fastest if fastest > _SHORT else min(fastest, *(_once(case, signal, kernel) for _ in range(4)))


def _once(case: Case, signal: Tensor, kernel: Tensor) -> float:
    # one thread: its own time, which other processes do not lengthen
    clock = time.process_time if signal.device.type == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    wait(signal.device)
    start = clock()
    if case.size:
        output = convolve_spectral(signal, kernel, case.groups, _plan(case))
    else:
        output = convolve_direct(signal, kernel, case.dilation, case.groups)
    torch.autograd.grad(output, (signal, kernel), output)
    wait(signal.device)
    return clock() - start
