"""What a trained cell reports: scores, facts of its lines, costs."""

from typing import Any

import torch
from torch import nn

from kernbench.errors import counted, only_warned
from kernbench.host import memory
from kernbench.networks import cost
from kernbench.networks.network import Network, ends_seen, lines_at_once
from kernbench.networks.rates import at_rate
from kernbench.registry import find_network
from kernbench.statistics.means import mean_interval
from kernbench.study.cell import CellContext, LineCounts, Outcome, SplitFacts
from kernbench.study.settings import RESAMPLED
from kernbench.ulm.cells import artifacts
from kernbench.ulm.cells.definition import SPLITS, TASK_VERSION, recipe_of, resolved, scored_digest
from kernbench.ulm.evaluation.predict import predict
from kernbench.ulm.evaluation.rates import TRAINING_MHZ
from kernbench.ulm.evaluation.workbench import Scored, Workbench, common_line
from kernbench.ulm.line import DEFAULT_PULSE
from kernbench.ulm.pairing.decoders import Decoder
from kernbench.ulm.scoring.edges import counts_apart, near_ends
from kernbench.ulm.scoring.floors import blind_floors
from kernbench.ulm.scoring.loss import TrainingLoss
from kernbench.ulm.scoring.plateau import constant_loss, everywhere_f1, mean_loss, on_plateau
from kernbench.ulm.scoring.protocol import PROTOCOL_VERSION
from kernbench.ulm.scoring.rates import moved_tolerances
from kernbench.ulm.scoring.seed_spread import measured_spread


def scored_outcome(
    context: CellContext,
    bench: Workbench,
    scored: Scored,
    matched: dict[str, list[float | None]],
    curve: dict[str, list[Any]],  # Any: nested lists of numbers
    loss: TrainingLoss,
    apart: dict[str, float | None],
) -> Outcome:
    """Scores of a trained network, with what report and dashboard say of them; `apart` is of `edge_scores`."""
    tolerance = context.tolerance
    f1 = {split: evaluation.at(tolerance) for split, evaluation in scored.splits.items()}
    threshold = float(scored.choice.thresholds[tolerance])
    headline = {"f1_matched": matched["f1"][tolerance], "rmse_samples": matched["rmse_samples"][tolerance]}
    facts = {split: split_facts(bench, split) for split in scored.splits}
    stuck = _stuck(bench, scored, tolerance, loss)
    mark = ", on the plateau: no better than a constant output" if stuck else ""
    note: list[tuple[str, str]] = []
    with only_warned("warning: the note of the cell says nothing of its scores", context.observer.note):
        note = _note(scored, facts["test"], context, stuck)
    return Outcome(
        status="ok",
        value=f1["validation"],
        data_digest=scored_digest(context.study.definition, context.params),
        scores={split: LineCounts(each.thresholds, each.tp, each.fn, each.fp) for split, each in scored.splits.items()},
        facts=facts,
        values=headline | apart,
        matched=matched,
        curve=curve,
        summary=f"F1 {f1['test']:.3f} on test lines, {f1['validation']:.3f} on validation lines{mark}",
        attributes={"f1_val": f1["validation"], "f1_test": f1["test"], "threshold": threshold},
        details={
            "oracle_gap": scored.splits["test"].oracle_gap.tolist(),
            "window": bench.splits["test"].voltage.shape[1],
        },
        note=note,
        plateau=stuck,
    )


def edge_scores(bench: Workbench, network: nn.Module, scored: Scored, tolerance: int) -> dict[str, float | None]:
    """F1 of the test lines near their ends and inside, at the frozen threshold of a tolerance."""
    factor = bench.factor("test")
    seen = ends_seen(network if factor == 1 else at_rate(network, factor, resampled=bench.resampled))
    voltage, counts = bench.lines("test")
    near = near_ends(voltage.shape[1], seen, bench.lag("test"))
    threshold = float(scored.choice.thresholds[tolerance])
    (wide,) = moved_tolerances([tolerance], factor).tolist()
    edge, inner = counts_apart(scored.outputs["test"], counts, threshold, wide, near)
    return {"f1_edge": edge.f1, "f1_inner": inner.f1}


def _stuck(bench: Workbench, scored: Scored, tolerance: int, loss: TrainingLoss) -> bool:
    """Whether the network is on the plateau: by its F1 on test lines, and by its loss on validation lines."""
    output, counts = scored.outputs["validation"], bench.at_its_rate("validation").counts
    (reach,) = moved_tolerances([tolerance], bench.factor("test")).tolist()
    return on_plateau(
        scored.splits["test"].at(tolerance),
        everywhere_f1(bench.at_its_rate("test").counts, reach),
        lambda: mean_loss(output, counts, loss),
        lambda: constant_loss(counts, loss),
    )


