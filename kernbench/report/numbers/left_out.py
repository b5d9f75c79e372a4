"""What a comparison leaves out of its means or keeps apart: one line for each kind, with counts and names."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from kernbench.errors import counted
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.numbers.completeness import INCOMPLETE
from kernbench.report.numbers.worlds import Worlds
from kernbench.store.reading.records import DIVERGED, Run

MOST_LISTED = 6


def left_out(comparison: Comparison) -> list[str]:
    """Cells that are missing, have no whole result, or differ so that they are not averaged, and lost files.

    Args:
        comparison: its cells, finished or not.

    Returns:
        Sentences in plain text, one for each kind; empty if every cell asked for is in the means. Draws of a tuned
        study that were not chosen, or that were ended early, are no gaps: its searches list them.
    """
    by_status: dict[str, list[Run]] = {}
    for run in comparison.not_ok:
        by_status.setdefault(run.status, []).append(run)
    incomplete, diverged = by_status.pop(INCOMPLETE, []), by_status.pop(DIVERGED, [])
    return [
        *_missing(comparison.runs),
        *_cells(incomplete, "with incomplete scores, in no mean", lambda run: f"{_name(run)} ({run.message})"),
        *_cells(diverged, "diverged, a result without a score, in no mean"),
        *(line for status, runs in sorted(by_status.items()) for line in _cells(runs, f"without a result ({status})")),
        *_mixed(comparison),
        *_cells([run for run in comparison.runs if run.lacking], "in the means without all of their artifacts"),
    ]


def _missing(runs: Sequence[Run]) -> Iterator[str]:
    """Cells that were asked for and have no record; those of a study of which nothing has ended are known, too."""
    asked = {run.study: run.asked for run in runs}
    ended = Counter(run.study for run in runs)
    named = {study: cells for run in runs for study, cells in run.missing.items()}
    gaps = {study: len(named.get(study, ())) or asked[study] - ended[study] for study in asked}
    gaps |= {study: len(cells) for study, cells in named.items() if study not in asked}
    count = sum(max(0, gap) for gap in gaps.values())
    if count:
        total = sum(ended.values()) + count
        names = [f"{study.rpartition('/')[2]} {cell}" for study, cells in sorted(named.items()) for cell in cells]
        listed = f": {_names(names)}" if names else ""
        yield f"{count} of {counted(total, 'cell')} missing (not run, waiting or running){listed}"


def _mixed(comparison: Comparison) -> Iterator[str]:
    for (family, kind), met in Worlds(comparison.marked).mixed.items():
        values = ", ".join(f"{kind} {value}: {counted(cells, 'cell')}" for value, cells in met.items())
        kept_apart = "they are not averaged" if family else "they are neither averaged nor compared with each other"
        yield f"{family}: {values}; {kept_apart}" if family else f"{values}; {kept_apart}"


def _name(run: Run) -> str:
    return f"{run.family} {run.cell}"


def _cells(runs: Sequence[Run], what: str, name: Callable[[Run], str] = _name) -> Iterator[str]:
    if runs:
        yield f"{counted(len(runs), 'cell')} {what}: {_names([name(run) for run in runs])}"


def _names(names: Sequence[str]) -> str:
    more = f"; and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return "; ".join(names[:MOST_LISTED]) + more
