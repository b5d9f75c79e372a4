"""Notes that optuna-dashboard shows with a study and with each of its trials: what it was, how it ended, where it ran.

They are written by optuna-dashboard's own `save_note`, because how it stores them is not documented: without the extra
`dashboard` there are none. A note that cannot be written is a warning and never fails a cell.
"""

import importlib.util
import logging
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import optuna
from optuna.trial import TrialState
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from kernbench.engine.notes.markdown import block, code, plain, table
from kernbench.errors import counted, first_line
from kernbench.store.database.outage import outlasting
from kernbench.store.tables.cell_states import failure_class
from kernbench.store.tables.optuna_tables import storage_of
from kernbench.store.tables.result_tables import FloorRow, RunRow
from kernbench.study.cell import Outcome
from kernbench.study.study import Params, Study
from kernbench.study.task import task

log = logging.getLogger("kernbench")

SIGNATURE = "*Written by kernbench, and again when a cell ends.*"  # a study's note without it is a user's
READING = """\
**How to read.** A trial is one attempt at a cell: one point of the axes with one seed. Its value, `f1_val`, is the mean
F1 on the validation lines; a trial that diverged has minus infinity. `f1_test` is the mean F1 on the test lines at the
tolerance above, with thresholds frozen before; below the blind floors it is worse than a blind guess.

A trial that failed says why in its note, and keeps the full traceback as an artifact. Families of one study are
compared, with intervals, in [the report](/report/), which `kernbench report` writes."""
WORDS = {
    "diverged": "Training met NaN or infinity: a result of this family, counted, ranked last and never repeated.",
    "oom": "It ran out of memory. `kernbench run --retry-failed` tries again.",
    "error": "The family or the task raised an error. `kernbench run --retry-failed` tries again.",
    "timeout": "It took longer than a cell may. `kernbench run --retry-failed` tries again.",
    "interrupted": "Stopped by a signal; the next `kernbench run` takes it up from its checkpoint.",
    "killed": "Its worker ended without a report: it was killed, crashed, ran out of memory or lost power. The next "
    "`kernbench run` takes the cell up, as a new trial.",
}


def of_finished(study: Study, run: RunRow, outcome: Outcome, machine: Mapping[str, Any]) -> str:
    """Note of a trial that was scored or has diverged.

    Args:
        study: the study.
        run: its row, not yet written: a written one belongs to its session.
        outcome: of the task.
        machine: environment.
    """
    rows = [
        *_place(study, run.params),
        *outcome.note,
        *((column.label, column.text(outcome.values.get(column.name))) for column in task().columns),
        ("seconds", _number(run.seconds, 1)),
        ("epochs", _number(run.epochs)),
        ("resumed from epoch", _number(run.resumed_from)),
        ("attempts at the cell", _number(run.attempts)),
    ]
    return _joined(
        _head(study.key, run.cell, run.status),
        WORDS.get(outcome.status, ""),
        code(outcome.message) if outcome.status in WORDS else "",
        table((name, value) for name, value in rows if value),
        _where(machine, run.plugin, run.started),
        plain(f"Definition {run.digest}, data {run.data_digest}, environment {run.environment}."),
    )


def of_failed(
    study: Study, cell: str, params: Params, status: str, error: BaseException, machine: Mapping[str, Any], plugin: str
) -> str:
    """Note of a trial that ended with an error: what failed, and why.

    Args:
        study: the study.
        cell: its id.
        params: its values.
        status: class of the failure.
        error: what ended it.
        machine: environment.
        plugin: distribution and version.
    """
    lines = "" if status in ("interrupted", "timeout") else "".join(traceback.format_exception(error))
    return _joined(
        _head(study.key, cell, status),
        WORDS.get(status, ""),
        code(first_line(error)),
        table(_place(study, params)),
        _where(machine, plugin, ""),
        block(lines) if lines else "",
    )


def of_study(study: Study, floors: Iterable[tuple[str, str]]) -> str:
    """Note of an Optuna study: its question and how to read it.

    Args:
        study: the study.
        floors: digest of the data, and the blind floors on its test lines at the headline tolerance, as text.
    """
    rows = [
        ("study", study.base),
        ("kernel family", study.family.name),
        ("profile", study.profile),
        ("tolerance", counted(study.tolerance, "sample")),
        *((name, ", ".join(map(str, values))) for name, values in study.axes.items()),
        ("seeds", ", ".join(map(str, study.seeds))),
        *(("blind floors (F1 on test lines)", f"{said} (data {digest})") for digest, said in floors),
        ("definition", study.digest),
    ]
    question = f"**{plain(study.question, 2000)}**" if study.question else ""
    return _joined(question, table(rows), READING, plain(study.note, 4000), SIGNATURE)