def weights_facts(
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
    factor = bench.factor("test")
    unusual: dict[str, Any] = {} if factor == 1 else {"test_rate": factor * TRAINING_MHZ}
    unusual |= {"test_kernels": RESAMPLED} if bench.resampled else {}
    unusual |= {"delay": bench.delay} if bench.delay else {}
    pulse = recipe_of(study.definition, "train", context.params).pulse
    unusual |= {} if pulse == DEFAULT_PULSE else {"pulse": pulse}
    unusual |= {} if bench.template is None else {"template": bench.template.tolist()}
    return unusual | {
        "task": {"name": TASK_VERSION, "protocol": PROTOCOL_VERSION},
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
        "network_plugin": find_network(plan["name"]).label,
        "samples": samples,
        "data": {each: recipe_of(study.definition, each, context.params).digest() for each in SPLITS},
        "noise": {
            "percent": bench.noise.level("train"),
            "test_percent": bench.noise.level("test"),
            "seed": bench.noise.seed,
        },
        "evaluation": {"batch": batch, "device": context.device, "threads": torch.get_num_threads()},
        "thresholds": {"split": split, "tolerances": tolerances, "values": scored.choice.thresholds.tolist()},
        "one_to_one": {"split": split, "decoder": Decoder().name, "width": int(width)}
        | {"tolerances": tolerances, "values": matched["threshold"]},
    }


def split_facts(bench: Workbench, split: str) -> SplitFacts:
    """Facts and blind floors of the lines of a split."""
    source = bench.at_its_rate(split)
    length, support = source.voltage.shape[1], source.label_support
    floors = blind_floors(source.counts, factor=bench.factor(split), length=length, support=support)
    return SplitFacts(
        lines={"bubbles": source.bubbles.tolist(), "pressure_pa": source.pressure_pa.tolist()},
        floors={name: floor.mean.tolist() for name, floor in floors.items()},
    )


NOT_SEEDS = "other lines (not for another seed: nothing is known of this profile)"


PLATEAU_NOTE = (
    "plateau",
    "F1 and loss of an output that never changes",
)


def _note(scored: Scored, test: SplitFacts, context: CellContext, stuck: bool) -> list[tuple[str, str]]:
    """Scores as name and text, for the note of the trial on the dashboard."""
    tolerance, study = context.tolerance, context.study
    elsewhere = measured_spread(study.profile, study.definition)
    interval = mean_interval(scored.splits["test"].f1[tolerance], elsewhere.prior, bounds=(0, 1))
    covers = f"other lines and seeds; between seeds: {elsewhere.source}" if interval.over_seeds else NOT_SEEDS
    ends = f" [{interval.low:.3f}, {interval.high:.3f}], 95 % interval for {covers},"
    spread = ends if interval.lines > 1 else ""
    comb, random = (test.floors[name][tolerance] for name in ("comb", "random"))
    return [
        ("F1 on test lines", f"{interval.mean:.3f}{spread} over {counted(interval.lines, 'line')}"),
        ("tolerance", counted(tolerance, "sample")),
        ("blind floors", f"comb {comb:.3f}, random noise {random:.3f}"),
        ("F1 on validation lines", f"{scored.splits['validation'].at(tolerance):.3f}"),
        ("threshold", f"{scored.choice.thresholds[tolerance]:.3g}, chosen on {scored.choice.split} lines"),
        *([PLATEAU_NOTE] if stuck else []),
    ]


def example_of(bench: Workbench, network: Network, scored: Scored, tolerance: int) -> artifacts.Example:
    """The test line with the median number of bubbles, as an example: all networks of a comparison show the same.

    It is shown at the rate of training, as kernels are, whatever the rate at which the test lines are scored. Labels
    are where the network was trained to have them.
    """
    line = common_line(bench.splits["test"].counts)
    voltage, counts = (each[line : line + 1] for each in bench.lines_of_training("test"))
    return artifacts.Example(
        voltage=voltage[0].cpu().numpy(),
        counts=counts[0].cpu().numpy(),
        prediction=predict(network, voltage, bench.device)[0],
        start=int(bench.splits["test"].starts[line]),
        threshold=float(scored.choice.thresholds[tolerance]),
        line=line,
    )


def measured_costs(context: CellContext, network: Network, bench: Workbench) -> dict[str, Any]:
    """Declared costs of a network: parameters, operations, latency, memory."""
    line = bench.lines("validation")[0][:1].unsqueeze(1)  # at the rate of training, whatever that of the test lines
    layers = network.kernel_layers()
    return {
        "n_params": cost.parameter_count(network),
        "params_kernel": sum(cost.parameter_count(layer.kernel_module) for layer in layers),
        "flops_direct": float(cost.flops_forward(network, line.shape[-1], "direct")),
        "flops": float(cost.flops_forward(network, line.shape[-1], "auto")),
        "latency_ms": 1e3 * cost.latency(network, line),
        "peak_memory_mb": memory.peak_memory(context.device) / 2**20,
    }


def layer_rows(network: Network, bench: Workbench) -> list[dict[str, Any]]:
    """What each layer started with and costs, input side first: a row of `layers.csv` each.

    Gains are those before the first step; operations are of one forward pass on one test line.
    """
    length = bench.splits["test"].voltage.shape[1]
    return [
        {
            "layer": each.layer + 1,
            "taps": each.spec.kernel_size,
            "dilation": each.spec.dilation,
            "in_channels": each.spec.in_channels,
            "out_channels": each.spec.out_channels,
            "parameters_kernel": each.kernel,
            "parameters_amplitude": each.amplitude,
            "raw_gain": each.raw_gain,
            "gain": each.gain,
            "flops_direct": float(each.flops("direct")),
            "flops": float(each.flops()),
            "backend": each.backend,
        }
        for each in cost.layer_costs(network, length)
    ]
