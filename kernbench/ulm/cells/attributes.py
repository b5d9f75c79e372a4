"""What the dashboard shows of a scored cell: numbers that sort, and its scores in words."""

from collections.abc import Mapping
from typing import Any

from kernbench.statistics.intervals import bootstrap_mean
from kernbench.study.cell import SplitFacts
from kernbench.study.study import Params
from kernbench.ulm.evaluation.workbench import Scored

# column of the run table -> attribute of the trial
COSTS = {
    "n_params": "params_total",
    "params_kernel": "params_kernel",
    "flops": "flops_fwd",
    "latency_ms": "latency_ms",
    "peak_memory_mb": "peak_mem_mb",
    "epochs": "epochs",
    "resumed_from": "resumed",
}
PAIRED = {"f1_matched": ("one-to-one F1", ".3f"), "rmse_samples": ("localization error, RMSE [samples]", ".2f")}


def sortable(place: Params, measures: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of a trial: its axis values and its costs; what was not measured is left out.

    Args:
        place: axis values, kernel size and seed.
        measures: columns of the run table.
    """
    return dict(place) | {name: measures[key] for key, name in COSTS.items() if measures[key] is not None}


def scores_in_words(
    scored: Scored, test: SplitFacts, tolerance: int, paired: Mapping[str, float]
) -> list[tuple[str, str]]:
    """Scores of a network as name and text, for the note of its trial.

    Args:
        scored: its scores.
        test: floors of the test lines.
        tolerance: headline tolerance [samples].
        paired: one-to-one F1 and localization error, where they exist.
    """
    interval = bootstrap_mean(scored.splits["test"].f1[tolerance])
    spread = f" [{interval.low:.3f}, {interval.high:.3f}], 95 % interval" if interval.lines > 1 else ""
    rows = [
        ("F1 on test lines", f"{interval.mean:.3f}{spread} over {interval.lines} line{'s' * (interval.lines > 1)}"),
        ("tolerance", f"{tolerance} samples"),
        ("blind floors", f"comb {test.comb[tolerance]:.3f}, random noise {test.random[tolerance]:.3f}"),
        ("F1 on validation lines", f"{scored.splits['validation'].at(tolerance):.3f}"),
        ("threshold", f"{scored.choice.thresholds[tolerance]:.3g}, chosen on {scored.choice.split} lines"),
    ]
    return rows + [(name, format(paired[key], form)) for key, (name, form) in PAIRED.items() if key in paired]
