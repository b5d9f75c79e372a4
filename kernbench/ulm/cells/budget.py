"""The budget of a study, met by each of its cells."""

import functools
from collections.abc import Mapping
from typing import Any

from kernbench.errors import KernbenchError, PluginError, StudyError
from kernbench.kernels.base import KernelSpec
from kernbench.kernels.budget import PARAMETERS, Solution, kernels_count, solve
from kernbench.kernels.family import KernelFamily
from kernbench.kernels.layer_options import form_of, made_by
from kernbench.networks.beside import numbers_beside_kernels
from kernbench.networks.fitting import layers_of
from kernbench.networks.spread import network_asked
from kernbench.registry import find_family
from kernbench.study.budget import Budget
from kernbench.study.study import Study

_KEPT = 256  # solutions: all cells of a point ask for the same one

Items = tuple[tuple[str, Any], ...]  # of a table; a key that hashes


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
    layers = _layers(network, f"family {study.family.name}")
    beside = _beside(network) if budget.quantity == PARAMETERS else 0
    target, unit_gain = budget.total, plan["gain"] == "unit"
    if budget.like:
        like = find_family(budget.like)
        target = beside + kernels_count(like, layers, None, budget.quantity, unit_gain=unit_gain)
    try:
        return _solution(study.family, network, target, tuple(sorted(fixed.items())), budget.quantity, beside)
    except PluginError:
        raise
    except KernbenchError as error:
        asked = f" (as {budget.like} has)" if budget.like else ""
        raise StudyError(
            f"{study.source}: budget{asked}: {error}; leave out this K with --only kernel_size=..., or this family"
        ) from error


@functools.lru_cache(maxsize=_KEPT)
def _solution(family: KernelFamily, network: Items, target: int, fixed: Items, quantity: str, beside: int) -> Solution:
    unit_gain = dict(network)["gain"] == "unit"
    return solve(family, _layers(network), target, dict(fixed), quantity, beside=beside, unit_gain=unit_gain)


def _layers(network: Items, context: str = "") -> tuple[KernelSpec, ...]:
    plan = dict(network)
    layers = layers_of(network_asked(plan), plan["kernel_size"], plan["channels"], plan["depth"], context)
    form = form_of(plan)
    return tuple(made_by(form["layer"], spec, form["tiles"]) for spec in layers)


@functools.lru_cache(maxsize=_KEPT)
def _beside(network: Items) -> int:
    plan = dict(network)
    return numbers_beside_kernels(
        network_asked(plan), plan["kernel_size"], plan["channels"], plan["depth"], **form_of(plan)
    )
