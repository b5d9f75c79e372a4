"""Families x networks: the rank of each family in each network, and whether networks order the families alike."""

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass

from kernbench.errors import counted
from kernbench.report.numbers.comparison import Comparison, Series
from kernbench.report.numbers.points import Point
from kernbench.statistics.agreement import AGREE, DIFFER, OPPOSE, Correlation, Orders, orders

NETWORK = "name"  # the axis that has a value for each network
MOST_SWAPS = 3  # named in a sentence


@dataclass(frozen=True, eq=False)
class NetworkOrders:
    """What a comparison along networks says of the order of its families.

    Attributes:
        families: names of the series that are ranked.
        networks: names of the networks that rank them.
        found: ranks and correlations, in the order of the two.
        seeds: fewest trainings of a point.
        left_out: sentences on families and networks that take no part.
    """

    families: tuple[str, ...]
    networks: tuple[str, ...]
    found: Orders
    seeds: int
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class RankRow:
    """Rank of a family in a network.

    Attributes:
        family: series.
        network: its name.
        rank: among the families; 1 has the highest mean F1.
        low: lower end of its 95 % interval over draws of seeds and lines.
        high: upper end.
        first: share of draws in which it is first.
    """

    family: str
    network: str
    rank: float
    low: float
    high: float
    first: float


@dataclass(frozen=True)
class TauRow:
    """Rank correlation of the families between two networks.

    Attributes:
        first: network.
        second: network.
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
def network_orders(comparison: Comparison) -> NetworkOrders | None:
    """Orders of the families, of a comparison whose axis is the network.

    A family takes part that has scores in every network that does. A network where no point is surely above the
    blind floor orders nothing and is left out.

    Returns:
        The orders; None along another axis, for fewer than two families or networks, and where a point has one seed
        and no spread between trainings is known.
    """
    if comparison.axis != NETWORK:
        return None
    columns = list(dict.fromkeys(str(point.x) for point in comparison.points if point.x is not None))
    blind = [name for name in columns if all(point.place for point in comparison.scored if point.x == name)]
    networks = [name for name in columns if name not in blind]
    there = {series.name: _points(series, networks) for series in comparison.series}
    whole = {name: points for name, points in there.items() if points is not None}
    points = [point for row in whole.values() for point in row]
    if len(whole) < 2 or len(networks) < 2 or not all(comparison.comparable(points[0], each) for each in points):
        return None
    places = [[row[place].f1() for row in whole.values()] for place in range(len(networks))]
    left_out = _left_out(blind, [name for name in there if name not in whole])
    seeds = min(len(point.scored) for point in points)
    found = orders(places, prior=comparison.spread.prior)
    return NetworkOrders(tuple(whole), tuple(networks), found, seeds, left_out)


def rank_rows(found: NetworkOrders) -> list[RankRow]:
    """One row for each family and network."""
    return [
        RankRow(family, network, **dataclasses.asdict(found.found.ranks[column][row]))
        for row, family in enumerate(found.families)
        for column, network in enumerate(found.networks)
    ]


def tau_rows(found: NetworkOrders) -> list[TauRow]:
    """One row for each pair of networks."""
    return [
        TauRow(
            *(found.networks[each.first], found.networks[each.second]),
            *(each.tau, each.low, each.high),
            _verdict(found, each),
        )
        for each in found.found.correlations
    ]


def orders_text(found: NetworkOrders) -> list[str]:
    """What may be said, in sentences: of all networks together, then of those that differ, then what is left open."""
    pairs = found.found.correlations
    of_all = counted(len(pairs), "pair")
    lead = f"{_tau(found.found.tau, found.found.low, found.found.high)} is the mean rank correlation (Kendall's tau)"
    between = f"of {len(found.families)} families between {counted(len(found.networks), 'network')}"
    scale = "1 is the same order everywhere, 0 as many pairs of families kept as swapped"
    said = [f"{lead} {between}: {scale}. {_together(found)}"]
    agree, oppose = (sum(each.verdict == name for each in pairs) for name in (AGREE, OPPOSE))
    if agree:
        said.append(f"In {agree} of {of_all} of networks more pairs of families keep their order than swap it.")
    if oppose:
        said.append(f"In {oppose} of {of_all} of networks more pairs of families swap their order than keep it.")
    swaps = [_swap(found, each, pair) for each in pairs for pair in each.swapped]
    if swaps:
        more = f"; and {len(swaps) - MOST_SWAPS} more" if len(swaps) > MOST_SWAPS else ""
        said.append(f"The order depends on the network: {'; '.join(swaps[:MOST_SWAPS])}{more}.")
    else:
        said.append(
            f"No family is better than another in one network and worse in another, as far as "
            f"{counted(found.seeds, 'seed')} can tell; that is no proof that the order is the same."
        )
    return [*said, *found.left_out]


def _together(found: NetworkOrders) -> str:
    """What the interval of the mean correlation allows."""
    if found.found.low > 0:
        return "The networks order the families more alike than not."
    if found.found.high < 0:
        return "The networks order the families more against each other than alike."
    return f"Whether they order the families alike cannot be told from {counted(found.seeds, 'seed')}."


def _verdict(found: NetworkOrders, each: Correlation) -> str:
    words = {
        DIFFER: "; ".join(_swap(found, each, pair) for pair in each.swapped),
        AGREE: "more pairs keep their order than swap it",
        OPPOSE: "more pairs swap their order than keep it",
    }
    return words.get(each.verdict, f"whether the orders are alike cannot be told from {counted(found.seeds, 'seed')}")


def _swap(found: NetworkOrders, each: Correlation, pair: tuple[int, int]) -> str:
    better, worse = (found.families[place] for place in pair)
    return f"{better} is better than {worse} in {found.networks[each.first]}, worse in {found.networks[each.second]}"


def _points(series: Series, networks: Sequence[str]) -> list[Point] | None:
    """Its scored point in each network; None where one is missing."""
    there = {point.x: point for point in series.scored}
    return [there[name] for name in networks] if all(name in there for name in networks) else None


def _left_out(blind: Sequence[str], families: Sequence[str]) -> tuple[str, ...]:
    said = []
    if blind:
        said.append(f"Not ranked: {', '.join(blind)}, where no family is surely above a blind guess.")
    if families:
        said.append(f"Not ranked: {', '.join(families)}, without a score in some network.")
    return tuple(said)


def _tau(tau: float, low: float, high: float) -> str:
    return f"{tau:+.2f} [{low:+.2f}, {high:+.2f}]"
