"""A study as the database keeps it, so that a worker needs no study file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from sqlalchemy import Engine

from kernbench.errors import StudyError, close_match
from kernbench.store.database.url import shown_url
from kernbench.store.reading.naming import matches
from kernbench.store.reading.runs import damage_explained, stored_studies
from kernbench.store.tables.optuna_rows import change_study
from kernbench.store.tables.optuna_tables import close
from kernbench.study.selection import ALL, Selection
from kernbench.study.settings import SETTINGS
from kernbench.study.study import Study, differences
from kernbench.study.toml_tables import TomlTable
from kernbench.study.tuning import stored_space

CELLS, AXES, SEEDS, RUNTIME = "cells", "axes", "seeds", "runtime"  # user attributes of the Optuna study, JSON
DROPPED = "dropped"  # the same: cells that were taken out of `cells` and not asked for since


@dataclass(frozen=True)
class Stored:
    """A study of a database, for one family.

    Attributes:
        key: its name, `k_sweep.v1.quick/siren`.
        name: of the study file, without `.toml`.
        version: of the study.
        profile: scale.
        family: kernel family.
        definition: what gives its cells their meaning.
        cells: ids of the cells that were ever asked for.
        table: what its file would hold.
        source: for messages.
    """

    key: str
    name: str
    version: int
    profile: str
    family: str
    definition: TomlTable
    cells: tuple[str, ...]
    table: TomlTable
    source: str


def ask_for(engine: Engine, study_id: int, study: Study, only: Selection = ALL) -> None:
    """Add the cells of a study to those that were ever asked for, in one step: another run may add some, too.

    Args:
        engine: of the storage.
        study_id: Optuna's.
        study: as it is run now.
        only: which cells are added to those of a study that has some; one that is new is asked for whole.
    """

    def asked(known: Mapping[str, Any]) -> dict[str, str]:
        before = json.loads(known.get(CELLS, "[]"))
        cells = list(dict.fromkeys([*before, *(cell for cell in study.cells() if not before or cell in only)]))
        found = {CELLS: cells} | what_workers_need(study, known)
        if DROPPED in known:
            found[DROPPED] = [cell for cell in json.loads(known[DROPPED]) if cell not in cells]
        return {name: json.dumps(value) for name, value in found.items()}

    change_study(engine, study_id, asked)


def what_workers_need(study: Study, known: Mapping[str, Any]) -> dict[str, Any]:
    """User attributes that hold what the definition leaves out: axes and seeds of all cells so far, and the runtime.

    Args:
        study: as it is run now.
        known: user attributes of the Optuna study; values and seeds that are stored stay.
    """
    axes: dict[str, list[Any]] = json.loads(known.get(AXES, "{}"))
    for name, values in study.axes.items():
        axes[name] = [*axes.get(name, []), *(value for value in values if value not in axes.get(name, []))]
    seeds = max(json.loads(known.get(SEEDS, "0")), len(study.seeds))
    return {AXES: axes, SEEDS: seeds, RUNTIME: dict(study.runtime)}


def find_stored(url: str, name: str, profile: str | None = None, family: str | None = None) -> list[Stored]:
    """Studies of a database that a worker may serve: one of each family.

    Args:
        url: storage URL.
        name: `k_sweep`, which is its newest version, or `k_sweep.v1.quick`, or `k_sweep.v1.quick/siren`.
        profile: only this one.
        family: only this one.

    Raises:
        StorageError: no database, it cannot be opened, or a record is damaged.
        StudyError: nothing of that name, profile or family, with what is stored; or several profiles and none named.
    """
    studies = stored_studies(url)
    try:
        chosen = [study for study in studies if matches(study.study_name, name)]
        found = [_stored(study, url) for study in chosen]
    finally:
        for study in studies[:1]:  # all are of one storage
            close(study)
    if not found:
        names = [study.study_name for study in studies]
        hint = close_match(name, {*names, *(each.partition(".")[0] for each in names)})
        raise StudyError(f"no study {name!r} in {shown_url(url)}{hint}; stored: {', '.join(names) or 'none'}")
    found = _narrowed(found, "profile", profile, name)
    found = _narrowed(found, "family", family, name)
    profiles = sorted({each.profile for each in found})
    if len(profiles) > 1:
        raise StudyError(f"study {name!r} is stored with profiles {', '.join(profiles)}; give --profile")
    newest = max(each.version for each in found)
    return [each for each in found if each.version == newest]


def _narrowed(found: Sequence[Stored], kind: str, wanted: str | None, name: str) -> list[Stored]:
    kept = [each for each in found if wanted is None or getattr(each, kind) == wanted]
    if not kept:
        there = ", ".join(sorted({getattr(each, kind) for each in found}))
        raise StudyError(f"study {name!r} is not stored with {kind} {wanted!r}; stored: {there}")
    return kept


def _stored(study: optuna.Study, url: str) -> Stored:
    with damage_explained(study.study_name):
        return _from_attributes(study.study_name, study.user_attrs, url)


def _from_attributes(key: str, attributes: Mapping[str, Any], url: str) -> Stored:
    base, _, family = key.partition("/")
    name, version, profile = [*base.split(".", 2), "", ""][:3]
    source = f"{key} in {shown_url(url)}"
    if not {"definition", CELLS, AXES, SEEDS, RUNTIME} <= set(attributes) or not version[1:].isdigit():
        raise StudyError(f"{source} does not hold all that a worker needs; `kernbench run` of the study adds it")
    for record, kind in (("definition", dict), (CELLS, list), (AXES, dict), (SEEDS, int), (RUNTIME, dict)):
        if not isinstance(json.loads(attributes[record]), kind):
            raise TypeError(f"its {record} is of another type")
    if not all(isinstance(cell, str) for cell in json.loads(attributes[CELLS])):
        raise TypeError("its cells are no names")
    definition = json.loads(attributes["definition"])
    return Stored(
        key=key,
        name=name,
        version=int(version[1:]),
        profile=profile,
        family=family,
        definition=definition,
        cells=tuple(json.loads(attributes[CELLS])),
        table=_table(definition, attributes, int(version[1:]), profile),
        source=source,
    )


def _table(definition: TomlTable, attributes: Mapping[str, Any], version: int, profile: str) -> TomlTable:
    """The study file that gives this definition, with everything said that a file may leave to the profile."""
    tables: TomlTable = {
        key: dict(value) for key, value in definition.items() if isinstance(value, dict) and key != "kernel"
    }
    for key, value in json.loads(attributes[RUNTIME]).items():
        home = next((name for name, settings in SETTINGS.items() if key in settings), None)
        if home is not None:  # a way to compute that this version does not know changes no cell
            tables[home][key] = value
    kernel = definition["kernel"]
    if "tuning" in tables:
        tables["tuning"]["space"] = {kernel["family"]: stored_space(definition)}
    return tables | {
        "version": version,
        "axes": json.loads(attributes[AXES]),
        "seeds": json.loads(attributes[SEEDS]),
        "hyper": {kernel["family"]: kernel["hyper"]},
        "profiles": {profile: {}},
    }


def check_same(stored: Stored, study: Study) -> None:
    """Check that this installation means by the stored definition what the one meant that stored it.

    Args:
        stored: the definition in the database.
        study: what this installation makes of it.

    Raises:
        StudyError: it computes other cells, with what differs.
    """
    changed = differences(stored.definition, study.definition)
    if changed:
        raise StudyError(
            f"{stored.source} cannot be joined: this installation would compute other cells: {'; '.join(changed)}. "
            "Install the versions of kernbench and of the plugin that the study was begun with."
        )
