"""What a comparison says in sentences, and what speaks against trusting it: both computed from the runs."""

import math
from collections import Counter
from collections.abc import Callable, Sequence

from kernbench.errors import counted
from kernbench.report.numbers.comparison import BASELINE, Comparison, Difference
from kernbench.report.numbers.over_sizes import OverSizes, over_sizes
from kernbench.report.numbers.points import BELOW, UNSURE, Point
from kernbench.report.numbers.provenance import provenance
from kernbench.report.numbers.sensitivity import divergence_text
from kernbench.report.numbers.worlds import lines_named_by_axes
from kernbench.statistics.means import Interval
from kernbench.statistics.power import smallest_detectable
from kernbench.store.reading.records import OK, Run
from kernbench.ulm.line import without_rate
from kernbench.ulm.scoring.scores import tolerance_ns, tolerance_um

# The page opens with sentences, not with a second table.
MOST_NAMED = 3
MOST_LISTED = 6
VERDICTS = ("better", "worse", "equivalent", "undecided")


def headline(comparison: Comparison) -> list[str]:
    """The findings of a comparison, most important first.

    Args:
        comparison: its cells, finished or not.

    Returns:
        Sentences in plain text.
    """
    if not comparison.scored:
        return [f"No cell of {comparison.base} has a score yet: {_statuses(comparison.not_ok)}."]
    shown = sorted(comparison.series, key=lambda series: series.rank, reverse=True)[: 1 + MOST_NAMED]
    shown += [
        series for series in comparison.series if series.family == BASELINE and series.scored and series not in shown
    ][:1]
    shown.sort(key=lambda series: (series.family != BASELINE, series.name))  # an order by score would claim a ranking
    names = {series.name for series in shown}
    first, *others = [_score(comparison, series.best) for series in shown if series.best is not None]
    floored = _below_floor(comparison)
    # blind networks differ, too: that is no claim about families
    lead = floored if all(point.place for point in comparison.scored) else _decided(comparison)
    sentences = [
        *lead,
        *_chosen_series(comparison, len(shown)),
        first,
        *(floored if lead is not floored else []),
        *others,
    ]
    sentences += [_trend(row) for row in over_sizes(comparison) if row.decided and row.name in names]
    if comparison.not_ok:
        sentences.append(f"Without a score: {_statuses(comparison.not_ok)}; they are listed below and count.")
    return sentences


def _chosen_series(comparison: Comparison, shown: int) -> list[str]:
    """Which series the sentences on scores are about, where they are not about all; empty if they are."""
    if shown == len(comparison.series):
        return []
    split = "validation" if comparison.best_on_validation else "test"
    also = (
        f", and {BASELINE}" if any(series.family == BASELINE and series.scored for series in comparison.series) else ""
    )
    how = f"selected by F1 on {split} lines, which supports no claim about families{also}"
    return [f"Named with their scores are {shown} of {len(comparison.series)} series, {how}; the table has all."]


def cautions(comparison: Comparison) -> list[str]:
    """What makes the cells of a comparison less comparable than they look.

    Returns:
        Sentences in plain text; empty if nothing was found.
    """
    runs = comparison.runs
    found = [*selected_text(comparison), *_unfinished(runs), *_mixed_settings(runs), *_mixed_environments(runs)]
    found += _without_files(runs)
    scored = comparison.scored
    found += [*divergence_text(comparison), *plateau_text(scored)]
    if scored and min(len(point.scored) for point in scored) == 1:
        found.append(_one_seed(comparison))
    found += _without_reference(comparison)
    if scored and not comparison.best_on_validation:
        found.append("Some cells lack validation scores: points were chosen on the test lines themselves.")
    return found


def _without_reference(comparison: Comparison) -> list[str]:
    """That families are not compared, where there are several and the reference family is none of them."""
    families = sorted({series.family for series in comparison.series if series.scored})
    if len(families) < 2 or BASELINE in families:
        return []
    why = f"differences are from the reference family {BASELINE}, which has no score"
    how = "Run it in the same study, or compare the best of each column with `kernbench report --format markdown`"
    return [f"No difference between {_listed(families)} is tested here: {why}. {how}."]


def selected_text(comparison: Comparison) -> list[str]:
    """That the cells were selected, and how, one sentence; empty if all were read."""
    selected = comparison.runs[0].selected
    return [f"Only cells with {selected} were read; nothing here is about the others."] if selected else []


def plateau_text(points: Sequence[Point]) -> list[str]:
    """Networks that training left where it began; in cells of before that was stored, those without a hit."""
    words = "stayed on the plateau, with F1 and loss of an output that never changes"
    stayed = _those(points, lambda run: run.plateau is not None, words)
    return [*stayed, *_those(points, lambda run: run.plateau is None, "had no hit")]


