"""What the report says of a tuned study: searches as rows, sentences and a figure."""

from collections.abc import Collection, Sequence

from kernbench.errors import counted
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.points import TEST, Floats, line_f1, values_text
from kernbench.report.numbers.searches import Search, setting_text, validation_f1, varying
from kernbench.report.numbers.sentences import interval_text
from kernbench.statistics.means import Interval, mean_interval
from kernbench.store.reading.records import OK, PRUNED, Run
from kernbench.study.tuning import DRAW

TextRow = dict[str, str]


def tuning_rows(comparison: Comparison) -> list[TextRow]:
    """Every search: what it spent, the chosen draw, and what it gained over the family's default setting."""
    others = varying(comparison.searches) - {comparison.axis}
    return [_row(comparison, search, others) for search in in_order(comparison)]


def _row(comparison: Comparison, search: Search, others: Collection[str]) -> TextRow:
    chosen, default = search.chosen, search.default
    gain = gain_of(search)
    return {
        "family": search.family,
        "x": str(search.point.get(comparison.axis, "–")),
        "others": values_text({name: value for name, value in search.point.items() if name in others}),
        "draws": _draws(search),
        "epochs": f"{search.epochs:,} of {search.whole_epochs:,}",
        "seconds": f"{search.seconds:,.0f}",
        "chosen": "–" if chosen is None else str(chosen.params[DRAW]),
        "setting": "–" if chosen is None else setting_text(search.setting(chosen)) or "nothing to tune",
        "validation": _mean(chosen),
        "validation_default": _mean(default),
        "test": interval_text(chosen_interval(search)),
        "test_default": "–" if default is None else f"{lines_f1(default).mean():.3f}",
        "gain": "–" if gain is None else f"{gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]",
    }


def tuning_text(comparison: Comparison) -> list[str]:
    """How the points of a tuned study were chosen and what their searches have spent; empty for a grid."""
    if not comparison.searches:
        return []
    search = comparison.searches[0]
    tuning = search.draws[0].definition["tuning"]
    sentences = [
        (
            "Each point is the draw with the highest mean F1 on the validation lines, out of "
            f"{counted(tuning['trials'], 'draw')} by {tuning['sampler']} (seed {tuning['seed']}) at each point and "
            "seed; test lines are not used for it."
        ),
        "The best of many validation scores is biased upwards: compare test scores.",
    ]
    for family in comparison.families:
        sentences += _of_family(family, [each for each in comparison.searches if each.family == family])
    return sentences


def _of_family(family: str, searches: Sequence[Search]) -> list[str]:
    if not searches:
        return []
    first = searches[0]
    draws, due = sum(len(each.draws) for each in searches), sum(each.budget for each in searches)
    spent, whole = (sum(getattr(each, name) for each in searches) for name in ("epochs", "whole_epochs"))
    text = f"{family}: {draws} of {counted(due, 'draw')}, {spent:,} of {whole:,} epoch{'' if whole == 1 else 's'}"
    pruned = sum(each.count(PRUNED) for each in searches)
    if pruned:
        saved = sum(each.saved_epochs for each in searches)
        text += f"; {counted(pruned, 'draw')} ended early and saved {saved:,} epoch{'' if saved == 1 else 's'}"
    if not first.tuned:
        text += "; it has nothing to tune, and the same setting again would give the same score"
    elif first.budget < first.allowed:
        text += f"; it has {counted(first.budget, 'different setting')}, and draws each of them once"
    if draws < due:
        text += "; its searches are not finished"
    return [text + "."]


def gain_of(search: Search) -> Interval | None:
    """Test F1 of the chosen draw minus that of the default setting, paired by line; None where one has no score.

    The interval covers the choice of lines alone: a search is one training of each.
    """
    if search.chosen is None or search.default is None or not search.tuned:
        return None
    return mean_interval(lines_f1(search.chosen) - lines_f1(search.default))


def chosen_interval(search: Search) -> Interval | None:
    """Test F1 of the chosen draw; the interval covers the choice of lines alone. None without a chosen draw."""
    return None if search.chosen is None else mean_interval(lines_f1(search.chosen), bounds=(0, 1))


def lines_f1(run: Run) -> Floats:
    """F1 of each test line at the headline tolerance, (N,)."""
    return line_f1(run.scores[TEST], run.tolerance)


def _draws(search: Search) -> str:
    text = f"{len(search.draws)} of {search.budget}"
    kinds = sorted({run.status for run in search.draws} - {OK})
    return ", ".join([text, *(f"{search.count(kind)} {kind}" for kind in kinds)])


def _mean(run: Run | None) -> str:
    found = None if run is None else validation_f1(run)
    return "–" if found is None else f"{found:.3f}"


def in_order(comparison: Comparison) -> list[Search]:
    """By family, then along the axis, then by what else there is."""

    def place(search: Search) -> tuple[str, float, str]:
        x = search.point.get(comparison.axis)
        number = float(x) if isinstance(x, int | float) else float("inf")
        return search.family, number, repr(sorted(search.point.items()))

    return sorted(comparison.searches, key=place)
