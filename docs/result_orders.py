"""Orders of the families in several places: networks, pulses, kernel sizes, studies."""

from result_points import check_families, table

from kernbench.errors import KernbenchError
from kernbench.report.numbers.comparison import Comparison, comparisons
from kernbench.report.numbers.orders import FamilyOrders, family_orders, orders_text, rank_rows
from kernbench.statistics.agreement import Correlation


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
    """[FAMILY ...]: the mean rank correlation between places, without these families."""
    check_families(comparison, without)
    kept = [run for run in comparison.runs if run.family not in without]
    if len({run.family for run in kept}) < 2:
        raise KernbenchError(f"{comparison.base}: tau needs two families or more, these are left out: {without}")
    found = _orders(comparisons(kept)[0]).found
    return f"{found.tau:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def _orders(comparison: Comparison) -> FamilyOrders:
    found = family_orders(comparison)
    if found is None:
        raise KernbenchError(f"{comparison.base}: no families are ranked in several places")
    return found


def tau_between(comparison: Comparison, first: str, second: str) -> str:
    """PLACE PLACE: the rank correlation of the families between two places, named as `ranking` names its columns."""
    _, found = _pair(comparison, first, second)
    return f"{found.tau:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def swapped(comparison: Comparison, first: str, second: str) -> str:
    """PLACE PLACE: pairs of families of which the first is better in the first place and worse in the second."""
    orders, found = _pair(comparison, first, second)
    turned = orders.places.index(first) == found.second
    pairs = [tuple(orders.families[each] for each in (reversed(pair) if turned else pair)) for pair in found.swapped]
    return ", ".join(f"`{better}` and `{worse}`" for better, worse in pairs) or "none"


def _pair(comparison: Comparison, first: str, second: str) -> tuple[FamilyOrders, Correlation]:
    orders = _orders(comparison)
    for name in (first, second):
        if name not in orders.places:
            raise KernbenchError(f"{comparison.base}: expected one of {'; '.join(orders.places)}, got {name!r}")
    at = {orders.places.index(first), orders.places.index(second)}
    for each in orders.found.correlations:
        if {each.first, each.second} == at:
            return orders, each
    raise KernbenchError(f"{comparison.base}: expected two places, got {first!r} twice")
