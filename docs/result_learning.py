"""When trainings begin to learn: from the learning curves that `learning_curves.py` has written."""

import csv
from functools import lru_cache
from pathlib import Path

from result_matrices import by_value

from kernbench.errors import KernbenchError
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.points import Point
from kernbench.store.reading.records import Run

FOLDER = Path(__file__).parent / "data" / "learning"
COLUMNS = ("family", "cell", "epoch", "f1")

Curve = dict[int, float]  # epoch -> mean F1 on the validation lines


def learning(comparison: Comparison, level: str, by: str = "") -> str:
    """F1 [VALUE]: the first stored epoch of each seed with this F1 on validation lines; families as for `scores`."""
    curves = _curves(FOLDER / f"{comparison.base}.csv")
    bound = float(level)

    def first(run: Run) -> str:
        curve = curves.get((run.family, run.cell))
        if curve is None:
            raise KernbenchError(f"{comparison.base}: no learning curve of {run.study} {run.cell}")
        return next((str(epoch) for epoch, f1 in sorted(curve.items()) if f1 >= bound), "never")

    def text(point: Point) -> str:
        return ", ".join(first(run) for run in point.scored)

    return by_value(comparison, by, text)


@lru_cache(maxsize=8)  # several places of a page
def _curves(path: Path) -> dict[tuple[str, str], Curve]:
    if not path.is_file():
        raise KernbenchError(f"no learning curves: {path} is not there; learning_curves.py writes it")
    found: dict[tuple[str, str], Curve] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            family, cell, epoch, f1 = (row[name] for name in COLUMNS)
            found.setdefault((family, cell), {})[int(epoch)] = float(f1)
    return found
