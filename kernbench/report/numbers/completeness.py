"""Cells whose stored scores are not whole: they are marked and listed, and enter no mean."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from kernbench.errors import counted
from kernbench.report.numbers.points import TEST
from kernbench.store.reading.records import OK, Run

INCOMPLETE = "incomplete"


def marked(runs: Iterable[Run]) -> list[Run]:
    """The cells, with status "incomplete", a reason and no scores where test lines or tolerances are missing.

    How many lines there are is known from the lines themselves, or from other cells that were scored on them.
    """
    runs = list(runs)
    lines: dict[str, Counter[int]] = {}
    tolerances: dict[str, Counter[int]] = {}
    for run in runs:
        if run.status == OK and TEST in run.scores:
            known = here = run.scores[TEST].tp.shape
            if run.lines is not None:
                known = here[0], len(next(iter(run.lines.facts.values())))
            tolerances.setdefault(run.base, Counter())[here[0]] += 1
            lines.setdefault(run.data_digest, Counter())[known[1]] += 1
    reasons = (
        (run, _reason(run, _usual(tolerances.get(run.base)), _usual(lines.get(run.data_digest)))) for run in runs
    )
    return [replace(run, status=INCOMPLETE, message=said, scores={}) if said else run for run, said in reasons]


def _usual(met: Counter[int] | None) -> int:
    """The number that most cells have, the larger of two: one odd cell must not make all others odd."""
    return max(met, key=lambda number: (met[number], number)) if met else 0


def _reason(run: Run, tolerances: int, lines: int) -> str:
    if run.status != OK:
        return ""
    if TEST not in run.scores:
        return "no scores on the test lines are stored"
    here = run.scores[TEST]
    if here.tp.shape[1] != lines:
        return f"scores of {here.tp.shape[1]} of {counted(lines, 'test line')} are stored"
    if run.tolerance not in here.tolerances:
        return f"no scores at the headline tolerance of {counted(run.tolerance, 'sample')} are stored"
    if here.tp.shape[0] != tolerances:
        return f"scores at {here.tp.shape[0]} of {tolerances} tolerances are stored"
    return ""
