"""Scores of a cell in words, for the note of its trial on the dashboard."""

from kernbench.statistics.means import mean_interval
from kernbench.study.cell import SplitFacts
from kernbench.ulm.evaluation.workbench import Scored


def scores_in_words(scored: Scored, test: SplitFacts, tolerance: int) -> list[tuple[str, str]]:
    """Scores of a network as name and text, for the note of its trial.

    Args:
        scored: its scores.
        test: floors of the test lines.
        tolerance: headline tolerance [samples].
    """
    interval = mean_interval(scored.splits["test"].f1[tolerance], bounds=(0, 1))
    spread = (
        f" [{interval.low:.3f}, {interval.high:.3f}], 95 % interval for other lines (not for other seeds)"
        if interval.lines > 1
        else ""
    )
    comb, random = (test.floors[name][tolerance] for name in ("comb", "random"))
    return [
        ("F1 on test lines", f"{interval.mean:.3f}{spread} over {interval.lines} line{'s' * (interval.lines > 1)}"),
        ("tolerance", f"{tolerance} samples"),
        ("blind floors", f"comb {comb:.3f}, random noise {random:.3f}"),
        ("F1 on validation lines", f"{scored.splits['validation'].at(tolerance):.3f}"),
        ("threshold", f"{scored.choice.thresholds[tolerance]:.3g}, chosen on {scored.choice.split} lines"),
    ]
