"""What a comparison says in sentences, and what stands against trusting it: both computed from the runs."""

import math
from collections import Counter
from collections.abc import Sequence

from kernbench.report.numbers.comparison import Comparison, Series
from kernbench.report.numbers.points import Point
from kernbench.report.numbers.provenance import provenance
from kernbench.statistics.intervals import Interval, bootstrap_difference
from kernbench.store.reading.records import OK, Run
from kernbench.ulm.scoring.scores import tolerance_ns, tolerance_um

# The page opens with sentences, not with a second table.
MOST_NAMED = 3
MOST_LISTED = 6


def headline(comparison: Comparison) -> list[str]:
    """The findings of a comparison, most important first.

    Args:
        comparison: its cells, finished or not.

    Returns:
        Sentences in plain text.
    """
    if not comparison.scored:
        return [f"No cell of {comparison.base} has a score yet: {_statuses(comparison.not_ok)}."]
    ranked = sorted(
        (series for series in comparison.series if series.best is not None), key=validation_rank, reverse=True
    )
    sentences = [_winner(comparison, ranked[0])]
    sentences += [_runner_up(ranked[0], other) for other in ranked[1 : 1 + MOST_NAMED]]
    sentences += [_trend(each, comparison.axis) for each in ranked[: 1 + MOST_NAMED] if len(each.scored) > 1]
    sentences += _below_floor(comparison)
    if comparison.not_ok:
        sentences.append(f"Without a score: {_statuses(comparison.not_ok)}; they are listed below and count.")
    return sentences


def cautions(comparison: Comparison) -> list[str]:
    """What makes the cells of a comparison less comparable than they look.

    Returns:
        Sentences in plain text; empty if nothing was found.
    """
    runs = comparison.runs
    found = [*_unfinished(runs), *_mixed_settings(runs), *_mixed_environments(runs), *_without_files(runs)]
    scored = comparison.scored
    if scored and max(len(point.scored) for point in scored) == 1:
        found.append(
            "One seed per cell: the intervals cover the choice of test lines only, not the spread between trainings."
        )
    if scored and not comparison.best_on_validation:
        found.append("Some cells lack validation scores: the best points were chosen on the test lines themselves.")
    return found


def _unfinished(runs: Sequence[Run]) -> list[str]:
    asked = {run.study: run.asked for run in runs}
    ended = Counter(run.study for run in runs)
    missing = {study: count - ended[study] for study, count in asked.items() if count > ended[study]}
    return [
        f"{study} is not finished: {count} of its {asked[study]} cells {'has' if count == 1 else 'have'} not ended, "
        "which may change what stands here; the same `kernbench run` goes on with the rest."
        for study, count in missing.items()
    ]


def _without_files(runs: Sequence[Run]) -> list[str]:
    cells, files = sum(run.lacking > 0 for run in runs), sum(run.lacking for run in runs)
    if not files:
        return []
    said = (
        f"{files} artifacts of {cells} cells are not where the database says: their pictures and curves are missing; "
    )
    return [said + "make the report in the folder where the study ran; `kernbench storage check` names the files."]


def interval_text(interval: Interval | None, digits: int = 3) -> str:
    """A mean with its interval, "0.801 [0.790, 0.812]"; a dash without scores."""
    if interval is None:
        return "–"
    mean = f"{interval.mean:.{digits}f}"
    if math.isnan(interval.low):
        return mean
    return f"{mean} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def validation_rank(series: Series) -> float:
    """F1 of its best point on the validation lines, or on the test lines where they are missing; -inf without any."""
    point = series.best
    if point is None or point.interval is None:
        return float("-inf")
    return point.interval.mean if point.validation is None else point.validation


def _winner(comparison: Comparison, series: Series) -> str:
    point = series.best
    assert point is not None
    assert point.interval is not None
    t = comparison.tolerance
    seeds = f" and {point.interval.seeds} seeds" if point.interval.seeds > 1 else ""
    split = "validation" if comparison.best_on_validation else "test"
    below = "" if point.skill >= 0 else ", but is below the blind floor"
    return (
        f"{point.name} scores highest on the {split} lines{below}; "
        f"its mean F1 on {point.interval.lines} test lines{seeds} is "
        f"{interval_text(point.interval)} at a tolerance of {t} samples "
        f"({float(tolerance_ns(t)):.0f} ns, {float(tolerance_um(t)):.1f} µm two-way depth), {_against_floor(point)}."
    )