def save(target: optuna.Study | optuna.Trial, text: str) -> None:
    """Save a note with optuna-dashboard; without the extra nothing is done."""
    if importlib.util.find_spec("optuna_dashboard") is None:
        return
    try:
        from optuna_dashboard import save_note  # noqa: PLC0415  # an extra

        save_note(target, text)
    except Exception as error:  # whatever is wrong with a note, the cell goes on
        log.warning("a note for the dashboard was not written: %s", first_line(error))


def save_study(optuna_study: optuna.Study, study: Study, engine: Engine) -> None:
    """Write the note of a study if it says something new; one that a user wrote is left alone."""
    if importlib.util.find_spec("optuna_dashboard") is None:
        return
    try:
        from optuna_dashboard import get_note  # noqa: PLC0415  # an extra

        known = optuna_study.user_attrs  # a worker without a study file has neither question nor note
        question, note = (getattr(study, name) or known.get(name, "") for name in ("question", "note"))
        old = get_note(optuna_study)
        new = of_study(replace(study, question=question, note=note), _floors(engine, study))
    except Exception as error:
        log.warning("the note of study %s was not written: %s", study.key, first_line(error))
        return
    if old != new and (not old or old.endswith(SIGNATURE)):
        save(optuna_study, new)


def save_lost(optuna_study: optuna.Study, trial_id: int) -> None:
    """Write the note of a failed trial whose worker has ended, so that another process has failed it.

    Args:
        optuna_study: of the trial.
        trial_id: Optuna's.
    """
    frozen = storage_of(optuna_study).get_trial(trial_id)
    if frozen.state != TrialState.FAIL or "family" in frozen.user_attrs:  # its own worker has written it
        return
    known = {name: frozen.user_attrs.get(name, "unknown") for name in ("worker", "cell")}
    status, error = failure_class(frozen), frozen.user_attrs.get("error", "")
    head = _head(optuna_study.study_name, known["cell"], status)
    worker = f"Worker: {code(known['worker'])}"
    save(optuna.Trial(optuna_study, trial_id), _joined(head, WORDS.get(status, ""), code(error), worker))


@outlasting
def _floors(engine: Engine, study: Study) -> list[tuple[str, str]]:
    """Floors of the test lines of every data set that cells of a study ran on."""
    tolerance = study.tolerance
    used = select(RunRow.data_digest).where(RunRow.study == study.key)
    query = select(FloorRow).order_by(FloorRow.data_digest)
    query = query.where(FloorRow.split == "test", FloorRow.tolerance == tolerance, FloorRow.data_digest.in_(used))
    with Session(engine) as session:
        return [
            (row.data_digest, ", ".join(f"{floor.label} {getattr(row, floor.name):.3f}" for floor in task().floors))
            for row in session.scalars(query)
        ]


def _head(study: str, cell: str, status: str) -> str:
    return f"**{plain(status)}**: {code(study)}, cell {code(cell)}"


def _place(study: Study, params: Params) -> list[tuple[str, str]]:
    """Family, kernel size (where it is no axis, the study's), the other axes, seed."""
    fixed = study.definition.get("network", {}).get("kernel_size")
    size = {} if fixed is None else {"kernel_size": fixed}
    values = {name: value for name, value in (size | params).items() if name != "seed"}
    rows = [("family", study.family.name), *values.items(), ("seed", params.get("seed", ""))]
    return [("kernel size" if name == "kernel_size" else name, str(value)) for name, value in rows]


def _where(machine: Mapping[str, Any], plugin: str, started: str) -> str:
    packages = machine["packages"]
    named = {
        "kernbench": packages["kernbench"],
        "git": machine["git"],
        "torch": packages["torch"],
        "Python": machine["python"],
        "plugin": plugin,
        "started": started,
    }
    parts = [f"{machine['device']} ({machine['gpu'] or machine['cpu']})", counted(machine["threads"], "thread")]
    parts += [f"{name} {value}" for name, value in named.items() if value]
    return f"Ran on {plain(', '.join(parts), 1000)}."


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


def _number(value: float | None, digits: int = 0) -> str:
    return "" if value is None else f"{value:,.{digits}f}"
