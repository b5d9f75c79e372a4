"""Writes the learning curves of the finished cells of a study into docs/data/learning.

    python docs/learning_curves.py k_noise.v1.day sqlite:///kernbench.db

One row for each score on the validation lines that a training took: family, cell, finished epochs, mean F1. They come
from the `curve.csv` of each cell, which exported cells lack; `result_learning.py` reads them.
"""

import csv
import sys
from collections.abc import Sequence

import numpy as np
from result_learning import COLUMNS, FOLDER

from kernbench.errors import KernbenchError
from kernbench.store.database.url import resolve_source
from kernbench.store.maintenance.exporting import once
from kernbench.store.reading.records import OK, Run
from kernbench.store.reading.several import load_several
from kernbench.ulm.cells.artifact_reader import CURVE, load_curve

Row = tuple[str, str, int, str]  # as COLUMNS


def rows_of(base: str, storage: str) -> list[Row]:
    """Rows of all families of a study, by family, cell and epoch.

    Args:
        base: name, version and profile, `k_noise.v1.day`.
        storage: database URL.

    Raises:
        KernbenchError: no such storage, no finished cell of this study, or one without a learning curve.
    """
    runs = [run for run in once(load_several([resolve_source(storage)], (), ())) if run.base == base]
    rows = sorted(row for run in runs if run.status == OK for row in _rows(run))
    if not rows:
        raise KernbenchError(f"{storage}: no finished cell of {base}")
    return rows


def _rows(run: Run) -> list[Row]:
    if CURVE not in run.artifacts:
        raise KernbenchError(f"{run.study} {run.cell}: no {CURVE}; a folder of exported cells has none")
    columns = load_curve(run.artifacts[CURVE])
    scored = np.flatnonzero(np.isfinite(columns["val_f1"]))
    # curve.csv counts epochs from 0
    return [(run.family, run.cell, int(columns["epoch"][at]) + 1, f"{columns['val_f1'][at]:.6f}") for at in scored]


def main(words: Sequence[str]) -> int:
    """Write the file of a study.

    Returns:
        Exit code: 2 if the study or the storage cannot be read.
    """
    try:
        if len(words) != 2:
            raise KernbenchError(f"expected a study and a storage, got {' '.join(words) or 'nothing'}")
        base, storage = words
        rows = rows_of(base, storage)
    except KernbenchError as error:
        print(error, file=sys.stderr)
        return 2
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / f"{base}.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
