"""Classical detectors beside the networks: results of `kernbench baselines` on the very lines of a comparison."""

import hashlib
from collections.abc import Iterable, Sequence
from math import isnan
from pathlib import Path

from kernbench.engine.records import OK, Run
from kernbench.report.gather import Comparison
from kernbench.ulm.baselines import BLIND
from kernbench.ulm.baselines.results import Row, read_rows, results_path
from kernbench.ulm.scores import tolerance_um

# Drawn as lines across the figure; of a group, the one that did best where it was fitted.
GROUPS = ("matched-filter", "wiener", "fista", "fir")


def baseline_rows(comparison: Comparison) -> list[Row]:
    """Stored results on the lines and noise of a comparison; none if its cells differ in these.

    Raises:
        DataError: the file is there but cannot be read.
    """
    files = {_file(run) for run in comparison.runs if run.status == OK}
    path = files.pop() if len(files) == 1 else None
    return read_rows(path) if path is not None and path.is_file() else []


def baseline_facts(runs: Iterable[Run]) -> list[str]:
    """Checksums of the result files that a report on these runs shows, so that new results make a new page."""
    files = {_file(run) for run in runs if run.status == OK}
    return sorted(
        hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path is not None and path.is_file()
    )


def baseline_levels(rows: Sequence[Row], tolerance: int) -> dict[str, float]:
    """F1 of the few that are drawn, by name, at one tolerance."""
    here = [row for row in rows if row.tolerance_samples == tolerance]
    groups = ([row for row in here if row.method.startswith(group)] for group in GROUPS)
    best = (max(group, key=lambda row: row.fitted_f1) for group in groups if group)
    return {row.method: row.f1 for row in best}


def baseline_table(rows: Sequence[Row], tolerance: int) -> list[dict[str, str]]:
    """Cells of the page's table, formatted, at one tolerance."""
    return [_cells(row) for row in rows if row.tolerance_samples == tolerance]


def _file(run: Run) -> Path | None:
    """Where results on the lines of a run would be: beside its artifacts."""
    if not run.artifacts:
        return None
    folder = next(iter(run.artifacts.values())).parent
    noise = run.params.get("noise_percent", run.definition.get("data", {}).get("noise_percent", 0.0))
    return results_path(folder, run.data_digest, float(noise))


def _cells(row: Row) -> dict[str, str]:
    return {
        "method": f"{row.method} (blind)" if row.method in BLIND else row.method,
        "f1": f"{row.f1:.3f}",
        "matched_f1": f"{row.matched_f1:.3f}",
        "precision": f"{row.matched_precision:.3f}",
        "recall": f"{row.matched_recall:.3f}",
        "rmse": "–" if isnan(row.rmse_samples) else f"{row.rmse_samples:.2f}",
        "rmse_um": "–" if isnan(row.rmse_samples) else f"{float(tolerance_um(row.rmse_samples)):.1f}",
        "delay": str(row.delay_samples),
        "width": "–" if isnan(row.width_samples) else f"{row.width_samples:g}",
        "parameters": f"{row.parameters:,}",
        "setting": row.setting or "–",
    }