def _those(points: Sequence[Point], belongs: Callable[[Run], bool], words: str) -> list[str]:
    found = {point.name: sum(map(belongs, point.on_plateau)) for point in points}
    named = [name for name, count in found.items() if count]
    return [f"{counted(sum(found.values()), 'network')} {words}: {_listed(named)}."] if named else []


def spread_text(comparison: Comparison) -> str:
    """What the intervals of a comparison cover, for below a table."""
    if all(point.interval is None or math.isnan(point.interval.low) for point in comparison.scored):
        return "One test line says nothing about the spread over lines: there are no intervals."
    if min(len(point.scored) for point in comparison.scored) == 1:
        return _one_seed(comparison)
    prior = comparison.spread.prior
    source = f"{math.sqrt(prior.variance):.3f} ({comparison.spread.source})" if prior else ""
    deviation = f"; standard deviation between seeds {source}" if prior else ""
    return f"Intervals cover the choice of seeds and of test lines{deviation}."


def _one_seed(comparison: Comparison) -> str:
    prior, several = comparison.spread.prior, max(len(point.scored) for point in comparison.scored) > 1
    lead = "Some cells have one seed: these" if several else "One seed per cell: no family"
    lead += " cannot be called better or worse." if several else " can be called better or worse."
    if prior is None:
        known = "the intervals cover the choice of test lines alone, and nothing is known about how far"
        return f"{lead} As yet {known} two trainings of one cell lie apart."
    least = smallest_detectable(math.sqrt(2 * prior.variance), prior.df)
    return (
        f"{lead} Mean F1 of trainings that differ in nothing but the seed has a standard deviation of about "
        f"{math.sqrt(prior.variance):.3f}, at some points a larger one ({comparison.spread.source}); the intervals "
        f"include it, and seeds alone can move two single trainings apart by {least:.2f}."
    )


def _unfinished(runs: Sequence[Run]) -> list[str]:
    asked = {run.study: run.asked for run in runs}
    ended = Counter(run.study for run in runs)
    missing = {study: count - ended[study] for study, count in asked.items() if count > ended[study]}
    return [
        f"{study} is not finished: {count} of its {counted(asked[study], 'cell')} "
        f"{'has' if count == 1 else 'have'} not ended, which may change these results; "
        "the same `kernbench run` continues with the rest."
        for study, count in missing.items()
    ]


def _without_files(runs: Sequence[Run]) -> list[str]:
    cells, files = sum(run.lacking > 0 for run in runs), sum(run.lacking for run in runs)
    if not files:
        return []
    many, are = f"{counted(files, 'artifact')} of {counted(cells, 'cell')}", "is" if files == 1 else "are"
    where = f"{many} {are} not where the database says: pictures and curves are missing"
    return [f"{where}; make the report in the folder where the study ran; `kernbench storage check` names the files."]


def interval_text(interval: Interval | None, digits: int = 3) -> str:
    """A mean with its interval, "0.801 [0.790, 0.812]"; a dash without scores."""
    if interval is None:
        return "–"
    mean = f"{interval.mean:.{digits}f}"
    if math.isnan(interval.low):
        return mean
    return f"{mean} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def _decided(comparison: Comparison) -> list[str]:
    """What the comparisons with the reference family have decided, and what the others would need."""
    differences = comparison.differences
    seeing = [each for each in differences if not (each.first.place and each.second.place)]
    if not differences:
        return []
    by_verdict = {verdict: [each for each in seeing if each.verdict == verdict] for verdict in VERDICTS}
    named = [each for verdict in ("better", "worse") for each in _first_of(by_verdict[verdict])]
    sentences = [_difference_text(each) for each in named]
    rest = [
        f"{count} {verdict}" for verdict in ("better", "worse") if (count := len(by_verdict[verdict]) - MOST_NAMED) > 0
    ]
    if rest:
        sentences.append(f"Further differences decided: {', '.join(rest)}; see the table.")
    same, open_ = by_verdict["equivalent"], [each for each in differences if each.verdict == "undecided"]
    if same:
        margin = same[0].found.equivalence
        sentences.append(f"Equivalent within ±{margin:g}: {_listed([_pair_text(each) for each in same])}.")
    if open_:
        sentences.append(_undecided(open_, len(differences)))
    return sentences


def _first_of(found: Sequence[Difference]) -> list[Difference]:
    """The few to name: the largest of each family before the second largest of one."""
    by_size = sorted(found, key=lambda each: -abs(each.found.difference))
    return sorted(by_size, key=_later_of_its_family(by_size))[:MOST_NAMED]


def _later_of_its_family(found: Sequence[Difference]) -> Callable[[Difference], int]:
    """How many of the same family come before a difference."""
    seen: Counter[str] = Counter()
    places = {}
    for each in found:
        places[id(each)] = seen[each.first.runs[0].family]
        seen[each.first.runs[0].family] += 1
    return lambda each: places[id(each)]


