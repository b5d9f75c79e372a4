"""Cells whose stored scores are not whole: they are marked and listed, and enter no mean."""

from collections.abc import Iterable
from dataclasses import replace

from kernbench.report.numbers.points import TEST
from kernbench.store.reading.records import OK, Run

INCOMPLETE = "incomplete"


def marked(runs: Iterable[Run]) -> list[Run]:
    """The cells, with status "incomplete", a reason and no scores where test lines or tolerances are missing.

    How many lines there are is known from the lines themselves, or from other cells that were scored on them.
    """
    runs = list(runs)
    lines: dict[str, int] = {}
    tolerances: dict[str, int] = {}
    for run in runs:
        if run.status == OK and TEST in run.scores:
            known = [] if run.lines is None else [len(next(iter(run.lines.facts.values())))]
            here = run.scores[TEST].tp.shape
            tolerances[run.base] = max(tolerances.get(run.base, 0), here[0])
            lines[run.data_digest] = max([lines.get(run.data_digest, 0), here[1], *known])
    reasons = ((run, _reason(run, tolerances.get(run.base, 0), lines.get(run.data_digest, 0))) for run in runs)
    return [replace(run, status=INCOMPLETE, message=said, scores={}) if said else run for run, said in reasons]


def _reason(run: Run, tolerances: int, lines: int) -> str:
    if run.status != OK:
        return ""
    if TEST not in run.scores:
        return "no scores on the test lines are stored"
    here = run.scores[TEST]
    if here.tp.shape[1] < lines:
        return f"scores of {here.tp.shape[1]} of {lines} test lines are stored"
    if run.tolerance not in here.tolerances:
        return f"no scores at the headline tolerance of {run.tolerance} samples are stored"
    if here.tp.shape[0] < tolerances:
        return f"scores at {here.tp.shape[0]} of {tolerances} tolerances are stored"
    return ""
