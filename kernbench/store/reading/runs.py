"""Runs as the report and the command line read them: Optuna's trials joined with our tables; writes nothing."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from kernbench.errors import StorageError, first_line, one_line
from kernbench.host.files import json_digest
from kernbench.host.garbage import put_off
from kernbench.store.database.opening import read_storage
from kernbench.store.database.outage import is_outage, reason_of
from kernbench.store.database.refusals import RIGHTS, lacks_rights
from kernbench.store.database.schema import schema_version
from kernbench.store.database.storage import SteadyStorage
from kernbench.store.database.url import shown_url, side_folder
from kernbench.store.files.artifact_entries import entries, plain_files
from kernbench.store.reading.naming import check_family, check_stored, family_of, matches
from kernbench.store.reading.records import Curves, LineInfo, Run, Scores
from kernbench.store.reading.scores import Wanted, headline_tolerances, read_scores
from kernbench.store.tables.cell_states import cell_states, failure_class, is_done
from kernbench.store.tables.liveness import silent_seconds
from kernbench.store.tables.optuna_rows import studies_with
from kernbench.store.tables.optuna_tables import close, engine_of, read_trials, table_of
from kernbench.store.tables.result_tables import EARLIER, TRAINED_AS, EnvironmentRow, FloorRow, LineRow, RunRow, runs_of
from kernbench.study.cell import CellState
from kernbench.study.reference import Reference, from_json
from kernbench.study.selection import ALL, Selection
from kernbench.study.task import task

# fields of a record that are columns of its row
OF_ROW = {field.name for field in fields(Run)} & set(table_of(RunRow).columns.keys()) - {"study", "environment"}


def stored_studies(
    url: str, names: Sequence[str] = (), families: Sequence[str] = (), *, some: bool = False
) -> list[optuna.Study]:
    """Optuna studies of the database that kernbench made, by name.

    Args:
        url: storage URL.
        names: only these; `k_sweep` means all its versions, profiles and families, `k_sweep.v1.quick/siren` one.
        families: only of these kernel families; each of them is in one of the studies of these names.
        some: one of the families is enough, as while a run of several has only begun.

    Raises:
        StorageError: no database, or it cannot be opened.
        StudyError: a name or a family that is not stored, with a close match.
    """
    storage = read_storage(url)
    ours = _names_in(storage)
    for name in names:
        check_stored(name, ours, shown_url(url))
    chosen = [name for name in sorted(ours) if not names or any(matches(name, each) for each in names)]
    begun = {family_of(name) for name in chosen}.intersection(families) if some else set()
    for family in families if not begun else ():
        check_family(family, chosen, shown_url(url))
    chosen = [name for name in chosen if not families or family_of(name) in families]
    assert storage is not None or not chosen
    sampler = optuna.samplers.RandomSampler(seed=0)
    return [optuna.load_study(study_name=name, storage=storage, sampler=sampler) for name in chosen if storage]


def stored_names(url: str) -> set[str]:
    """Names of the Optuna studies of the database that kernbench made.

    Raises:
        StorageError: no database, or it cannot be opened.
    """
    return _names_in(read_storage(url))


def _names_in(storage: SteadyStorage | None) -> set[str]:
    # others may have studies of their own in the same database
    return set() if storage is None else {name for name in studies_with(storage.engine, "digest") if "/" in name}


def asked_cells(study: optuna.Study) -> list[str]:
    """Cells of a stored study that were ever asked for.

    Raises:
        StorageError: the record is damaged.
    """
    with damage_explained(study.study_name):
        return list(map(str, json.loads(study.user_attrs.get("cells", "[]"))))


@contextmanager
def damage_explained(study: str) -> Iterator[None]:
    """Turn what a record raises that somebody has changed or lost into one line.

    Raises:
        StorageError: in its place.
    """
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, SQLAlchemyError) as error:
        if is_outage(error):
            raise
        if lacks_rights(error):
            raise StorageError(f"{one_line(study)} cannot be read: {reason_of(error)}; {RIGHTS}") from error
        raise StorageError(
            f"{one_line(study)}: a record in the database is damaged ({first_line(error)}); `kernbench storage check` "
            "checks all of them; restore a copy, or name other studies with --study"
        ) from error


def stored_states(study: optuna.Study, only: Selection = ALL) -> list[CellState]:
    """State of every cell ever asked for that is meant; of running ones, too, how long ago the last heartbeat was.

    Raises:
        StorageError: a record is damaged.
    """
    with damage_explained(study.study_name):
        return _states(study, read_trials(study), only)


def _states(study: optuna.Study, trials: Sequence[FrozenTrial], only: Selection) -> list[CellState]:
    if not isinstance(json.loads(study.user_attrs.get("definition", "{}")), dict):
        raise TypeError("its definition is no table")
    cells = [cell for cell in asked_cells(study) if cell in only]
    return cell_states(cells, trials, silent_seconds(engine_of(study)))


def load_runs(
    url: str,
    names: Sequence[str] = (),
    whole: Collection[str] | None = None,
    families: Sequence[str] = (),
    only: Selection = ALL,
) -> list[Run]:
    """Every cell that ended, as records: finished ones with scores, failed ones with the reason.

    Args:
        url: storage URL.
        names: as for `stored_studies`.
        whole: splits whose scores are read at every tolerance; those that a published number of these studies is about
            are among them. Of the others only the headline tolerances of these studies are read, from the lowest to
            the highest, which takes less time. All splits by default.
        families: as for `stored_studies`.
        only: which cells; others are not read, nor counted as missing.

    Raises:
        StorageError: there is no such database, or a record of it is damaged.
        StudyError: a name that is not stored.
    """
    runs: list[Run] = []
    missing: dict[str, dict[str, tuple[str, ...]]] = {}  # base -> study -> cells, shared by its records
    studies = stored_studies(url, names, families)
    wanted = Wanted() if whole is None else _wanted(studies, whole)
    for study in studies:
        engine = engine_of(study)
        with put_off(), damage_explained(study.study_name):
            runs += _study_runs(study, engine, side_folder(url, "artifacts"), wanted, missing, only)
        close(study)
    return runs


def _wanted(studies: Sequence[optuna.Study], whole: Collection[str]) -> Wanted:
    if not studies or schema_version(engine_of(studies[0])) is None:
        return Wanted()
    published = set()
    for study in studies:
        with damage_explained(study.study_name):
            published |= {row.split for row in _references(study.user_attrs)}
    with Session(engine_of(studies[0])) as session:
        names = [study.study_name for study in studies]
        return Wanted(published.union(whole), headline_tolerances(session, names))


def _study_runs(
    study: optuna.Study,
    engine: Engine,
    artifacts: Path,
    wanted: Wanted,
    missing: dict[str, dict[str, tuple[str, ...]]],
    only: Selection,
) -> list[Run]:
    if schema_version(engine) is None:
        return []
    trials = read_trials(study)
    with Session(engine) as session:
        rows = {row.cell: row for row in runs_of(session, study.study_name)}
        complete = {t.user_attrs["cell"]: t for t in trials if is_done(t) and "cell" in t.user_attrs}
        states = _states(study, trials, only)
        cells = _Cells(session, study, artifacts, missing, {"asked": len(states), "selected": only.text})
        runs, open_ = [], []
        meant = (row for row in rows.values() if row.cell in only)
        done = [row for row in meant if row.cell in complete and row.trial == complete[row.cell].number]
        scores = read_scores(engine, done, wanted)
        for state in states:
            trial, row = complete.get(state.cell), rows.get(state.cell)
            if trial is not None and row is not None and state.cell in scores:
                runs.append(cells.finished(trial, row, scores[state.cell]))
            elif state.state in ("failed", "lost"):
                runs.append(cells.failed(state, trials))
            else:
                open_.append(state.cell)
        if open_:
            cells.missing[study.study_name] = tuple(open_)
    return runs


class _Cells:
    """Makes the records of the cells of a study; what they share is read once."""

    def __init__(
        self,
        session: Session,
        study: optuna.Study,
        artifacts: Path,
        missing: dict[str, dict[str, tuple[str, ...]]],
        facts: Mapping[str, Any],
    ) -> None:
        self._artifacts = artifacts
        self._known = known = study.user_attrs  # a query each time
        definition = json.loads(known.get("definition", "{}"))
        base = str(known.get("base", study.study_name.partition("/")[0]))
        self.missing = missing.setdefault(base, {})
        self._facts: dict[str, Any] = {  # fields of a record
            "study": study.study_name,
            "base": base,
            "definition": definition,
            "question": str(known.get("question", "")),
            "missing": self.missing,
            **facts,
        }
        self._facts_of_finished = {
            # of what all families of a comparison share: the definition without the kernel
            "settings_digest": json_digest({key: value for key, value in definition.items() if key != "kernel"}),
            "note": str(known.get("note", "")),
            "references": _references(known),
        }
        self._machines = {row.digest: row.content for row in session.scalars(select(EnvironmentRow))}
        self._lines = cache(lambda data_digest: _lines(session, data_digest))

    def finished(self, trial: FrozenTrial, row: RunRow, scores: dict[str, Scores]) -> Run:
        """The record of a cell with a result."""
        artifacts = plain_files(trial.system_attrs, self._artifacts)
        return _run(
            row,
            **self._facts,
            **self._facts_of_finished,
            environment=self._machines.get(row.environment, {}),
            threshold=float(row.thresholds["test"][row.tolerance]) if "test" in scores else None,
            scores=scores,
            lines=self._lines(row.data_digest) if scores else None,
            artifacts=artifacts,
            lacking=len(entries(trial.system_attrs)) - len(artifacts),
            **_taken_over(row),
            matched=row.details.get("matched", {}),
            curve=_curve(row.details.get("curve")),
            plateau=_known_bool(row.details.get("plateau")),
            layers=tuple(map(dict, row.details.get("layers", ()))),
            network=dict(row.details.get("network", {})),
        )

    def failed(self, state: CellState, trials: Sequence[FrozenTrial]) -> Run:
        """The record of a cell without a row: one is made, and not stored, of what its last attempt has left."""
        ended = (TrialState.FAIL, TrialState.RUNNING)  # a duplicate that was dropped says nothing
        last = [t for t in trials if t.user_attrs.get("cell") == state.cell and t.state in ended][-1]
        environment = self._machines.get(str(last.user_attrs.get("environment", "")), {})
        row = RunRow(
            family=str(self._known.get("family", self._facts["study"].rpartition("/")[2])),
            cell=state.cell,
            params={**last.system_attrs.get("fixed_params", {}), **last.params},
            status=failure_class(last),
            digest=str(self._known.get("digest", "")),
            data_digest="",
            message=state.detail,
            tolerance=int(self._known.get("tolerance", 4)),
            epochs=1 + last.last_step if last.last_step is not None else None,
            plugin=str(last.user_attrs.get("plugin", "")),
            details={"plugin_source": last.user_attrs.get("plugin_source", "")},
            kernbench_version=str(environment.get("packages", {}).get("kernbench") or ""),
            device=str(environment.get("device", "")),
            started="" if last.datetime_start is None else last.datetime_start.isoformat(timespec="seconds"),
        )
        return _run(row, **self._facts, environment=environment, threshold=None)


def _references(known: Mapping[str, Any]) -> tuple[Reference, ...]:
    return tuple(from_json(row) for row in json.loads(known.get("references", "[]")))


def _run(row: RunRow, **found: Any) -> Run:
    """The record of a cell: columns of its row, which a failed cell has only here, and what was found elsewhere.

    Any: fields of `Run` of several types.
    """
    return Run(
        **{name: getattr(row, name) for name in OF_ROW},
        values={column.name: getattr(row, column.name) for column in task().columns},
        plugin_source=str(row.details.get("plugin_source", "")),
        **found,
    )


def _taken_over(row: RunRow) -> dict[str, Any]:
    """Fields of a cell that took the training of another one over; none for others. Any: text and number."""
    cell, earlier = row.details.get(TRAINED_AS), row.details.get(EARLIER)
    if not isinstance(cell, str) or row.seconds is None or not isinstance(earlier, int | float):
        return {}
    return {"trained_as": cell, "own_seconds": row.seconds - earlier}


def _known_bool(stored: object) -> bool | None:
    return stored if isinstance(stored, bool) else None


def _curve(stored: Mapping[str, Any] | None) -> Curves | None:
    """Cells of before curves were stored have none."""
    if stored is None:
        return None
    names = (field.name for field in fields(Curves))
    return Curves(**{name: np.asarray(stored[name], np.float64) for name in names})


def _lines(session: Session, data_digest: str) -> LineInfo | None:
    facts = _declared(session, LineRow, LineRow.signal, data_digest, [fact.name for fact in task().line_facts])
    floors = _declared(session, FloorRow, FloorRow.tolerance, data_digest, [floor.name for floor in task().floors])
    return LineInfo(facts, floors) if facts and floors else None


def _declared(
    session: Session, table: type[LineRow | FloorRow], order: Any, data_digest: str, names: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """Declared columns of the test lines, in order; empty where nothing is stored."""
    columns = [getattr(table, name) for name in names]
    of_test = (table.data_digest == data_digest, table.split == "test")
    rows = session.execute(select(*columns).where(*of_test).order_by(order)).all()
    return dict(zip(names, map(np.asarray, zip(*rows, strict=True)), strict=True)) if rows else {}