def _difference_text(each: Difference) -> str:
    found = each.found
    means = f"{each.first.mean_f1(each.first.tolerance):.3f} against {each.second.mean_f1(each.second.tolerance):.3f}"
    return (
        f"{found.difference:+.3f} [{found.low:+.3f}, {found.high:+.3f}] in mean F1: {each.first.name} is "
        f"{each.verdict} than {each.second.runs[0].family}, {means}, {_seeds(found.seeds)}, {p_text(found.p_value)}."
    )


def p_text(value: float) -> str:
    """A p-value for reading, "p = 0.012"; its last digits mean nothing where it is tiny."""
    return "p < 1e-6" if value < 1e-6 else f"p = {value:.2g}"


def _undecided(open_: Sequence[Difference], total: int) -> str:
    smallest = min(each.found.smallest_detectable for each in open_)
    count = f"{len(open_)} of {counted(total, 'comparison')} with {open_[0].second.runs[0].family}"
    text = f"Not decided: {count}; these runs find no difference below {smallest:.3f} reliably"
    if any(min(each.found.seeds) < 2 for each in open_):
        return f"{text}, and one seed supports no claim about families: run more seeds."
    closest = min(open_, key=lambda each: each.found.seeds_needed or math.inf)
    needed = closest.found.seeds_needed or math.inf
    if math.isinf(needed):
        return f"{text}; more test lines are needed, not only more seeds."
    return f"{text}; {_pair_text(closest)} would need about {counted(round(needed), 'seed')} each."


def _pair_text(each: Difference) -> str:
    return f"{each.first.name} and {each.second.runs[0].family}"


def _seeds(seeds: tuple[int, int]) -> str:
    return (
        f"{counted(seeds[0], 'seed')} each" if seeds[0] == seeds[1] else f"{seeds[0]} and {counted(seeds[1], 'seed')}"
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + more


def _score(comparison: Comparison, point: Point) -> str:
    assert point.interval is not None
    t = comparison.tolerance
    split = "validation" if comparison.best_on_validation else "test"
    chosen = f", chosen on the {split} lines" if len(comparison.points) > len(comparison.series) else ""
    below = {BELOW: ", below the blind floor, worse than a blind guess", UNSURE: ", not surely above the blind floor"}
    return (
        f"{interval_text(point.interval)} is the mean F1 of {point.name}{chosen}, on "
        f"{counted(point.interval.lines, 'test line')}, {counted(point.interval.seeds, 'seed')}, at a tolerance of "
        f"{counted(t, 'sample')} ({float(tolerance_ns(t)):.0f} ns, {float(tolerance_um(t)):.1f} µm two-way depth)"
        f"{below.get(point.place, '')}; "
        f"{_against_floor(point)}."
    )


def _against_floor(point: Point) -> str:
    comb, random = point.floors()
    if math.isnan(comb):
        return "with no blind floor stored beside it"
    floor, name = (comb, "a comb") if comb >= random else (random, "random noise")
    scale = f"0 is a blind guess ({name}, F1 {floor:.3f} on the same lines), 1 is perfect"
    return f"a skill of {point.skill:.2f}, where {scale}"


def _trend(row: OverSizes) -> str:
    """How the score changes when a kernel size doubles."""
    change = f"{row.change:+.3f} [{row.change_low:+.3f}, {row.change_high:+.3f}] in mean F1"
    over = f"{'on average over sizes ' if row.sizes > 2 else ''}from {row.smallest} to {row.largest}"
    return f"{change} each time the kernel size doubles, {over}: {row.name} ({p_text(row.p_value)})."


def _below_floor(comparison: Comparison) -> list[str]:
    points = comparison.scored
    below, unsure = ([point for point in points if point.place == place] for place in (BELOW, UNSURE))
    if len(below) + len(unsure) == len(points):
        return [
            "No point is surely above a blind guess: perhaps too few epochs or lines; kernels cannot be compared yet."
        ]
    told = ((below, "below the blind floor, worse than a blind guess"), (unsure, "not surely above the blind floor"))
    return [
        f"{len(named)} of {counted(len(points), 'point')} {'is' if len(named) == 1 else 'are'} {what}: "
        f"{_listed([point.name for point in named])}."
        for named, what in told
        if named
    ]


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
    data = sorted({without_rate(run.data_digest) for run in runs if run.status == OK})
    if len(data) > 1 and lines_named_by_axes(runs):
        found.append("Each value of the axis has lines of its own: verdicts compare families on the same lines only.")
    elif len(data) > 1:
        found.append(f"Cells were tested on different data sets ({', '.join(data)}): their scores cannot be compared.")
    return found


def _mixed_environments(runs: Sequence[Run]) -> list[str]:
    found = provenance(runs)
    sentences = [f"There are several {plugins}: other kernels under one name." for plugins in found.mixed_plugins]
    if found.differing:
        where = f"{len(found.cells)} environments, which differ in {', '.join(found.differing)}"
        sentences.append(f"Cells ran in {where} (table below): times cannot be compared, scores may differ slightly.")
    return sentences
