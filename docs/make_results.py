"""Puts the numbers of docs/data/results into the pages of docs: `python docs/make_results.py [--check]`.

The folder is what `kernbench storage export` wrote. A page holds places of this form, in a line or around a table; what
stands between the two comments is made again:

    <!-- data: k_sweep.v1.quick f1 siren 65 -->0.810 [0.779, 0.841]<!-- / -->

The words are a study, one of `KINDS`, and what it takes. `claim` names the verdict that the sentence around it rests
on, and refuses data that say another. `figure` is drawn into docs/img, and keeps the digest of the data that it shows.
"""

import re
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from result_pictures import FIGURES, IMG, draw, is_current, picture_name

from kernbench.errors import KernbenchError, close_match
from kernbench.report.numbers.comparison import Comparison, Difference, comparisons
from kernbench.report.numbers.gains import gains
from kernbench.report.numbers.matrix import matrix
from kernbench.report.numbers.orders import NOUNS, FamilyOrders, family_orders, orders_text, place_name, rank_rows
from kernbench.report.numbers.over_sizes import over_sizes
from kernbench.report.numbers.points import Point, Value
from kernbench.statistics.ranks import ranks
from kernbench.store.database.url import resolve_source
from kernbench.store.reading.several import load_several

DOCS = Path(__file__).parent
DATA = DOCS / "data" / "results"
PLACE = re.compile(r"<!-- data: (?P<words>[^>]+?) -->(?P<shown>.*?)<!-- / -->", re.DOTALL)
GAINED = {
    "better": "gains more",
    "worse": "gains less",
    "equivalent": "the same within 0.01",
    "undecided": "not decided",
}
OPEN = ("blind", "undecided")  # verdicts that decide nothing
SAID = {"blind": "both blind", "undecided": "not decided", "equivalent": "equivalent within 0.01"}


def points_at(comparison: Comparison, at: Sequence[str]) -> list[Point]:
    """Points with a score at a value of the axis; "pulse=REF" names the value of another axis.

    Raises:
        KernbenchError: no point has these values.
    """
    named = dict(_value(comparison, word) for word in at)
    if len(named) < len(at):
        raise KernbenchError(f"{comparison.base}: two values of one axis, {_where(comparison, at)}")
    found = [
        point
        for point in comparison.scored
        if all(str(point.params.get(name)) == value for name, value in named.items())
    ]
    if not found:
        raise KernbenchError(f"{comparison.base}: no score at {_where(comparison, at)}")
    return found


def point_of(comparison: Comparison, family: str, at: Sequence[str]) -> Point:
    """The one point of a family at these values."""
    of_all = points_at(comparison, at)
    found = [point for point in of_all if point.runs[0].family == family]
    if not found:
        raise KernbenchError(f"{comparison.base}: no score of {family} at {_where(comparison, at)}")
    if len(found) > 1:
        several = "; ".join(point.name for point in found)
        raise KernbenchError(f"{comparison.base}: {_where(comparison, at)} is not one point: {several}")
    return found[0]


def difference_of(comparison: Comparison, family: str, at: Sequence[str]) -> Difference:
    """What may be said of a family against the reference family at these values."""
    point = point_of(comparison, family, at)
    for each in comparison.differences:
        if each.first is point:
            return each
    raise KernbenchError(f"{comparison.base}: {family} at {_where(comparison, at)} is compared with nothing")


def _value(comparison: Comparison, word: str) -> tuple[str, str]:
    name, _, value = word.rpartition("=")
    return name or comparison.axis, value


def _where(comparison: Comparison, at: Sequence[str]) -> str:
    return ", ".join(word.replace("=", " = ") if "=" in word else f"{comparison.axis} = {word}" for word in at)


def f1_text(point: Point | None) -> str:
    """Mean F1 with its interval."""
    if point is None or point.interval is None:
        return "–"
    blind = {"below": ", below blind", "unsure": ", perhaps blind"}.get(point.place, "")
    return f"{point.interval.mean:.3f} [{point.interval.low:.3f}, {point.interval.high:.3f}]{blind}"


def difference_text(each: Difference) -> str:
    """Difference, its interval and the verdict."""
    found = each.found
    return f"{found.difference:+.3f} [{found.low:+.3f}, {found.high:+.3f}], {SAID.get(verdict(each), verdict(each))}"


def verdict(each: Difference) -> str:
    """The verdict on a difference; none on one of two blind networks."""
    return "blind" if each.blind else each.verdict


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, between empty lines."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n\n"


def f1(comparison: Comparison, family: str, *at: str) -> str:
    """FAMILY VALUE ...: mean F1 with its interval."""
    return f1_text(point_of(comparison, family, at))


