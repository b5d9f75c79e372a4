"""Searches of a tuned study: what was chosen on validation lines, and what that gained on test lines."""

from result_points import table

from kernbench.errors import KernbenchError
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.tuning import tuning_rows


def searches(comparison: Comparison) -> str:
    """A row for each search: the chosen setting, F1 of it and of the default setting, and the gain on test lines."""
    rows = tuning_rows(comparison)
    if not rows:
        raise KernbenchError(f"{comparison.base} has no searches")
    header = ("family", comparison.axis, "search", "chosen setting", "F1 chosen", "F1 default", "gain over default")
    names = ("family", "x", "others", "setting", "test", "test_default", "gain")
    return table([name.replace("_", " ") for name in header], [[row[name] for name in names] for row in rows])
