"""One cell from definition to outcome: data, network, training, evaluation.

The only module that knows both the task (`kernbench.ulm`) and the engine.
"""

import dataclasses
import functools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from kernbench import artifacts
from kernbench.errors import DivergedError, KernbenchWarning
from kernbench.evaluation import Scored, Workbench, median_line
from kernbench.host import memory
from kernbench.host.files import sha256_of
from kernbench.host.memory import return_freed_tensors
from kernbench.kernels.family import KernelFamily
from kernbench.networks import cost
from kernbench.networks import weights as weights_module
from kernbench.networks.network import Network, build, lines_at_once
from kernbench.shown import scores_in_words, sortable
from kernbench.store.files import checkpoints
from kernbench.store.reading.stored_study import Stored
from kernbench.study.cell import PRUNED, CellContext, LineCounts, Outcome, SplitFacts, derived_seed
from kernbench.study.reading import load_study, study_of
from kernbench.study.settings import axis_home
from kernbench.study.study import Params, Study
from kernbench.training.compiling import OFF, compiled
from kernbench.training.loop import fits, train
from kernbench.training.settings import Epoch, Hooks, Settings
from kernbench.ulm.dataset import Recipe, load_split
from kernbench.ulm.decoders import Decoder
from kernbench.ulm.floors import comb_f1, random_f1
from kernbench.ulm.protocol import PROTOCOL_VERSION

TASK = "ulm-1d.1"  # raised when the meaning of a score changes
SPLITS = ("train", "validation", "test")

Progress = Callable[[str, int, int], None]


def load(name: str, family: KernelFamily, profile: str) -> Study:
    """A study, with what the task adds to its definition: versions and the digest of the data.

    Raises:
        StudyError: see `kernbench.study.reading.load_study`.
    """
    return _with_facts(load_study(name, family, profile))


def restored(stored: Stored, family: KernelFamily) -> Study:
    """A study of a database as this installation reads it; that it means the same is checked by the caller.

    Raises:
        StudyError: a setting or a value that this installation does not know.
    """
    return _with_facts(study_of(stored.table, stored.name, family, stored.profile, stored.source))


def _with_facts(study: Study) -> Study:
    facts = {"task": TASK, "protocol": PROTOCOL_VERSION, "recipe": data_digest(study.definition)}
    return dataclasses.replace(study, definition=study.definition | facts)


def data_digest(definition: dict[str, Any]) -> str:
    """Name of the lines of a study: the recipe's digest, or one of two recipes where the test lines have their own."""
    digests = sorted({recipe_of(definition, split).digest() for split in SPLITS})
    return digests[0] if len(digests) == 1 else sha256_of("+".join(digests), 12)


def recipe_of(definition: dict[str, Any], split: str = "train") -> Recipe:
    """Data recipe of a split; noise is added when lines are loaded, so it is no part of it."""
    data = definition["data"]
    return Recipe(
        lines={split: data[split] for split in SPLITS},
        window=data["window"] or None,
        population=(split == "test" and data["test_population"]) or data["population"],
        seed=data["seed"],
        transmit_response=data["transmit_response"] or None,
        receive_response=data["receive_response"] or None,
    )


def resolved(definition: dict[str, Any], params: Params, table: str) -> dict[str, Any]:
    """Settings of one table for one cell: the definition's, and the cell's where they are axes."""
    return dict(definition[table]) | {name: value for name, value in params.items() if axis_home(name) == table}


def make_network(study: Study, params: Params) -> Network:
    """The untrained network of a cell; weights come from torch's global generator.

    Raises:
        KernbenchError, PluginError: see `kernbench.networks.build`.
    """
    plan, hyper = resolved(study.definition, params, "network"), hyper_of(study, params)
    size, channels, depth = plan["kernel_size"], plan["channels"], plan["depth"]
    network = build(plan["name"], study.family, size, channels, hyper, depth, plan["gain"])
    network.recompute = bool(study.runtime.get("recompute", False))
    return network


def hyper_of(study: Study, params: Params) -> dict[str, Any]:
    """Hyper-parameters of the family for one cell."""
    own = [*(name for name in study.axes if axis_home(name) is None), *study.tuned]
    return dict(study.definition["kernel"]["hyper"]) | {name: params[name] for name in own}


