"""The rank of each family in each network, pulse or kernel size, and whether the order is the same everywhere."""

import dataclasses
import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from kernbench.errors import counted
from kernbench.report.numbers.comparison import KERNEL_SIZE, Comparison
from kernbench.report.numbers.points import Point, Value
from kernbench.statistics.agreement import AGREE, DIFFER, OPPOSE, Correlation, Orders, orders
from kernbench.study.settings import AXIS_TEST

NETWORK = "name"  # the axis that has a value for each network
NOUNS = {  # what a place is called along one axis
    NETWORK: "network",
    "pulse": "pulse",
    KERNEL_SIZE: "kernel size",
    "test_rate": "test rate",
    "test_noise_percent": "test noise",
}
VALUES = {  # how a value is written, where NAME = VALUE says less
    NETWORK: "{}",
    "pulse": "{}",
    KERNEL_SIZE: "K = {}",
    "test_rate": "{} MHz",
    "test_noise_percent": "{} % noise",
}
SETTING = "setting"  # along others, or several
PREPOSITIONS = {"network": "in", "pulse": "under"}  # "at" for others
MOST_PLACES = 20  # more are a curve, and their pairs no table
MOST_SWAPS = 3  # named in a sentence


@dataclass(frozen=True, eq=False)
class FamilyOrders:
    """What a comparison says of the order of its families in several places.

    Attributes:
        families: names of the rows, families and what only they have.
        places: names of the points of the axes that all families share, "shallow" or "K = 65".
        points: of each family, its point in each place.
        noun: what a place is: "network".
        found: ranks and correlations, in the order of the two.
        seeds: fewest trainings of a point.
        left_out: sentences on families and places that take no part.
    """

    families: tuple[str, ...]
    places: tuple[str, ...]
    points: tuple[tuple[Point, ...], ...]
    noun: str
    found: Orders
    seeds: int
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class RankRow:
    """Rank of a family in a place.

    Attributes:
        family: name of its row.
        place: name of the place.
        rank: among the families; 1 has the highest mean F1.
        low: lower end of its 95 % interval over draws of seeds and lines.
        high: upper end.
        first: share of draws in which it is first.
    """

    family: str
    place: str
    rank: float
    low: float
    high: float
    first: float


@dataclass(frozen=True)
class TauRow:
    """Rank correlation of the families between two places.

    Attributes:
        first: place.
        second: place.
        tau: Kendall's.
        low: lower end of its 95 % interval.
        high: upper end.
        verdict: in words.
    """

    first: str
    second: str
    tau: float
    low: float
    high: float
    verdict: str


@functools.lru_cache(maxsize=1)  # text, tables and figure of one comparison, one after the other
def family_orders(comparison: Comparison) -> FamilyOrders | None:
    """Orders of the families in every place, a place being a value of each axis that all of them have.

    A place takes part in which two families have at least two seeds each, as one seed supports no claim about families,
    and one of these families is surely above the blind floor. A family takes part that has two seeds in every such
    place.

    Returns:
        The orders; None for fewer than two families or places, for more than 20 places, and where the lines of one
        place are not the same for all families.
    """
    if not comparison.scored:
        return None
    shared, axes = shared_axes(comparison)
    noun = NOUNS.get(axes[0], SETTING) if len(axes) == 1 else SETTING
    names = list(dict.fromkeys(place_name(point.params, axes) for point in sorted_by(comparison.scored, axes)))
    rows = _rows(comparison, shared, axes)
    repeated = {name: {at: each for at, each in row.items() if len(each.scored) > 1} for name, row in rows.items()}
    thin = [name for name in names if sum(name in row for row in repeated.values()) < 2]
    met = {name: [row[name] for row in repeated.values() if name in row] for name in names if name not in thin}
    blind = [name for name, points in met.items() if all(point.place for point in points)]
    places = [name for name in met if name not in blind]
    ranked = {name: [row[at] for at in places] for name, row in repeated.items() if row.keys() >= set(places)}
    if not 2 <= len(places) <= MOST_PLACES or len(ranked) < 2 or not _comparable(comparison, list(ranked.values())):
        return None
    columns = list(zip(*ranked.values(), strict=True))
    scores = [[point.f1() for point in column] for column in columns]
    unseeing = [[bool(point.place) for point in column] for column in columns]
    return FamilyOrders(
        families=tuple(ranked),
        places=tuple(places),
        points=tuple(map(tuple, ranked.values())),
        noun=noun,
        found=orders(scores, prior=comparison.spread.prior, blind=unseeing),
        seeds=min(len(point.scored) for points in ranked.values() for point in points),
        left_out=_left_out(noun, blind, thin, [name for name in rows if name not in ranked]),
    )


def shared_axes(comparison: Comparison) -> tuple[list[str], list[str]]:
    """Axes that every point with a score has; and those of them that vary, the axis of the comparison first."""
    points = comparison.scored
    shared = [name for name in points[0].params if all(name in each.params for each in points)]
    varied = [name for name in shared if len({each.params[name] for each in points}) > 1]
    return shared, sorted(varied, key=lambda name: (name != comparison.axis, name))


def row_name(point: Point, shared: Collection[str]) -> str:
    """The family and what only it has: "siren, omega_0 = 30"."""
    own = [f"{name} = {value}" for name, value in sorted(point.params.items()) if name not in shared]
    return ", ".join(filter(None, [point.runs[0].family, *own, point.apart]))