def _against_floor(point: Point) -> str:
    comb, random = point.floors()
    if math.isnan(comb):
        return "with no blind floor stored beside it"
    floor, name = (comb, "a blind comb") if comb >= random else (random, "random noise")
    return f"skill {point.skill:.2f} relative to the blind floor ({name}, {floor:.3f} on the same lines)"


def _runner_up(winner: Series, other: Series) -> str:
    first, second = winner.best, other.best
    assert first is not None
    assert second is not None
    text = f"{second.name} reaches {interval_text(second.interval)}"
    if first.f1().shape != second.f1().shape or first.scored[0].data_digest != second.scored[0].data_digest:
        return f"{text}; it has other lines or seeds, so no paired difference is given."
    difference = bootstrap_difference(first.f1(), second.f1())
    low, high = difference.low, difference.high
    verdict = "more than" if low > 0 or high < 0 else "within what"
    return (
        f"{text}, {abs(difference.mean):.3f} {'less' if difference.mean >= 0 else 'more'} on the same lines "
        f"(paired 95 % interval of the difference {low:+.3f} to {high:+.3f}): {verdict} the choice of lines explains."
    )


def _trend(series: Series, axis: str) -> str:
    points = [point for point in series.scored if point.interval is not None and point.x is not None]
    means = {point.x: point.interval.mean for point in points if point.interval is not None}
    if len(means) < 2:
        return f"{series.name} has one point on the axis {axis}."
    top, bottom = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
    return (
        f"Along {axis}, {series.name} is highest at {top} ({means[top]:.3f}) and lowest at {bottom} "
        f"({means[bottom]:.3f})."
    )


def _below_floor(comparison: Comparison) -> list[str]:
    below = [[point for point in series.scored if point.skill < 0] for series in comparison.series]
    named = [
        f"{series.name} ({', '.join(str(point.x) for point in points)})"
        for series, points in zip(comparison.series, below, strict=True)
        if points
    ]
    if not named:
        return []
    more = f" and {len(named) - MOST_LISTED} more" if len(named) > MOST_LISTED else ""
    count, total = sum(map(len, below)), len(comparison.scored)
    if count == total:
        return ["No point beats a blind guess: perhaps too few epochs or lines; nothing here compares kernels yet."]
    listed = ", ".join(named[:MOST_LISTED]) + more
    verb = "is" if count == 1 else "are"
    return [f"{count} of {total} points {verb} below the blind floor, worse than a blind guess: {listed}."]


def _statuses(runs: Sequence[Run]) -> str:
    names = [run.status for run in runs]
    return ", ".join(f"{names.count(name)} {name}" for name in sorted(set(names))) or "none has finished"


def _mixed_settings(runs: Sequence[Run]) -> list[str]:
    """Cells of one comparison that were not given the same task."""
    found = []
    for study in sorted({run.study for run in runs}):
        digests = sorted({run.digest for run in runs if run.study == study})
        if len(digests) > 1:
            found.append(f"{study} mixes runs of different definitions ({', '.join(digests)}): do not compare them.")
    settings = sorted({run.settings_digest for run in runs if run.settings_digest})
    if len(settings) > 1:
        families = {key: sorted({run.family for run in runs if run.settings_digest == key}) for key in settings}
        groups = "; ".join(f"{', '.join(names)}: {key}" for key, names in families.items())
        found.append(f"Families were run with different settings ({groups}): differences may come from those.")
    data = sorted({run.data_digest for run in runs if run.status == OK})
    if len(data) > 1:
        found.append(f"Cells were tested on different data sets ({', '.join(data)}): their scores do not compare.")
    return found


def _mixed_environments(runs: Sequence[Run]) -> list[str]:
    found = provenance(runs)
    sentences = [f"There are several {plugins}: other kernels under one name." for plugins in found.mixed_plugins]
    if found.differing:
        where = f"{len(found.cells)} environments, which differ in {', '.join(found.differing)}"
        sentences.append(f"Cells ran in {where} (table below): times do not compare, scores may differ slightly.")
    return sentences