def prepare(study: Study, device: str, progress: Progress) -> None:
    """Make sure that all splits are in the cache.

    Args:
        study: the study.
        device: where to simulate.
        progress: called as progress(split, bubbles done, bubbles in all).
    """
    for split in SPLITS:
        recipe = recipe_of(study.definition, split)
        load_split(recipe, split, device=device, progress=functools.partial(progress, split))


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
        hooks: what training tells and asks.
        state: checkpoint to go on from, or None.
    """

    context: CellContext
    network: Network
    before: list[artifacts.Floats]
    bench: Workbench
    seeds: dict[str, int]
    settings: Settings
    hooks: Hooks
    state: checkpoints.State | None


class _EnoughError(Exception):
    """Training was ended early: there is nothing to score."""

    curve: Sequence[Epoch] = ()


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
    network, bench, settings, order = cell.network, cell.bench, cell.settings, cell.seeds["order"]
    forward = compiled(network, str(context.study.runtime.get("compile", OFF)), context.device)
    data = bench.training_data()
    curve: list[Epoch] = []
    try:
        curve = train(network, data, settings, cell.hooks, order_seed=order, resume=cell.state, forward=forward)
        if len(curve) < settings.epochs:
            raise _EnoughError(f"below the median of its search after {len(curve)} of {settings.epochs} epochs")
        scored = bench.scored(network, context.study.definition["evaluation"]["threshold_split"])
    except (DivergedError, _EnoughError) as error:
        curve = curve or list(error.curve)
        outcome = _unscored(cell, curve, error)
    else:
        outcome = _scored(cell, curve, scored)
    return _with_costs(cell, curve, outcome)


def begin(context: CellContext) -> Begun:
    """Network, lines and newest checkpoint of a cell."""
    definition = context.study.definition
    memory.reset_peak_memory(context.device)
    seeds = {name: derived_seed(name, int(context.params["seed"])) for name in ("initialization", "order")}
    torch.manual_seed(seeds["initialization"])
    network = make_network(context.study, context.params)
    if network.recompute:
        return_freed_tensors()
    before = artifacts.kernels_of(network)
    network.to(context.device)
    splits = {split: load_split(recipe_of(definition, split), split, device=context.device) for split in SPLITS}
    data = resolved(definition, context.params, "data")
    seed = recipe_of(definition).seed
    bench = Workbench(splits, data["noise_percent"], seed, context.device, data["test_noise_percent"])
    settings = Settings(**resolved(definition, context.params, "training"))
    hooks, state = _hooks(context, network, bench, settings)
    return Begun(context, network, before, bench, seeds, settings, hooks, state)


def _unscored(cell: Begun, curve: list[Epoch], error: DivergedError | _EnoughError) -> Outcome:
    """A cell without scores: its curve and its kernels, and why."""
    context, after = cell.context, artifacts.kernels_of(cell.network)
    return Outcome(
        status="diverged" if isinstance(error, DivergedError) else PRUNED,
        value=-math.inf,
        data_digest=data_digest(context.study.definition),
        message=str(error),
        artifacts=artifacts.write_diverged(context.scratch, cell.before, after, curve),
    )


def _scored(cell: Begun, curve: list[Epoch], scored: Scored) -> Outcome:
    """Scores and files of a trained cell."""
    context, network, bench = cell.context, cell.network, cell.bench
    matched = bench.matched(network, context.study.definition["evaluation"]["threshold_split"])
    outcome = _scored_outcome(context, bench, scored, {"matched": matched, "curve": bench.curve(network)})
    example = _example(bench, network, scored, context.tolerance)
    files = artifacts.write_all(context.scratch, cell.before, artifacts.kernels_of(network), example, curve)
    facts = _weights_facts(context, network, bench, scored, matched) | {"seeds": cell.seeds | {"data": bench.seed}}
    kept = weights_module.save_weights(context.scratch / weights_module.WEIGHTS, network, facts)
    return dataclasses.replace(outcome, artifacts=[*files, kept])


def _with_costs(cell: Begun, curve: list[Epoch], outcome: Outcome) -> Outcome:
    """The outcome with seeds, costs, and what was trained before an interruption."""
    context = cell.context
    resumed_from = None if cell.state is None else int(cell.state["epoch"])
    measures = {"epochs": len(curve), "resumed_from": resumed_from, "tolerance": context.tolerance}
    measures |= _costs(context, cell.network, cell.bench)
    kernel_size = resolved(context.study.definition, context.params, "network")["kernel_size"]
    place = {"kernel_size": kernel_size} | context.params
    earlier = curve[resumed_from - 1].seconds if resumed_from else 0.0
    return dataclasses.replace(
        outcome,
        seeds=cell.seeds | {"data": cell.bench.seed},
        measures=measures,
        attributes=dict(outcome.attributes) | sortable(place, measures),
        details=dict(outcome.details) | {"earlier_seconds": earlier, "runtime": dict(context.study.runtime)},
    )


def _hooks(
    context: CellContext, network: Network, bench: Workbench, settings: Settings
) -> tuple[Hooks, checkpoints.State | None]:
    """What training tells and asks, and the newest checkpoint that fits."""
    drawn = "".join(f" {name}={context.params[name]}" for name in context.study.tuned)
    digest = f"{context.study.digest} {context.plugin}{drawn}"  # an edited plugin starts again
    state = checkpoints.load_newest(context.checkpoints, context.key, digest)
    if state is not None and not fits(network, state):
        text = f"checkpoint of cell {context.cell} does not fit its network and is skipped; the cell starts again"
        warnings.warn(text, KernbenchWarning, stacklevel=2)
        state = None
    path = context.checkpoints / f"{context.key}.{context.trial}.pt"

    def save(content: checkpoints.State) -> None:
        checkpoints.save(path, content | {"digest": digest})
        context.saved(content["epoch"])

    first = 0 if state is None else int(state["epoch"])
    if state is not None:
        context.observer.note(f"goes on from epoch {first} of {settings.epochs}, where its checkpoint is")

    def on_epoch(row: Epoch) -> None:
        if row.val_f1 is not None:
            context.report(row.epoch, row.val_f1)
        if row.epoch >= first:  # restored epochs belong to the curve, they are no news
            context.observer.epoch(row.epoch + 1, settings.epochs, row.train_loss, row.val_f1, row.seconds)

    hooks = Hooks(
        validate=lambda net: bench.look(net, settings, context.tolerance),
        on_epoch=on_epoch,
        stop=context.stop,
        enough=context.enough,
        save=save,
        save_seconds=float(context.study.runtime.get("checkpoint_seconds", Hooks.save_seconds)),
    )
    return hooks, state


def _scored_outcome(
    context: CellContext,
    bench: Workbench,
    scored: Scored,
    details: dict[str, dict[str, list[Any]]],  # Any: JSON
) -> Outcome:
    tolerance, matched = context.tolerance, details["matched"]
    f1 = {split: evaluation.at(tolerance) for split, evaluation in scored.splits.items()}
    threshold = float(scored.choice.thresholds[tolerance])
    headline = {"f1_matched": matched["f1"][tolerance], "rmse_samples": matched["rmse_samples"][tolerance]}
    pairs = {name: value for name, value in headline.items() if value is not None}
    facts = {split: _facts(bench, split) for split in scored.splits}
    return Outcome(
        status="ok",
        value=f1["validation"],
        data_digest=data_digest(context.study.definition),
        scores={split: LineCounts(each.thresholds, each.tp, each.fn, each.fp) for split, each in scored.splits.items()},
        facts=facts,
        attributes={"f1_val": f1["validation"], "f1_test": f1["test"], "threshold": threshold} | pairs,
        details=details
        | {
            "summary": f"F1 {f1['test']:.3f} on test lines, {f1['validation']:.3f} on validation lines",
            "oracle_gap": scored.splits["test"].oracle_gap.tolist(),
            "window": bench.splits["test"].voltage.shape[1],
        },
        note=scores_in_words(scored, facts["test"], tolerance, pairs),
    )


def _weights_facts(
    context: CellContext, network: Network, bench: Workbench, scored: Scored, matched: dict[str, list[float | None]]
) -> dict[str, Any]:
    """What `weights.pt` says about a network: enough to rebuild it and to score it on the same lines."""
    study = context.study
    plan = resolved(study.definition, context.params, "network")
    tolerances = scored.choice.tolerances.tolist()
    split, width = scored.choice.split, matched["width"][0]
    samples = bench.splits["test"].voltage.shape[1]
    batch = lines_at_once(network, samples, context.device)
    assert width is not None  # a width is always chosen
    return {
        "task": {"name": TASK, "protocol": PROTOCOL_VERSION},
        "study": study.key,
        "digest": study.digest,
        "cell": context.cell,
        "params": dict(context.params),
        "family": {
            "name": study.family.name,
            "plugin": context.plugin,
            "hyper": network.kernel_layers()[0].kernel_module.hyper,
        },
        "network": plan,
        "samples": samples,
        "data": {each: recipe_of(study.definition, each).digest() for each in SPLITS},
        "noise": {"percent": bench.level("train"), "test_percent": bench.level("test"), "seed": bench.seed},
        "evaluation": {"batch": batch, "device": context.device, "threads": torch.get_num_threads()},
        "thresholds": {"split": split, "tolerances": tolerances, "values": scored.choice.thresholds.tolist()},
        "one_to_one": {"split": split, "decoder": Decoder().name, "width": int(width)}
        | {"tolerances": tolerances, "values": matched["threshold"]},
    }


def _facts(bench: Workbench, split: str) -> SplitFacts:
    source = bench.splits[split]
    counts = np.asarray(source.counts)
    return SplitFacts(
        bubbles=[int(number) for number in source.bubbles],
        pressure_pa=[float(pressure) for pressure in source.pressure_pa],
        comb=comb_f1(counts).mean(axis=1).tolist(),
        random=random_f1(counts, seed=bench.seed).mean(axis=1).tolist(),
    )


def _example(bench: Workbench, network: Network, scored: Scored, tolerance: int) -> artifacts.Example:
    line = median_line(scored.splits["test"], tolerance)
    split = bench.splits["test"]
    return artifacts.Example(
        voltage=bench.lines("test")[0][line].cpu().numpy(),
        counts=bench.lines("test")[1][line].cpu().numpy(),
        prediction=bench.prediction(network, "test", line),
        start=int(split.starts[line]),
        threshold=float(scored.choice.thresholds[tolerance]),
        line=line,
    )


def _costs(context: CellContext, network: Network, bench: Workbench) -> dict[str, Any]:
    line = bench.lines("test")[0][:1].unsqueeze(1)
    layers = network.kernel_layers()
    return {
        "n_params": cost.parameter_count(network),
        "params_kernel": sum(cost.parameter_count(layer.kernel_module) for layer in layers),
        "flops": float(cost.flops_forward(network, line.shape[-1], "auto")),
        "latency_ms": 1e3 * cost.latency(network, line),
        "peak_memory_mb": memory.peak_memory(context.device) / 2**20,
    }
