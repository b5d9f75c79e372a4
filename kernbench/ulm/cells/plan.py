"""The network of a cell in numbers: what its study says, and kernel size, depth and channels that are worked out."""

import bisect
import functools
import math
from collections.abc import Mapping
from typing import Any

from kernbench.errors import KernbenchError
from kernbench.kernels.base import KernelSpec
from kernbench.kernels.budget import PARAMETERS, kernels_count
from kernbench.kernels.layer_options import form_of, made_by
from kernbench.networks.beside import numbers_beside_kernels
from kernbench.networks.field import nearest_below
from kernbench.networks.fitting import checked_length, layers_of
from kernbench.networks.spread import network_asked
from kernbench.registry import find_family
from kernbench.study.settings import axis_home
from kernbench.study.study import Params

PERCENT = 20  # that the count may be from the total at the nearest channels: one channel is a large step
MOST_CHANNELS = 4096  # as in a study
MOST_TAPS = 1 << 24  # of a layer of a network that is built to count it: a wider one takes minutes and gigabytes

_KEPT = 256  # plans: all cells of a point ask for the same one

Items = tuple[tuple[str, Any], ...]  # of a table; a key that hashes
Plan = dict[str, Any]


def network_plan(definition: Mapping[str, Any], params: Params) -> Plan:
    """Settings of the network of a cell, complete: with `name`, `kernel_size`, `channels`, `depth`, `gain`, ...

    Args:
        definition: of the study.
        params: of the cell.

    Raises:
        KernbenchError: a field or a count that the network cannot have.
        PluginError: see `kernbench.networks.fitting.layers_of`.
    """
    plan = dict(definition["network"]) | {key: v for key, v in params.items() if axis_home(key) == "network"}
    own = definition.get("networks", {}).get(plan.get("name"), {})
    budget = definition.get("budget", {})
    widths = (str(budget["channels"]), int(budget["total"])) if "channels" in budget else None
    if not own and widths is None and "field" not in plan and "depth" in plan:
        return plan
    return dict(_worked_out(_items(plan | own), widths))


def network_facts(plan: Mapping[str, Any]) -> dict[str, Any]:
    """What is shown of a network whose sizes are worked out: name, taps, channels, depth, field [samples]."""
    layers = layers_of(network_asked(plan), plan["kernel_size"], plan["channels"], plan["depth"])
    sizes = {name: plan[name] for name in ("name", "kernel_size", "channels", "depth")}
    asked = {"field_asked": plan["field"]} if "field" in plan else {}
    return sizes | {"field": checked_length(network_asked(plan), "receptive_field", layers)} | asked


def made_layers(network: Items, context: str = "") -> tuple[KernelSpec, ...]:
    """What a family is asked for in each layer of a network.

    Args:
        network: its plan, a table as items.
        context: for messages, such as "family siren".
    """
    plan = dict(network)
    layers = layers_of(network_asked(plan), plan["kernel_size"], plan["channels"], plan["depth"], context)
    form = form_of(plan)
    return tuple(made_by(form["layer"], spec, form["tiles"]) for spec in layers)


@functools.lru_cache(maxsize=_KEPT)
def _worked_out(network: Items, widths: tuple[str, int] | None) -> Items:
    plan = dict(network)
    architecture = network_asked(plan)
    plan.setdefault("depth", architecture.depth)
    if "field" in plan:
        given = plan.get("channels")
        plan["kernel_size"] = nearest_below(architecture, plan["field"], given, plan["depth"]).kernel_size
    if widths is not None:
        plan["channels"] = _channels(plan, *widths)
    return _items(plan)


def _channels(plan: Plan, family: str, total: int) -> int:
    """Channels for which a family at its defaults has nearly so many parameters; of two as near, the fewer."""

    def count(channels: int) -> int:
        network = _items(plan | {"channels": channels})
        return reference_count(family, network, PARAMETERS, beside_kernels(network))

    above = 1  # networks are built for this, so none is much wider than needed
    most = max(1, min(MOST_CHANNELS, math.isqrt(MOST_TAPS // plan["kernel_size"])))
    while count(above) < total and above < most:
        above = min(2 * above, most)
    above = bisect.bisect_left(range(above), total, lo=above // 2, key=lambda channels: count(max(1, channels)))
    near = {channels: count(channels) for channels in {max(1, above - 1), max(1, above)}}
    best = min(near, key=lambda channels: (abs(near[channels] - total), channels))
    if 100 * abs(near[best] - total) > PERCENT * total:
        counts = " and ".join(f"{near[channels]:,} at {channels}" for channels in sorted(near))
        why = (
            f"more than {most:,} channels are not tried"
            if best == most and near[best] < total
            else "channels step too far"
        )
        raise KernbenchError(
            f"network {plan['name']} at K = {plan['kernel_size']} cannot have {total:,} parameters within {PERCENT} % "
            f"with {family}: {why} ({counts}); take another budget.total, or another network.field"
        )
    return best


def _items(table: Mapping[str, Any]) -> Items:
    return tuple(sorted(table.items()))


@functools.lru_cache(maxsize=_KEPT)
def beside_kernels(network: Items) -> int:
    """Trainable numbers of a network that no family owns."""
    plan = dict(network)
    return numbers_beside_kernels(
        network_asked(plan), plan["kernel_size"], plan["channels"], plan["depth"], **form_of(plan)
    )


@functools.lru_cache(maxsize=_KEPT)
def reference_count(family: str, network: Items, quantity: str, beside: int) -> int:
    """What a network has with a family at its defaults."""
    unit_gain = dict(network)["gain"] == "unit"
    return beside + kernels_count(find_family(family), made_layers(network), None, quantity, unit_gain=unit_gain)
