"""Kernels of families fitted to targets at budgets of parameters: what a family can represent."""

import csv
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kernbench.analysis.fit import STEPS, Fit, fit
from kernbench.errors import KernbenchError, PluginError, first_line
from kernbench.kernels import capabilities
from kernbench.kernels.base import KernelSpec
from kernbench.kernels.budget import largest
from kernbench.kernels.family import KernelFamily
from kernbench.kernels.gain import calibrate
from kernbench.kernels.layer import KernelConv
from kernbench.kernels.space import Value
from kernbench.kernels.trained import constrain, kernel_modules

BUDGETS = (16, 32, 64)
SEEDS = 5

SMALL, ROUNDING = 5e-4, 1e-12  # errors with another form in tables

Target = NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """One family at one budget.

    Attributes:
        family: makes the kernel.
        budget: the most parameters that were allowed.
        parameters: those that it has: the most that are allowed, or the fewest that it can have.
        hyper: all hyper-parameters.
        settings: those that the budget chose, "knots=16"; "" for a family of fixed size.
    """

    family: KernelFamily
    budget: int
    parameters: int
    hyper: Mapping[str, Value]
    settings: str


@dataclass(frozen=True)
class Row:
    """One fit; the columns of the CSV file.

    Attributes:
        family: its name.
        target: its name.
        budget: see `Plan`, as for the next two.
        parameters: see above.
        settings: see above.
        seed: of the parameters at the start.
        error: norm(kernel - target) / norm(target).
        method: how it was fitted, see `kernbench.analysis.fit`.
        seconds: that the fit took: its share of those that were made together.
    """

    family: str
    target: str
    budget: int
    parameters: int
    settings: str
    seed: int
    error: float
    method: str
    seconds: float


@dataclass(frozen=True)
class Summary:
    """One family, target and budget over the seeds.

    Attributes:
        family: its name.
        target: its name.
        budget: see `Plan`, as for the next one.
        parameters: see above.
        median: of the errors, as the next two.
        low: smallest.
        high: largest.
    """

    family: str
    target: str
    budget: int
    parameters: int
    median: float
    low: float
    high: float

    @property
    def text(self) -> str:
        """The median for a table."""
        return error_text(self.median)

    @property
    def range_text(self) -> str:
        """Median and, where the seeds differ, range for a table."""
        low, high = error_text(self.low), error_text(self.high)
        return self.text if low == high else f"{self.text} ({low} to {high})"


def error_text(error: float) -> str:
    """An error for a table: three decimals, one digit where it is smaller, 0 where it is rounding alone."""
    if error >= SMALL:
        return f"{error:.3f}"
    return f"{error:.0e}" if error >= ROUNDING else "0"


def plans(families: Sequence[KernelFamily], budgets: Sequence[int], taps: int) -> list[Plan]:
    """What will be fitted, family by family; each setting is built once, so that what fails does so before any fit.

    Args:
        families: make the kernels.
        budgets: numbers of parameters.
        taps: of the one kernel.

    Raises:
        KernbenchError: a family that has no setting for so many taps, or breaks its contract.
    """
    found = [_plan(family, budget, taps) for family in families for budget in budgets]
    for plan in found:
        _Taps(plan, taps, 0)
    return found


def fits(
    planned: Sequence[Plan],
    targets: Mapping[str, Target],
    seeds: int = SEEDS,
    steps: int = STEPS,
) -> Iterator[Row]:
    """Fit every target by every plan with every seed; the same on the same machine, but for the seconds.

    A setting that serves several budgets is fitted once, and has a row for each.

    Args:
        planned: of `plans`.
        targets: name -> (K,).
        seeds: how many, from 0 on.
        steps: of Adam.
    """
    known: dict[tuple[str, str], list[tuple[str, int, Fit, float]]] = {}
    for plan in planned:
        key = plan.family.name, plan.settings
        if key not in known:
            known[key] = _fitted(plan, targets, seeds, steps)
        for target, seed, found, seconds in known[key]:
            yield Row(
                family=plan.family.name,
                target=target,
                budget=plan.budget,
                parameters=plan.parameters,
                settings=plan.settings,
                seed=seed,
                error=found.error,
                method=found.method,
                seconds=seconds,
            )


def summaries(rows: Sequence[Row]) -> list[Summary]:
    """Median and range over the seeds, in the order of the rows."""
    alike: dict[tuple[str, str, int, int], list[float]] = {}
    for row in rows:
        alike.setdefault((row.family, row.target, row.budget, row.parameters), []).append(row.error)
    return [Summary(*key, statistics.median(found), min(found), max(found)) for key, found in alike.items()]


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """Write a CSV file, errors to four digits and seconds to two places."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [each.name for each in fields(Row)], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({**asdict(row), "error": f"{row.error:.4g}", "seconds": f"{row.seconds:.2f}"})


def read_rows(path: Path) -> list[Row]:
    """Read what `write_rows` has written."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Row(
                family=row["family"],
                target=row["target"],
                budget=int(row["budget"]),
                parameters=int(row["parameters"]),
                settings=row["settings"],
                seed=int(row["seed"]),
                error=float(row["error"]),
                method=row["method"],
                seconds=float(row["seconds"]),
            )
            for row in csv.DictReader(file)
        ]


def _plan(family: KernelFamily, budget: int, taps: int) -> Plan:
    found = largest(family, [KernelSpec(1, 1, kernel_size=taps)], budget)
    settings = " ".join(f"{name}={value}" for name, value in found.solved.items())
    return Plan(family, budget, found.count, found.hyper, settings)


class _Taps(nn.Module):
    """One kernel as it starts in a network, at gain 1, then in float64.

    Of a family without `scale_` the amplitude is fitted, too.

    Args:
        plan: the family and its setting.
        taps: of the kernel.
        seed: of its parameters.
    """

    def __init__(self, plan: Plan, taps: int, seed: int) -> None:
        super().__init__()
        spec = KernelSpec(1, 1, kernel_size=taps)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.layer = KernelConv(plan.family.build(spec, plan.hyper), spec, bias=False)
            calibrate(self.layer)
        self.double()
        self.layer.checked_kernel()
        self.grid = spec.grid(dtype=torch.float64)

    def forward(self) -> Tensor:
        """The taps, (K,)."""
        return self.layer.kernel(self.grid)[0, 0]


def _put_back(taps: nn.Module) -> None:
    """What the family asks for after each step of a training run."""
    constrain(kernel_modules(taps))


def _fitted(plan: Plan, targets: Mapping[str, Target], seeds: int, steps: int) -> list[tuple[str, int, Fit, float]]:
    """Target, seed, fit and seconds of all fits of a plan, which are made together."""
    cases = [(name, seed) for name in targets for seed in range(seeds)]
    modules = [_Taps(plan, len(targets[name]), seed) for name, seed in cases]
    begun = time.perf_counter()
    try:
        constrains = capabilities.of(modules[0].layer.kernel_module, "constrain_") is not None
        found = fit(modules, [targets[name] for name, _ in cases], steps, _put_back if constrains else None)
    except KernbenchError:
        raise
    except Exception as error:
        layer = modules[0].layer
        raise PluginError(f"{layer.label} cannot be fitted: {first_line(error)} ({layer.place})") from error
    seconds = (time.perf_counter() - begun) / len(cases)
    return [(*case, each, seconds) for case, each in zip(cases, found, strict=True)]