def versus(comparison: Comparison, family: str, *at: str) -> str:
    """FAMILY VALUE ...: the difference from the reference family, with interval and verdict."""
    return difference_text(difference_of(comparison, family, at))


def claim(comparison: Comparison, word: str, family: str, *at: str) -> str:
    """VERDICT FAMILY VALUE ...: the same; refused where the data do not say this verdict."""
    found = difference_of(comparison, family, at)
    if verdict(found) != word:
        text = difference_text(found)
        raise KernbenchError(
            f"{comparison.base}: {family} at {_where(comparison, at)} was said to be {word}; the data say {text}"
        )
    return difference_text(found)


def cells(comparison: Comparison) -> str:
    """How many cells ended, of how many families."""
    return f"{len(comparison.runs):,} cells of {len(comparison.families)} families"


def scores(comparison: Comparison) -> str:
    """Families as rows, values of the axis as columns: F1 with intervals, and how many seeds."""
    found = matrix(comparison)
    rows = [
        [name, *(f"{f1_text(point)} ({len(point.scored)})" if point and point.scored else "–" for point in points)]
        for name, points in found.rows.items()
    ]
    columns = [place_name({comparison.axis: value}, [comparison.axis]) for value in found.columns]
    return table(["family", *columns], rows)


def differences(comparison: Comparison, only: str = "") -> str:
    """Differences from the reference family, all or those "decided", with what these runs could have found."""
    if only not in ("", "decided"):
        raise KernbenchError(f'{comparison.base}: differences takes "decided" or nothing, not {only!r}')
    shown = [each for each in comparison.differences if not only or verdict(each) not in OPEN]
    rows = [
        [
            each.first.name_without([comparison.axis]),
            str(each.first.x),
            f"{each.found.difference:+.3f} [{each.found.low:+.3f}, {each.found.high:+.3f}]",
            f"{each.found.p_value:.3g}",
            SAID.get(verdict(each), verdict(each)),
            f"{each.found.smallest_detectable:.3f}",
        ]
        for each in shown
    ]
    of_axis = NOUNS.get(comparison.axis, comparison.axis)
    header = ["family", of_axis, "difference from discrete", "p (Holm)", "verdict", "would have been found"]
    return table(header, rows)


def decided(comparison: Comparison) -> str:
    """How many of the differences from the reference family have a verdict."""
    verdicts = [verdict(each) for each in comparison.differences]
    return f"{sum(word not in OPEN for word in verdicts)} of {len(verdicts)}"


def gained(comparison: Comparison, at: str) -> str:
    """VALUE: what each family gains over the reference family at the other values, measured from this one."""
    found = gains(comparison, _axis_value(comparison, at))
    rows = [
        [
            each.name,
            str(each.x),
            f"{each.value:+.3f} [{each.low:+.3f}, {each.high:+.3f}]",
            f"{each.p_value:.3g}",
            GAINED[each.verdict],
        ]
        for each in found
    ]
    return table(
        ["family", NOUNS.get(comparison.axis, comparison.axis), f"gain from {at}", "p (Holm)", "verdict"], rows
    )


def _axis_value(comparison: Comparison, text: str) -> Value:
    for point in comparison.scored:
        if point.x is not None and str(point.x) == text:
            return point.x
    raise KernbenchError(f"{comparison.base}: no score at {_where(comparison, [text])}")


def order(comparison: Comparison, *at: str) -> str:
    """VALUE ...: families by mean F1 there, with the interval of the rank and the share of draws with it in front."""
    points = [point for point in points_at(comparison, at) if len(point.scored) > 1]
    if not points:
        raise KernbenchError(f"{comparison.base}: no family has two seeds at {_where(comparison, at)}")
    if not all(comparison.comparable(points[0], each) for each in points):
        raise KernbenchError(f"{comparison.base}: not all scores at {_where(comparison, at)} are on the same lines")
    found = ranks([point.f1() for point in points], prior=comparison.spread.prior)
    rows = [
        [
            _name(point, comparison, at),
            f1_text(point),
            f"{rank.rank:g} [{rank.low:g}, {rank.high:g}]",
            f"{rank.first:.0%}",
        ]
        for rank, point in sorted(zip(found, points, strict=True), key=lambda pair: pair[0].rank)
    ]
    return table(["family", "F1", "rank", "first in"], rows)


def sizes(comparison: Comparison) -> str:
    """How F1 of each family changes when the kernel size doubles."""
    rows = [
        [
            each.name,
            f"{each.smallest} to {each.largest}",
            f"{each.change:+.3f} [{each.change_low:+.3f}, {each.change_high:+.3f}]",
            each.trend,
        ]
        for each in over_sizes(comparison)
    ]
    return table(["family", "K", "change of F1 when K doubles", "verdict"], rows)


