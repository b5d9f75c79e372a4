"""What was trained: network, lines, training and hyper-parameters of a comparison, as the studies stored them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kernbench.errors import counted
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.points import SEED, values_text
from kernbench.store.reading.records import OK, Run
from kernbench.study.durations import duration
from kernbench.study.networks import sizes_text
from kernbench.study.tuning import DRAW
from kernbench.ulm.scoring.scores import tolerance_ns

Table = Mapping[str, Any]  # TOML
MOST_ROWS = 6  # families with a row of their own; the findings come after them


def setup_rows(comparison: Comparison) -> list[tuple[str, str]]:
    """What a reader needs to know before the scores, name and text; only what the database knows.

    Settings are those of docs/studies.md, under their names there.
    """
    runs = [run for run in comparison.runs if run.definition]
    rows = [("database", comparison.runs[0].database), ("families", ", ".join(comparison.families)), *_axes(comparison)]
    if runs:
        definition = runs[0].definition
        rows += _network(definition.get("network", {}))
        rows += _sizes(runs)
        rows += _lines(definition.get("data", {}))
        rows += [("training", _training(definition)), ("evaluation", _settings(definition.get("evaluation", {})))]
        rows += _families(runs)
        protocol = definition.get("protocol", "")
        rows.append(("protocol", f"{definition.get('task', '')}, version {protocol} of the scores"))
    rows.append(("computing time", _time(comparison.runs)))
    digests = {f"{run.family} {run.digest}": None for run in comparison.runs if run.digest}
    data = sorted({run.data_digest for run in comparison.runs if run.status == OK})
    rows.append(("digests", f"definitions: {', '.join(digests)}; lines: {', '.join(data) or 'none'}"))
    rows.append(("made with", ", ".join(sorted({f"kernbench {run.kernbench_version}" for run in comparison.runs}))))
    return [(name, text) for name, text in rows if text]


def _time(runs: Sequence[Run]) -> str:
    """Wall time of all cells, and of one; with what it was measured on. A training that several share counts once."""
    timed = [run for run in runs if isinstance(run.seconds, int | float) and math.isfinite(run.seconds)]
    if not timed:
        return ""
    known = [float(run.seconds or 0) for run in timed]
    spent = sum(float(run.seconds or 0) if run.own_seconds is None else run.own_seconds for run in timed)
    shared = sum(bool(run.trained_as) for run in timed)
    devices = ", ".join(sorted({run.device for run in runs if run.device}))
    ends = " to ".join(dict.fromkeys(map(duration, (min(known), max(known)))))
    each = f"; {ends} each" if len(known) > 1 else ""
    where = f" on {devices}" if devices else ""
    once = f"; {counted(shared, 'cell')} took the training of another one over, which counts once" if shared else ""
    of_all = f"{duration(spent)} for {counted(len(known), 'cell')}{where}{each}"
    return f"{of_all} (wall time, training and evaluation{once})"


def _axes(comparison: Comparison) -> list[tuple[str, str]]:
    values: dict[str, set[Any]] = {}
    for run in comparison.runs:
        for name, value in run.params.items():
            if name != DRAW:
                values.setdefault(name, set()).add(value)
    values.pop(SEED, None)
    rows = [(name, ", ".join(map(str, sorted(found, key=_place)))) for name, found in sorted(values.items())]
    seeds = [len({run.params.get(SEED) for run in point.runs}) for point in comparison.points]
    return [*rows, ("seeds", " to ".join(map(str, sorted({min(seeds), max(seeds)}))))]


def _place(value: Any) -> tuple[bool, Any]:
    return isinstance(value, str), value


def _network(table: Table) -> list[tuple[str, str]]:
    if not {"name", "depth", "channels"} <= table.keys():
        return [("network", _settings(table))]
    rest = {name: value for name, value in table.items() if name not in ("name", "depth", "channels")}
    lead = f"{table['name']}, {counted(table['depth'], 'layer')}, {counted(table['channels'], 'channel')}"
    return [("network", ", ".join(filter(None, [lead, _settings(rest)])))]


def _sizes(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """What was worked out for each network, the same for all families."""
    found = {sizes_text(run.network): run.network for run in runs if run.network}
    return [(f"network {facts['name']}", text) for text, facts in sorted(found.items(), key=lambda row: row[1]["name"])]


def _lines(table: Table) -> list[tuple[str, str]]:
    splits = [f"{table[name]} {name}" for name in ("train", "validation", "test") if name in table]
    if not splits:
        return [("lines", _settings(table))]
    window = table.get("window", 0)
    length = (
        f"windows of {counted(window, 'sample')} ({float(tolerance_ns(window)) / 1e3:.1f} µs)"
        if window
        else "complete lines"
    )
    rest = {name: value for name, value in table.items() if name not in ("train", "validation", "test", "window")}
    return [("lines", f"{', '.join(splits)}; {length}; {_settings(rest)}")]


def _training(definition: Table) -> str:
    """Settings of the training; of those that are drawn the range, because the definition has that of draw 0."""
    drawn = definition.get("tuning", {}).get("training", {})
    fixed = {name: value for name, value in definition.get("training", {}).items() if name not in drawn}
    ranges = [f"{name} drawn from {low:g} to {high:g}" for name, (low, high) in drawn.items()]
    return ", ".join(filter(None, [_settings(fixed), *ranges]))


def _families(runs: list[Run]) -> list[tuple[str, str]]:
    rows: dict[str, str] = {}
    for run in runs:
        kernel = run.definition.get("kernel", {})
        tuned = ", ".join(kernel.get("tuned", {}))
        solved = ", ".join(kernel.get("solved", {}))
        parts = [
            _settings(kernel.get("hyper", {})),
            f"tuned: {tuned}" if tuned else "",
            f"solved for the budget: {solved}" if solved else "",
        ]
        rows.setdefault(run.family, "; ".join(filter(None, parts)) or "no hyper-parameters")
    if len(rows) > MOST_ROWS:
        return [("hyper-parameters", ". ".join(f"{family}: {text}" for family, text in sorted(rows.items())))]
    return [(f"hyper-parameters of {family}", text) for family, text in sorted(rows.items())]


def _settings(table: Table) -> str:
    """Settings that are set: an empty text or -1 says that another setting holds."""
    return values_text({name: value for name, value in table.items() if value not in ("", -1)})
