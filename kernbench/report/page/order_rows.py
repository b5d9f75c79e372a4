"""The order of families in several places (networks, pulses, kernel sizes) on the page and as CSV."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from kernbench.host.csv_cells import Cell
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.orders import family_orders, orders_text, rank_rows, tau_rows


def order_facts(comparison: Comparison) -> dict[str, Any]:
    """What the page shows of the order of families; empty where there is none."""
    found = family_orders(comparison)
    if found is None:
        return {}
    rows = rank_rows(found)
    return {
        "text": orders_text(found),
        "noun": found.noun,
        "places": found.places,
        "ranks": {family: [row for row in rows if row.family == family] for family in found.families},
        "taus": tau_rows(found),
    }


def network_rows(comparison: Comparison) -> Iterator[dict[str, Cell]]:
    """Each point whose network has sizes of its own: the sizes and F1."""
    for series in comparison.series:
        for point in series.points:
            sizes = next((run.network for run in point.runs if run.network), {})
            if not sizes:
                continue
            interval = point.interval
            yield {
                "series": series.name,
                "network": str(sizes.get("name", point.x)),
                **{name: sizes.get(name) for name in ("kernel_size", "depth", "channels", "field", "field_asked")},
                "parameters_total": point.value("n_params"),
                "f1_mean": interval.mean if interval else None,
                "f1_low": interval.low if interval else None,
                "f1_high": interval.high if interval else None,
                "seeds": len(point.scored),
            }


def rank_csv_rows(comparison: Comparison) -> Iterator[dict[str, Cell]]:
    """Each family in each place: its rank."""
    found = family_orders(comparison)
    yield from [] if found is None else map(asdict, rank_rows(found))


def tau_csv_rows(comparison: Comparison) -> Iterator[dict[str, Cell]]:
    """Each pair of places: the rank correlation of the families between them."""
    found = family_orders(comparison)
    yield from [] if found is None else map(asdict, tau_rows(found))