def ranking(comparison: Comparison) -> str:
    """Rank of each family in each place (network, pulse, kernel size), with its interval."""
    found = _orders(comparison)
    rows: dict[str, list[str]] = {family: [] for family in found.families}
    for row in rank_rows(found):
        rows[row.family].append(f"{row.rank:g} [{row.low:g}, {row.high:g}]")
    return table(["rank", *found.places], [[family, *ranked] for family, ranked in rows.items()])


def agreement(comparison: Comparison) -> str:
    """What may be said of the order of families in several places, in sentences."""
    return "\n\n" + "\n".join(f"- {sentence}" for sentence in orders_text(_orders(comparison))) + "\n\n"


def tau(comparison: Comparison, *without: str) -> str:
    """FAMILY ...: the mean rank correlation between places, without these families."""
    unknown = [name for name in without if name not in comparison.families]
    if unknown:
        raise KernbenchError(
            f"{comparison.base}: no {unknown[0]!r}{close_match(unknown[0], comparison.families) or ''}"
        )
    (rest,) = comparisons(run for run in comparison.runs if run.family not in without)
    found = _orders(rest).found
    return f"{found.tau:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def _orders(comparison: Comparison) -> FamilyOrders:
    found = family_orders(comparison)
    if found is None:
        raise KernbenchError(f"{comparison.base}: no families are ranked in several places")
    return found


def _name(point: Point, comparison: Comparison, at: Sequence[str]) -> str:
    """Family, and what the values do not say."""
    return point.name_without([comparison.axis, *(word.split("=", 1)[0] for word in at if "=" in word)])


def figure(comparison: Comparison, name: str, text: str) -> str:
    """NAME "WHAT IT SHOWS": a picture of the report, one of `FIGURES`."""
    if name not in FIGURES:
        raise KernbenchError(f"{comparison.base}: no figure {name!r}{close_match(name, FIGURES) or ''}")
    return f"\n\n![{text}]({IMG}/{picture_name(comparison, name)})\n\n"


_ALL = (f1, versus, claim, cells, scores, differences, decided, gained, order, sizes, ranking, agreement, tau, figure)
KINDS: dict[str, Callable[..., str]] = {each.__name__: each for each in _ALL}


def filled(page: str, found: dict[str, Comparison]) -> str:
    """The page with every place made again.

    Raises:
        KernbenchError: a study, kind, family or value that is not there, or a claim that the data do not make.
    """

    def made(place: re.Match[str]) -> str:
        base, kind, *words = shlex.split(place["words"])
        for name, known in ((base, found), (kind, KINDS)):
            if name not in known:
                raise KernbenchError(f"<!-- data: {place['words']} -->: no {name!r}{close_match(name, known) or ''}")
        return f"<!-- data: {place['words']} -->{KINDS[kind](found[base], *words)}<!-- / -->"

    return PLACE.sub(made, page)


def studies(folder: Path = DATA) -> dict[str, Comparison]:
    """Studies of the folder by name, version and profile: "k_sweep.v1.quick"."""
    return {each.base: each for each in comparisons(load_several([resolve_source(str(folder))]))}


def pages(docs: Path = DOCS) -> list[Path]:
    """Pages with a place for a number."""
    return [path for path in sorted(docs.glob("*.md")) if PLACE.search(path.read_text(encoding="utf-8"))]


def pictures(page: str, found: dict[str, Comparison], folder: Path, *, check: bool) -> list[str]:
    """Draw the pictures of a page that are not there or show other data; with check only name them.

    Args:
        page: its text.
        found: studies.
        folder: of the pictures.
        check: whether to leave them as they are.

    Returns:
        Their file names.
    """
    stale = []
    for place in PLACE.finditer(page):
        base, kind, *words = shlex.split(place["words"])
        if kind == figure.__name__ and not is_current(found[base], words[0], folder):
            stale.append(picture_name(found[base], words[0]))
            if not check:
                draw(found[base], words[0], folder)
    return stale


def main(words: Sequence[str]) -> int:
    """Write the pages; with --check only say which of them do not agree with the data."""
    found, stale, check = studies(), [], "--check" in words
    for path in pages():
        text = path.read_text(encoding="utf-8")
        new = filled(text, found)
        stale += pictures(new, found, path.parent / IMG, check=check)
        if new != text:
            stale.append(path.name)
            if not check:
                path.write_text(new, encoding="utf-8")
    print(f"{'not as the data say' if check else 'written'}: {', '.join(stale) or 'none'}")
    return 1 if stale and check else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
