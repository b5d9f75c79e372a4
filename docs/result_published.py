"""Published numbers beside those of a study, as its definition has them."""

from result_points import table

from kernbench.errors import KernbenchError
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.orders import place_name
from kernbench.report.numbers.published import Beside, tables


def published(comparison: Comparison) -> str:
    """Rows of each publication and of each family beside it: mean over seeds, lowest and highest seed, how many."""
    found = tables(comparison)
    if not found:
        raise KernbenchError(f"{comparison.base}: no published number that a cell can be compared with")
    return "".join(_table(each["places"], each["axis"], each["source"], each["rows"]) for each in found)


def _table(places: tuple[float | int | str, ...], axis: str, source: str, rows: list[dict[str, object]]) -> str:
    shown = []
    for row in rows:
        shown.append([f"{source}: {row['what']}", *(f"{value:.3f}" for value in row["published"])])
        for name, along in row["points"].items():
            shown.append([name, *map(_measured, along)])
            shown.append([f"{name}, less the published", *map(_difference, along)])
    return table(["", *(place_name({axis: place}, [axis]) for place in places)], shown)


def _measured(beside: Beside | None) -> str:
    if beside is None or beside.measured is None:
        return "–"
    spread = f" [{beside.low:.3f}, {beside.high:.3f}]" if beside.seeds > 1 else ""
    return f"{beside.measured:.3f}{spread} ({beside.seeds})"


def _difference(beside: Beside | None) -> str:
    return "–" if beside is None or beside.difference is None else f"{beside.difference:+.3f}"
