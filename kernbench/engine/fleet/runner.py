"""A study against its database: digest check, missing cells, queue, worker."""

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import optuna

from kernbench.engine.fleet.children import Crew
from kernbench.engine.fleet.coordinator import coordinate
from kernbench.engine.notes import notes
from kernbench.engine.queue.queueing import asked_for, drop_unasked, enqueue_all
from kernbench.engine.queue.recovery import recover
from kernbench.engine.work.storing import Job, make_job, note_other_plugins
from kernbench.engine.work.terms import Terms, opened
from kernbench.engine.work.worker import RefusingSampler, opened_study, stop_on_signals, work_and_give_back
from kernbench.errors import StudyError, counted
from kernbench.host.files import json_digest
from kernbench.registry import Found
from kernbench.store.database.opening import check_place, read_storage
from kernbench.store.database.storage import SteadyStorage
from kernbench.store.database.url import sqlite_path
from kernbench.store.reading.runs import damage_explained
from kernbench.store.reading.stored_study import DROPPED, ask_for
from kernbench.store.tables.cell_states import cell_states, is_done
from kernbench.store.tables.optuna_tables import read_trials, study_id
from kernbench.study.cell import ENDED, CellContext, CellState, Observer, Outcome
from kernbench.study.selection import ALL, Selection
from kernbench.study.study import Study, differences
from kernbench.study.task import task


