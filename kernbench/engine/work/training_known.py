"""Finished cells that were trained as another one is to be: their network need not be trained a second time."""

import optuna
import torch
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from kernbench.engine.work import environment
from kernbench.engine.work.storing import Job
from kernbench.host.files import json_digest
from kernbench.store.database.outage import outlasting
from kernbench.store.files.artifact_entries import plain_files
from kernbench.store.tables.cell_states import SUPERSEDED, is_done
from kernbench.store.tables.optuna_rows import marked_trials
from kernbench.store.tables.optuna_tables import study_id
from kernbench.store.tables.result_tables import TRAINED_AS, RunRow, runs_of
from kernbench.study.cell import TrainedBefore
from kernbench.study.settings import AXIS_TEST
from kernbench.study.study import Params
from kernbench.study.task import task


def find_trained(job: Job, study: optuna.Study, cell: str, params: Params) -> list[TrainedBefore]:
    """Finished cells of the study that differ from this one in their test lines alone.

    Seed, definition, source of the plugin, settings of the machine and its software are the same, so training would
    give the same network. Draws of a search are trained each for itself: one may be ended early.

    Args:
        job: what the worker works with.
        study: as stored.
        cell: id; one that was put back to be trained again takes nothing over.
        params: of the cell.
    """
    if job.study.tuning is not None or not set(AXIS_TEST) & set(job.study.axes):
        return []
    machine, source = environment.environment(job.device), environment.source_digest(job.found.family)
    columns = {
        "status": "ok",
        "digest": job.study.digest,
        "plugin": job.found.label,
        "environment": json_digest(machine),
        "device": job.device,
        "threads": torch.get_num_threads(),
    }
    details = {"runtime": dict(job.study.runtime), "plugin_source": source}
    put_back = marked_trials(job.storage.engine, study_id(study), SUPERSEDED)
    trials = study.get_trials(deepcopy=False)
    if any(trials[number].user_attrs.get("cell") == cell for number in put_back):
        return []
    found = []
    for row in _rows(job.storage.engine, job.study.key):
        alike = all(getattr(row, name) == value for name, value in columns.items())
        alike = alike and all(row.details.get(name) == value for name, value in details.items())
        if alike and _plan(row.params) == _plan(params) and row.trial not in put_back and is_done(trials[row.trial]):
            files = plain_files(trials[row.trial].system_attrs, job.artifacts)
            values = {each.name: getattr(row, each.name) for each in task().columns}
            found.append(TrainedBefore(row.cell, row.details.get(TRAINED_AS) or row.cell, files, values))
    return sorted(found, key=lambda each: each.cell != each.trained_as)  # those that were trained themselves first


def _plan(params: Params) -> Params:
    """Values of a cell that its training depends on."""
    return {name: value for name, value in params.items() if name not in AXIS_TEST}


@outlasting
def _rows(engine: Engine, study: str) -> list[RunRow]:
    with Session(engine) as session:
        return runs_of(session, study)
