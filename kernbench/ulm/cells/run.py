"""One cell from definition to outcome: data, network, training, evaluation."""

import dataclasses
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from kernbench.errors import DivergedError, KernbenchWarning, counted, only_warned
from kernbench.host import memory
from kernbench.host.memory import return_freed_tensors
from kernbench.kernels.budget import Solution
from kernbench.kernels.bundled import AS_FIRST_RELEASED, is_bundled
from kernbench.networks import weights as weights_module
from kernbench.networks.network import Network, side_of
from kernbench.study.cell import PRUNED, CellContext, Outcome, derived_seed
from kernbench.training.compiling import OFF, compiled
from kernbench.training.loop import fits, train
from kernbench.training.settings import Epoch, Hooks, Settings
from kernbench.ulm.cells import artifacts
from kernbench.ulm.cells.bench_of_cell import bench_of_cell
from kernbench.ulm.cells.definition import (
    make_network,
    pulse_hz_of,
    resolved,
    scored_digest,
    solution_of,
    training_of,
)
from kernbench.ulm.cells.outcome import (
    edge_scores,
    example_of,
    layer_rows,
    measured_costs,
    scored_outcome,
    weights_facts,
)
from kernbench.ulm.cells.plan import network_facts
from kernbench.ulm.cells.training_taken import MEMORY, Taken, take_over
from kernbench.ulm.evaluation.workbench import Scored, Workbench
from kernbench.ulm.scoring.loss import TrainingLoss

State = dict[str, Any]  # of a checkpoint
Kept = tuple[list[Path], artifacts.Draw]  # files of a cell, and what draws their pictures


@dataclasses.dataclass(eq=False)
class Begun:
    """A cell ready to be trained.

    Attributes:
        context: the cell and where it runs.
        network: untrained, on the device.
        before: its kernels.
        bench: the lines.
        seeds: name -> seed of every random stream.
        settings: of training.
        loss: that it minimizes.
        hooks: what training reports and asks.
        state: checkpoint to go on from, or None.
        taken: training of another cell that is the same, or None; the network is trained then.
    """

    context: CellContext
    network: Network
    before: list[artifacts.Floats]
    bench: Workbench
    seeds: dict[str, int]
    settings: Settings
    loss: TrainingLoss
    hooks: Hooks
    state: State | None
    taken: Taken | None


def run_cell(context: CellContext) -> Outcome:
    """Train and evaluate one cell.

    Args:
        context: the cell and where it runs.

    Returns:
        Its outcome; a diverged cell keeps its curve and has no scores, and so does one that was ended early.

    Raises:
        Interrupted: the worker was asked to leave; a checkpoint is saved.
    """
    cell = begin(context)
    settings = cell.settings
    curve: list[Epoch] = []
    scored, status = None, PRUNED
    try:
        curve = _trained(cell) if cell.taken is None else cell.taken.curve
        if len(curve) == settings.epochs:
            scored = cell.bench.scored(cell.network, context.study.definition["evaluation"]["threshold_split"])
        why = f"below the median of its search after {len(curve)} of {counted(settings.epochs, 'epoch')}"
    except DivergedError as error:
        curve, status, why = curve or list(error.curve), "diverged", str(error)
    outcome = _scored(cell, curve, scored) if scored else _unscored(cell, curve, status, why)
    return _with_costs(cell, curve, outcome)


def _trained(cell: Begun) -> list[Epoch]:
    network, bench, order = cell.network, cell.bench, cell.seeds["order"]
    forward = compiled(network, str(cell.context.study.runtime.get("compile", OFF)), cell.context.device)
    data, loss = bench.training_data(), bench.scored_loss(cell.loss)
    return train(network, data, loss, cell.settings, cell.hooks, order_seed=order, resume=cell.state, forward=forward)


def begin(context: CellContext) -> Begun:
    """Network, lines and newest checkpoint of a cell, or the training that it shares with a finished one."""
    definition = context.study.definition
    memory.reset_peak_memory(context.device)
    seeds = {name: derived_seed(name, int(context.params["seed"])) for name in ("initialization", "order")}
    torch.manual_seed(seeds["initialization"])
    network = make_network(context.study, context.params)
    if getattr(network, "recompute", False):  # a network with a module of its own need not be able to
        return_freed_tensors()
    before = artifacts.kernels_of(network)
    network.to(context.device)
    bench = bench_of_cell(definition, context.params, context.device)
    settings, loss = training_of(definition, context.params)
    taken = take_over(
        context, settings.epochs, seeds["initialization"], lambda net: bench.validate(net, loss, context.tolerance)
    )
    digest, state = _checkpoint_digest(context), None
    if taken is None:
        state = _newest(context, network, digest)
    else:
        network = taken.network
    hooks = _hooks(context, bench, settings.epochs, loss, digest, state)
    return Begun(context, network, before, bench, seeds, settings, loss, hooks, state, taken)


def _unscored(cell: Begun, curve: list[Epoch], status: str, why: str) -> Outcome:
    """A cell without scores: its curve and its kernels, and why."""
    context = cell.context

    def kept() -> Kept:
        kernels, side = artifacts.kernels_of(cell.network), side_of(cell.network)
        pulse_hz = pulse_hz_of(context.study.definition, context.params)
        return artifacts.write_diverged(context.scratch, cell.before, kernels, curve, side, pulse_hz)

    files, draw = _kept(context, curve, kept)
    return Outcome(
        status=status,
        value=-math.inf,
        data_digest=scored_digest(context.study.definition, context.params),
        message=why,
        artifacts=files,
        draw=draw,
    )


