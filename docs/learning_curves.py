"""Writes the learning curves of the finished cells of a study into docs/data/learning.

    python docs/learning_curves.py k_noise.v1.day sqlite:///kernbench.db

One row for each score that a training stored: family, cell, epoch (counted from 1), mean F1 on the validation lines.
The table of `make_results.py`, `leaving`, reads it; exported cells have no learning curves.
"""

import csv
import sys

import optuna
from result_learning import COLUMNS, FOLDER

FINISHED = [optuna.trial.TrialState.COMPLETE]


def rows_of(base: str, storage: str) -> list[dict[str, str | int]]:
    """Rows of all families of a study, by family, cell and epoch.

    Args:
        base: name, version and profile, `k_noise.v1.day`.
        storage: database URL.
    """
    found = []
    for name in optuna.study.get_all_study_names(storage):
        start, _, family = name.partition("/")
        if start == base:
            for trial in optuna.load_study(study_name=name, storage=storage).get_trials(states=FINISHED):
                cell = str(trial.user_attrs["cell"])
                found += [(family, cell, step + 1, f"{f1:.6f}") for step, f1 in trial.intermediate_values.items()]
    return [dict(zip(COLUMNS, row, strict=True)) for row in sorted(found)]


def main(base: str, storage: str) -> None:
    """Write the file of a study."""
    rows = rows_of(base, storage)
    if not rows:
        raise SystemExit(f"{storage}: no finished cell of {base} has a learning curve")
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / f"{base}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