@dataclass(frozen=True)
class Options(Terms):
    """What the user typed; without worker processes the limit of an attempt is only asked for between batches.

    Attributes:
        extend: allow cells beyond those stored.
        more_seeds: allow further seeds of points that are stored.
        retry_failed: queue failed cells again.
        queue_only: create the study and its queue, run nothing.
    """

    extend: bool = False
    more_seeds: bool = False
    retry_failed: bool = False
    queue_only: bool = False


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    Attributes:
        states: state of every cell that is meant, in order.
        queue: cells to queue.
        added: cells beyond those stored.
        left_out: stored cells that the study file no longer has.
        only: which cells are meant.
    """

    states: Sequence[CellState]
    queue: Sequence[str]
    added: Sequence[str]
    left_out: Sequence[str]
    only: Selection = ALL

    @property
    def waiting(self) -> int:
        """Cells that wait already."""
        return sum(state.state == "waiting" for state in self.states)

    @property
    def to_run(self) -> int:
        """Cells that would run."""
        return len(self.queue) + self.waiting


@dataclass(frozen=True)
class Result:
    """How a run ended.

    Attributes:
        exit_code: 0, 1 with failed cells, 130 after SIGINT.
        plan: what there was to do.
        states: the last state of every cell.
        stopped: SIGINT, SIGTERM or SIGHUP ended it.
    """

    exit_code: int
    plan: Plan
    states: Sequence[CellState]
    stopped: bool = False

    @property
    def ended(self) -> bool:
        """Whether there is a finished or failed cell to report."""
        return any(state.state in (*ENDED, "failed") for state in self.states)


def plan(study: Study, options: Options) -> Plan:
    """Compare a study with its database without writing anything.

    Raises:
        StudyError: the study changed since its cells ran, or cells were added without `extend`.
        StorageError: the database cannot be opened, or is of a version that is not known; or a record is damaged.
    """
    check_place(options.url)
    path = sqlite_path(options.url)
    storage = None if path is not None and not path.exists() else read_storage(options.url)
    if storage is None:
        return _whole(study, options)
    with closing(storage):
        try:
            storage.get_study_id_from_name(study.key)  # reads no attributes: those of another study may be damaged
        except KeyError:
            return _whole(study, options)
        with damage_explained(study.key):
            return _plan(study, opened_study(study.key, storage), options)


def run(
    study: Study,
    found: Found,
    options: Options,
    compute: Callable[[CellContext], Outcome],
    prepare: Callable[[], None],
    observer: Observer,
    crew: Crew | None = None,
) -> Result:
    """Run the missing cells of a study.

    Args:
        study: the study.
        found: family and its origin.
        options: see Options.
        compute: the task.
        prepare: called once before the first cell, if there is one to run (makes the data).
        observer: who shows progress.
        crew: worker processes that run the cells; None runs them in this one.

    Raises:
        StudyError, StorageError: see `plan`; nothing has been written then.
        StorageLostError: the database became unavailable; or another StorageError, when a folder or disk failed.
        WorkersError: worker processes cannot be started.
    """
    first = plan(study, options)  # refuses before anything is created
    with opened(options, observer.note) as storage:
        optuna_study = _create(study, storage, options)
        recover(optuna_study, storage, options.grace_s, observer)
        now = replace(_plan(study, optuna_study, options), added=first.added)
        note_other_plugins(storage, study, found, observer)
        drop_unasked(optuna_study, storage, study.cells())
        enqueue_all(optuna_study, study, now.queue)
        code, stopped = 0, False
        if now.to_run and not options.queue_only and crew is not None:
            code, stopped = coordinate(optuna_study, study, storage, options, crew, prepare, observer)
        elif now.to_run and not options.queue_only:
            with stop_on_signals() as stop:
                storage.outages.leaving = stop
                job = make_job(
                    options.url,
                    study=study,
                    found=found,
                    storage=storage,
                    device=options.device,
                    compute=compute,
                    observer=observer,
                    stop=stop,
                    total=now.to_run,
                    cells=options.cells_of(study),
                    limit=None if options.limit is None else replace(options.limit, margin=None),
                )
                code, stopped = _work(optuna_study, job, prepare), stop()
        states = _states(study, optuna_study, options)
    if not stopped and any(state.state == "failed" for state in states):
        code = 1
    return Result(code, now, states, stopped)


def _work(optuna_study: optuna.Study, job: Job, prepare: Callable[[], None]) -> int:
    """Work in this process; again where a run with another study file has dropped cells of this one."""
    while True:
        code = work_and_give_back(optuna_study, job, prepare)
        asked = asked_for(optuna_study) or set()
        states = cell_states([cell for cell in job.cells if cell in asked], read_trials(optuna_study))
        dropped = [each.cell for each in states if each.state == "missing"]
        if job.stop() or not dropped:
            return code
        enqueue_all(optuna_study, job.study, dropped)


def _states(study: Study, optuna_study: optuna.Study, options: Options) -> list[CellState]:
    return cell_states(options.cells_of(study), read_trials(optuna_study))


def _whole(study: Study, options: Options) -> Plan:
    """Every cell that is meant, of a study that is not stored yet."""
    states = cell_states(options.cells_of(study), [])
    return Plan(states, [state.cell for state in states], [], [], options.only)


def _create(study: Study, storage: SteadyStorage, options: Options) -> optuna.Study:
    opened = optuna.create_study(
        study_name=study.key,
        storage=storage,
        direction="maximize",
        sampler=RefusingSampler(seed=0),
        pruner=optuna.pruners.NopPruner(),
        load_if_exists=True,
    )
    _check_digest(study, opened)  # another coordinator may have been faster
    known = opened.user_attrs
    facts = {
        # with blanks, unlike the digest's form, so that a page that shows it can break the line
        "definition": json.dumps(study.definition, sort_keys=True, allow_nan=False),
        "digest": study.digest,
        "base": study.base,
        "family": study.family.name,
        "question": study.question,
        "tolerance": study.tolerance,
    }
    for name, value in facts.items():
        if name not in known:
            opened.set_user_attr(name, value)
    references = json.dumps([reference.as_json() for reference in study.references])
    for name, value, empty in (("references", references, "[]"), ("note", study.note, "")):
        if value != known.get(name, empty):
            opened.set_user_attr(name, value)  # corrected in the file, they are corrected here
    ask_for(storage.engine, study_id(opened), study, options.only)
    opened.set_metric_names([task().score])
    notes.save_study(opened, study, storage.engine)
    return opened


def _plan(study: Study, stored: optuna.Study, options: Options) -> Plan:
    _check_digest(study, stored)
    wanted = study.cells()
    before = dict.fromkeys(json.loads(stored.user_attrs.get("cells", "[]")))
    added = [cell for cell in options.cells_of(study) if before and cell not in before]
    dropped = set(json.loads(stored.user_attrs.get(DROPPED, "[]")))  # the study has had them
    known = {_point_of(cell) for cell in before} if options.more_seeds else set()
    unasked = [cell for cell in added if _point_of(cell) not in known and cell not in dropped]
    if unasked and not options.extend:
        raise StudyError(
            f"{study.source} asks for {counted(len(unasked), 'cell')} that {study.key} does not have "
            f"({_axes_of(unasked)}); give --extend to add them"
        )
    states = _states(study, stored, options)
    queue = [s.cell for s in states if s.retry or (s.state == "failed" and options.retry_failed)]
    return Plan(states, queue, added, [cell for cell in before if cell not in wanted], options.only)


def _check_digest(study: Study, stored: optuna.Study) -> None:
    definition = json.loads(stored.user_attrs.get("definition", "null"))
    if definition is None or json_digest(definition) == study.digest:
        return
    changed = differences(definition, study.definition)
    finished = sum(is_done(trial) for trial in stored.get_trials(deepcopy=False))
    raise StudyError(
        f"{study.key} has {counted(finished, 'finished cell')} made with other settings: {'; '.join(changed)}. "
        f"Restore the value, or raise version in {study.source}."
    )


def _point_of(cell: str) -> str:
    """A cell without its seed."""
    return ",".join(pair for pair in cell.split(",") if not pair.startswith("seed="))


def _axes_of(cells: Sequence[str]) -> str:
    values: dict[str, dict[str, None]] = {}
    for cell in cells:
        for pair in cell.split(","):
            name, _, value = pair.partition("=")
            values.setdefault(name, {})[value] = None
    return ", ".join(f"{name}: {' '.join(found)}" for name, found in values.items())