def _scored(cell: Begun, curve: list[Epoch], scored: Scored) -> Outcome:
    """Scores and files of a trained cell."""
    context, network, bench = cell.context, cell.network, cell.bench
    matched = bench.matched(scored)
    apart = edge_scores(bench, network, scored, context.tolerance)
    outcome = scored_outcome(context, bench, scored, matched, bench.curve(scored), cell.loss, apart)

    def kept() -> Kept:
        example = example_of(bench, network, scored, context.tolerance)
        kernels, side = artifacts.kernels_of(network), side_of(network)
        pulse_hz = pulse_hz_of(context.study.definition, context.params)
        return artifacts.write_all(context.scratch, cell.before, kernels, example, curve, side, pulse_hz)

    files, draw = _kept(context, curve, kept)
    facts = weights_facts(context, network, bench, scored, matched) | {"seeds": cell.seeds | {"data": bench.noise.seed}}
    weights = weights_module.save_weights(context.scratch / weights_module.WEIGHTS, network, facts)
    return dataclasses.replace(outcome, artifacts=[*files, weights], draw=draw)


def _kept(context: CellContext, curve: list[Epoch], keep: Callable[[], Kept]) -> Kept:
    """What a cell leaves to be shown: all, or its curve alone; the scores are the cell's result."""
    kept: list[Kept] = []
    with only_warned("warning: kernels and an example line are not kept", context.observer.note):
        kept.append(keep())
    return kept[0] if kept else (artifacts.write_curve(context.scratch, curve), list)


def _with_costs(cell: Begun, curve: list[Epoch], outcome: Outcome) -> Outcome:
    """The outcome with seeds, costs, and what was trained before an interruption."""
    context = cell.context
    resumed_from = None if cell.state is None else int(cell.state["epoch"])
    plan = resolved(context.study.definition, context.params, "network")
    solution = solution_of(context.study, context.params)
    chosen = {} if solution is None else dict(solution.solved)
    sizes = network_facts(plan) if context.study.sizes_networks else {}
    found = {name: value for name, value in sizes.items() if name != "name"}
    place = chosen | {"kernel_size": plan["kernel_size"]} | found | context.params
    trained_before = resumed_from if cell.taken is None else len(curve)
    earlier = curve[trained_before - 1].seconds if trained_before else 0.0
    costs = measured_costs(context, cell.network, cell.bench)
    if cell.taken is not None and cell.taken.memory_mb is not None:
        costs[MEMORY] = max(costs[MEMORY], cell.taken.memory_mb)
    return dataclasses.replace(
        outcome,
        seeds=cell.seeds | {"data": cell.bench.noise.seed},
        values=costs | dict(outcome.values),
        epochs=len(curve),
        resumed_from=resumed_from,
        earlier_seconds=earlier,
        trained_as="" if cell.taken is None else cell.taken.cell,
        note=[*outcome.note, *([] if cell.taken is None else [("training", f"that of cell {cell.taken.cell}")])],
        attributes=dict(outcome.attributes) | place,
        details=dict(outcome.details)
        | {"layers": layer_rows(cell.network, cell.bench)}
        | ({"network": sizes} if sizes else {})
        | _budget_met(solution),
    )


def _budget_met(solution: Solution | None) -> dict[str, Any]:
    """What was solved for the budget of the study, for the run table; nothing without one."""
    if solution is None:
        return {}
    return {"budget": {"solved": dict(solution.solved), "count": solution.count, "target": solution.target}}


def _checkpoint_digest(context: CellContext) -> str:
    drawn = "".join(f" {name}={context.params[name]}" for name in context.study.tuned)
    plugin = AS_FIRST_RELEASED if is_bundled(context.plugin) else context.plugin
    return f"{context.study.digest} {plugin}{drawn}"  # an edited plugin starts again


def _newest(context: CellContext, network: Network, digest: str) -> State | None:
    """The newest checkpoint that fits."""
    state = context.checkpoints.newest(digest)
    if state is not None and not fits(network, state):
        text = f"checkpoint of cell {context.cell} does not fit its network and is skipped; the cell starts again"
        warnings.warn(text, KernbenchWarning, stacklevel=2)
        return None
    return state


def _hooks(
    context: CellContext, bench: Workbench, epochs: int, loss: TrainingLoss, digest: str, state: State | None
) -> Hooks:
    """What training reports and asks."""

    def save(content: State) -> None:
        context.checkpoints.save(content | {"digest": digest})
        context.saved(content["epoch"])

    first = 0 if state is None else int(state["epoch"])
    if state is not None:
        context.observer.note(f"goes on from epoch {first} of {epochs}, where its checkpoint is")

    def on_epoch(row: Epoch) -> None:
        if row.epoch >= first:  # restored epochs belong to the curve, they are no news
            context.observer.epoch(row.epoch + 1, epochs, row.train_loss, row.val_f1, row.seconds)
        if row.val_f1 is not None:  # after the observer: what it keeps is written together with the score
            context.report(row.epoch, row.val_f1)

    return Hooks(
        validate=lambda net: bench.validate(net, loss, context.tolerance),
        on_epoch=on_epoch,
        stop=context.stop,
        enough=context.enough,
        save=save,
        save_seconds=float(context.study.runtime.get("checkpoint_seconds", Hooks.save_seconds)),
    )