def _rows(comparison: Comparison, shared: Collection[str], axes: Sequence[str]) -> dict[str, dict[str, Point]]:
    """Name of a row -> name of a place -> its point."""
    rows: dict[str, dict[str, Point]] = {}
    for point in comparison.scored:
        rows.setdefault(row_name(point, shared), {})[place_name(point.params, axes)] = point
    return dict(sorted(rows.items()))


def place_name(params: Mapping[str, Value], axes: Sequence[str]) -> str:
    """The values of these axes: "shallow", "K = 65", "REF, K = 65", "125 MHz"."""
    return ", ".join(_written(name, params[name]) for name in axes)


def _written(name: str, value: Value) -> str:
    if name in AXIS_TEST and value == -1:
        return f"{NOUNS[name]} as trained"
    short = f"{value:g}" if name in VALUES and isinstance(value, float) else value
    return VALUES.get(name, f"{name} = {{}}").format(short)


def sorted_by(points: Sequence[Point], axes: Sequence[str]) -> list[Point]:
    """Points by the values of numeric axes; values that are words stay in the order in which they come."""
    words = {name: list(dict.fromkeys(point.params[name] for point in points)) for name in axes}

    def key(point: Point) -> list[float]:
        values = [(point.params[name], words[name]) for name in axes]
        return [float(each) if isinstance(each, int | float) else float(known.index(each)) for each, known in values]

    return sorted(points, key=key)


def _comparable(comparison: Comparison, rows: Sequence[Sequence[Point]]) -> bool:
    """Whether the families of a place share lines and protocol, and all places have as many lines."""
    within = all(comparison.comparable(rows[0][at], row[at]) for row in rows for at in range(len(row)))
    return within and len({point.f1().shape[1] for row in rows for point in row}) == 1


def rank_rows(found: FamilyOrders) -> list[RankRow]:
    """One row for each family and place."""
    return [
        RankRow(family, place, **dataclasses.asdict(found.found.ranks[column][row]))
        for row, family in enumerate(found.families)
        for column, place in enumerate(found.places)
    ]


def tau_rows(found: FamilyOrders) -> list[TauRow]:
    """One row for each pair of places."""
    return [
        TauRow(
            *(found.places[each.first], found.places[each.second]),
            *(each.tau, each.low, each.high),
            _verdict(found, each),
        )
        for each in found.found.correlations
    ]


def orders_text(found: FamilyOrders) -> list[str]:
    """What may be said, in sentences: of all places together, then of those that differ, then what is left open."""
    pairs, noun = found.found.correlations, found.noun
    at = PREPOSITIONS.get(noun, "at")
    of_all = counted(len(pairs), "pair")
    lead = f"{_tau(found.found.tau, found.found.low, found.found.high)} is the mean rank correlation (Kendall's tau)"
    between = f"of {len(found.families)} families between {counted(len(found.places), noun)}"
    scale = "1 is the same order everywhere, 0 as many pairs of families kept as swapped"
    said = [f"{lead} {between}: {scale}. {_together(found)}"]
    agree, oppose = (sum(each.verdict == name for each in pairs) for name in (AGREE, OPPOSE))
    if agree:
        said.append(f"In {agree} of {of_all} of {noun}s more pairs of families keep their order than swap it.")
    if oppose:
        said.append(f"In {oppose} of {of_all} of {noun}s more pairs of families swap their order than keep it.")
    swaps = [_swap(found, each, pair) for each in pairs for pair in each.swapped]
    if swaps:
        more = f"; and {len(swaps) - MOST_SWAPS} more" if len(swaps) > MOST_SWAPS else ""
        said.append(f"The order depends on the {noun}: {'; '.join(swaps[:MOST_SWAPS])}{more}.")
    else:
        said.append(
            f"No family is better than another {at} one {noun} and worse {at} another, as far as "
            f"{counted(found.seeds, 'seed')} can tell; that is no proof that the order is the same."
        )
    return [*said, *found.left_out]


def _together(found: FamilyOrders) -> str:
    """What the interval of the mean correlation allows."""
    if found.found.low > 0:
        return f"The {found.noun}s order the families more alike than not."
    if found.found.high < 0:
        return f"The {found.noun}s order the families more against each other than alike."
    return f"Whether they order the families alike cannot be said from {counted(found.seeds, 'seed')}."


def _verdict(found: FamilyOrders, each: Correlation) -> str:
    words = {
        DIFFER: "; ".join(_swap(found, each, pair) for pair in each.swapped),
        AGREE: "more pairs keep their order than swap it",
        OPPOSE: "more pairs swap their order than keep it",
    }
    return words.get(each.verdict, f"whether the orders are alike cannot be said from {counted(found.seeds, 'seed')}")


def _swap(found: FamilyOrders, each: Correlation, pair: tuple[int, int]) -> str:
    better, worse = (found.families[place] for place in pair)
    at = PREPOSITIONS.get(found.noun, "at")
    first, second = (f"{at} {found.places[place]}" for place in (each.first, each.second))
    return f"{better} is better than {worse} {first}, worse {second}"


def _left_out(noun: str, blind: Sequence[str], thin: Sequence[str], families: Sequence[str]) -> tuple[str, ...]:
    said = [
        (blind, "where no family is surely above a blind guess"),
        (thin, "where fewer than two families have two seeds"),
        (families, f"without two seeds in some {noun}"),
    ]
    return tuple(f"Not ranked: {'; '.join(names)}, {why}." for names, why in said if names)


def _tau(tau: float, low: float, high: float) -> str:
    return f"{tau:+.2f} [{low:+.2f}, {high:+.2f}]"
