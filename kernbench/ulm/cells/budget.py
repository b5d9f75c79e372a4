"""The budget of a study, met by each of its cells."""

import functools
from collections.abc import Mapping
from typing import Any

from kernbench.errors import KernbenchError, PluginError, StudyError
from kernbench.kernels.budget import PARAMETERS, Solution, solve
from kernbench.kernels.family import KernelFamily
from kernbench.study.budget import Budget
from kernbench.study.study import Study
from kernbench.ulm.cells.plan import Items, beside_kernels, made_layers, reference_count

_KEPT = 256  # solutions: all cells of a point ask for the same one


def solved(study: Study, budget: Budget, plan: Mapping[str, Any], fixed: Mapping[str, Any]) -> Solution:
    """Hyper-parameters of a cell whose network meets the budget of its study.

    Args:
        study: the study.
        budget: of it.
        plan: settings of the network for this cell.
        fixed: hyper-parameters that are not solved for.

    Raises:
        StudyError: no setting is within 2 %; names study file, family, K and the nearest two.
        KernbenchError, PluginError: a network that cannot be built, see `kernbench.networks.build`.
    """
    network = tuple(sorted(plan.items()))
    made_layers(network, f"family {study.family.name}")  # what it refuses, it refuses with the name of the family
    beside = beside_kernels(network) if budget.quantity == PARAMETERS else 0
    target = budget.total
    if budget.reference:
        target = reference_count(budget.reference, network, budget.quantity, beside)
    try:
        return _solution(study.family, network, target, tuple(sorted(fixed.items())), budget.quantity, beside)
    except PluginError:
        raise
    except KernbenchError as error:
        asked = f" (as {budget.reference} has)" if budget.reference else ""
        raise StudyError(f"{study.source}: budget{asked}: {error}; {_advice(study, plan)}") from error


def _advice(study: Study, plan: Mapping[str, Any]) -> str:
    if "kernel_size" in study.axes:
        return "leave out this K with --only kernel_size=..., or this family"
    return f"leave out network {plan['name']} with --only name=..., or this family"


@functools.lru_cache(maxsize=_KEPT)
def _solution(family: KernelFamily, network: Items, target: int, fixed: Items, quantity: str, beside: int) -> Solution:
    unit_gain = dict(network)["gain"] == "unit"
    return solve(family, made_layers(network), target, dict(fixed), quantity, beside=beside, unit_gain=unit_gain)
