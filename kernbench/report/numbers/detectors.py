"""Classical detectors beside the networks: stored results on the very lines of a comparison, and what is missing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from math import isnan
from pathlib import Path

from kernbench.host.files import sha256_of_file
from kernbench.report.numbers.comparison import Comparison
from kernbench.store.reading.records import OK, Run
from kernbench.study.settings import axis_home
from kernbench.ulm.detectors.names import BLIND, METHODS, fits
from kernbench.ulm.detectors.results import USUAL_SPLIT, DetectorRow, Domain, stored_rows
from kernbench.ulm.evaluation.noise import FIRST_STREAM
from kernbench.ulm.line import without_rate
from kernbench.ulm.scoring.scores import tolerance_um

# Drawn as lines across the figure; of a group, the one that did best where it was fitted.
GROUPS = ("matched-filter", "wiener", "fista", "omp", "fir")
COLUMNS = ("f1", "matched_f1", "precision", "recall", "rmse", "rmse_um", "delay", "width", "parameters")
WHOLE = 1 << 30
USUAL_LABELS = "test lines at the rate of training, labels without a delay"
PARTS = {
    "data_digest": "data {}",
    "noise_percent": "noise {:g} %",
    "test_noise_percent": "noise of the test lines {:g} %",
    "threshold_split": "fitted on {} lines",
    "noise_stream": "noise of protocol version {}",
}


@dataclass(frozen=True, eq=False)
class Classical:
    """Classical detectors on the lines of a comparison.

    Attributes:
        levels: results by what tells their lines apart from the others ("noise 8 %"); by "" where all cells share
            their lines.
        missing: methods without results on some of these lines.
        command: that runs them.
    """

    levels: dict[str, list[DetectorRow]]
    missing: list[str]
    command: str


def classical(comparison: Comparison) -> Classical:
    """Stored results on the lines of a comparison, for each noise level of its scored cells.

    Raises:
        DataError: a file is there but cannot be read.
    """
    finished = [run for run in comparison.runs if run.status == OK and run.artifacts]
    runs = _at_usual_rate(finished)
    places = {_domain(run): _path(run) for run in runs}
    rows = {domain: stored_rows(path) for domain, path in sorted(places.items())}
    # A whole line (window 0) is long enough for every method.
    length = min((run.definition.get("data", {}).get("window") or WHOLE for run in runs), default=0)
    # What is run now has the noise of now: it would not be found for noisy lines of the first protocol version.
    known = [{row.method for row in each} for domain, each in rows.items() if domain.noise_stream != FIRST_STREAM]
    missing = [name for name in METHODS if fits(name, length) and any(name not in methods for methods in known)]
    usual = USUAL_LABELS if len(runs) < len(finished) else ""
    levels = {_told_apart(domain, list(rows)) or usual: each for domain, each in rows.items() if each}
    return Classical(levels, missing, _command(runs, missing) if missing else "")


def baseline_facts(runs: Iterable[Run]) -> list[str]:
    """Checksums of the result files that a report on these runs shows, so that new results make a new page."""
    files = {_path(run) for run in _at_usual_rate(runs) if run.status == OK and run.artifacts}
    return sorted(sha256_of_file(path) for path in files if path.is_file())


def baseline_levels(found: Classical, tolerance: int) -> dict[str, float]:
    """F1 of the few that are drawn, by name, at one tolerance; none where the lines of the cells differ."""
    if list(found.levels) != [""]:
        return {}
    here = [row for row in found.levels[""] if row.tolerance_samples == tolerance]
    groups = ([row for row in here if row.method.startswith(group)] for group in GROUPS)
    best = (max(group, key=lambda row: row.fitted_f1) for group in groups if group)
    return {row.method: row.f1 for row in best}


def baseline_table(found: Classical, tolerance: int) -> list[dict[str, str]]:
    """Rows of the page's table, formatted, at one tolerance: level by level, and at the end what was not run."""
    table = []
    for level, rows in found.levels.items():
        table += [_words(level, "")] if level else []
        table += [_cells(row) for row in rows if row.tolerance_samples == tolerance]
    if found.missing:
        command = f"`{found.command}`, with the --storage of this report"
        table.append(_words("not run", f"{', '.join(found.missing)}: {command}"))
    return table


def _at_usual_rate(runs: Iterable[Run]) -> list[Run]:
    """Cells whose test lines have the rate of their training and no delay: classical detectors have met no others."""
    return [run for run in runs if run.data_digest == without_rate(run.data_digest)]


def _domain(run: Run) -> Domain:
    data = {**run.definition.get("data", {}), **{k: v for k, v in run.params.items() if axis_home(k) == "data"}}
    split = run.definition.get("evaluation", {}).get("threshold_split", USUAL_SPLIT)
    return Domain.of(run.data_digest, data, split, run.definition.get("protocol", 1))


def _path(run: Run) -> Path:
    """Where results on the lines of a run would be: beside its artifacts."""
    return _domain(run).path(next(iter(run.artifacts.values())).parent)


def _told_apart(domain: Domain, among: Sequence[Domain]) -> str:
    """What of a domain differs from others, in words."""
    names = [field.name for field in fields(Domain) if len({getattr(each, field.name) for each in among}) > 1]
    if "noise_percent" in names and all(each.noise_percent == each.test_noise_percent for each in among):
        names.remove("test_noise_percent")
    if len({each.noise_stream for each in among if each.noise_stream}) < 2:  # clean lines have none
        names = [name for name in names if name != "noise_stream"]
    return ", ".join(PARTS[name].format(getattr(domain, name)) for name in names)


def _command(runs: Sequence[Run], missing: Sequence[str]) -> str:
    name, _, profile = runs[0].base.rsplit(".", 2)
    words = ["kernbench baselines --study", name, "--profile", profile, "--methods", ",".join(missing)]
    # Only the family knows an axis that is no setting of network, training or data.
    if any(axis_home(axis) is None for axis in runs[0].params if axis != "seed"):
        words += ["--plugin", runs[0].family]
    return " ".join(words)


def _words(first: str, last: str) -> dict[str, str]:
    """A row without numbers."""
    return {"method": first, **dict.fromkeys(COLUMNS, ""), "setting": last}


def _cells(row: DetectorRow) -> dict[str, str]:
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
