"""Study files read: from TOML and a profile to a `Study`, each refusal with file and key."""

import os
import re
import tomllib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from kernbench.errors import KernbenchError, KernbenchWarning, StudyError, close_match, one_line
from kernbench.kernels.family import MAX_NAME, KernelFamily
from kernbench.registry import installed
from kernbench.study.budget import Budget, read_budget
from kernbench.study.networks import own_sizes, read_networks
from kernbench.study.offered import Offered, offered_studies, read_toml
from kernbench.study.reference import read_references
from kernbench.study.settings import SETTINGS, Setting, Value, axis_home, check_table, runtime_settings
from kernbench.study.study import Params, Study
from kernbench.study.toml_tables import TomlTable, only, table_of
from kernbench.study.tuning import Tuning, read_tuning, spaces_named

_PLAIN = {  # keys beside the tables
    "version": Setting(int, "raised when the meaning of a cell changes", 1),
    "seeds": Setting(int, "seeds of initialization and batch order", 1, 1000),
    "question": Setting(str, "what the study answers, one line"),
    "note": Setting(str, "for the report"),
}

_IN_BOTH = ("axes", "seeds", "hyper", "tuning", "budget", "networks", *SETTINGS)

_TOP = ("version", "question", "profiles", "reference", "note", *_IN_BOTH)

_IN_PROFILE = ("description", *_IN_BOTH)


def available_studies() -> dict[str, Traversable]:
    """Installed studies by name: TOML files of the packages under the entry-point group `kernbench.studies`."""
    return dict(offered_studies().files)


def profiles() -> dict[str, TomlTable]:
    """Profiles by name, as in `profiles.toml`."""
    return tomllib.loads((files("kernbench.study") / "profiles.toml").read_text(encoding="utf-8"))


def load_study(name: str, family: KernelFamily, profile: str) -> Study:
    """Read a study for one family at one profile.

    Args:
        name: an installed study, or the path of a `.toml` file.
        family: kernel family; its search space checks the hyper-parameters and axes.
        profile: "quick" or "thesis", or one that the study adds under [profiles.NAME].

    Raises:
        StudyError: unknown study, profile, key, axis or value; each with file, key and a close match.
    """
    source, table = _read(name)
    return study_of(table, _name(name), family, profile, source)


def study_of(table: TomlTable, name: str, family: KernelFamily, profile: str, source: str) -> Study:
    """A study from what its file holds, or from what a database keeps of it.

    Args:
        table: as in a study file.
        name: of the study.
        family: see `load_study`.
        profile: see `load_study`.
        source: where the table is from, for messages.

    Raises:
        StudyError: see `load_study`.
    """
    only(table, _TOP, source, "")
    if "version" not in table:
        raise StudyError(f"{source}: version: expected a whole number >= 1, got none; write version = 1")
    layers = _layers(table, profile, source)
    given = {"question": "", "note": ""} | {key: layer[key] for layer in layers for key in _PLAIN if key in layer}
    plain: TomlTable = {key: setting.checked(given[key], f"{source}: {key}") for key, setting in _PLAIN.items()}
    axes = _axes(layers, family, source)
    hyper = _given_hyper(layers, family, source)
    definition, runtime = _definition(layers, axes, source)
    tuning = read_tuning(layers, family, axes, hyper, definition["training"], source)
    budget = read_budget(layers, family, {*(name for name in axes if axis_home(name) is None), *hyper}, source)
    networks, widths = read_networks(layers, axes.keys(), source), budget is not None and bool(budget.channels)
    definition["network"] = own_sizes(layers, axes.keys(), networks, definition["network"], widths, source)
    if networks:
        definition["networks"] = networks
    definition["kernel"] = _kernel(family, hyper, axes, tuning, budget, source)
    if tuning is not None:
        definition["tuning"] = tuning.as_json()
    if budget is not None:  # a study without one keeps the digest that it has always had
        definition["budget"] = budget.as_json()
    return Study(
        name=name,
        version=plain["version"],
        profile=profile,
        family=family,
        source=source,
        question=plain["question"],
        note=plain["note"],
        axes=axes,
        seeds=tuple(range(plain["seeds"])),
        definition=definition | {"profile": profile},
        references=read_references(table.get("reference", []), axes, source),
        runtime=runtime,
        tuning=tuning,
        budget=budget,
    )


def _name(given: str) -> str:
    """Name of a study: what comes before `.v1.quick/siren` in the database and on the command line."""
    name = Path(given).name.removesuffix(".toml")
    if len(name) > MAX_NAME or not re.fullmatch(r"[\w-]+", name):
        raise StudyError(
            f"study name {name[:MAX_NAME]!r}: expected at most {MAX_NAME} letters, digits, _ and -; rename the file"
        )
    return name


def _read(name: str) -> tuple[str, TomlTable]:
    if name.endswith(".toml"):
        if not os.path.isfile(name):  # noqa: PTH113  # takes a name that no file can have, too
            raise StudyError(
                f"no study file '{one_line(name, 300)}'; expected the path of a .toml file, or an installed study"
            )
        return name, read_toml(Path(name), name)
    offered = offered_studies()
    if (file := offered.file(name)) is None:
        raise _no_study(name, offered)
    return f"studies/{name}.toml", read_toml(file, f"studies/{name}.toml")


def _no_study(name: str, offered: Offered) -> StudyError:
    """The error for a name that nothing has, with the nearest one, and packages that might have offered it."""
    shown = one_line(name, 300)
    if "/" in name:
        return StudyError(f"no study file '{shown}'; expected the path of a .toml file, or an installed study")
    hint = close_match(name, offered.files) or f"; installed: {', '.join(offered.files)}"
    also = "".join(f"; studies of package {each!r} cannot be read: {why}" for each, why in offered.broken.items())
    return StudyError(f"no study '{shown}'{hint}; for one of your own give the path of its .toml file{also}")


def _layers(table: TomlTable, profile: str, source: str) -> list[TomlTable]:
    """Tables that apply, weakest first: the profile's own, the study's, the study's for this profile."""
    general = profiles()
    overrides = table_of(table, "profiles", source)
    for name in overrides:
        only(table_of(overrides, name, source), _IN_PROFILE, source, f"profiles.{name}.")
        if name not in general and close_match(name, general):
            raise StudyError(f"{source}: unknown profile profiles.{name}{close_match(name, general)}")
    if profile not in general and profile not in overrides:
        known = [*general, *(name for name in overrides if name not in general)]
        hint = close_match(profile, known) or f"; known: {', '.join(known)}"
        raise StudyError(f"no profile {profile!r}{hint} (study {source})")
    own = {key: value for key, value in table.items() if key != "profiles"}
    return [general.get(profile, general["quick"]), own, overrides.get(profile, {})]


def _axes(layers: Sequence[TomlTable], family: KernelFamily, source: str) -> dict[str, tuple[Value, ...]]:
    given: TomlTable = {}
    for layer in layers:
        given |= table_of(layer, "axes", source)
    field = any("field" in table_of(layer, "network", source) for layer in layers)
    if "kernel_size" not in given and not field and "field" not in given:
        near = close_match("kernel_size", given).replace("did you mean", "is it meant by")
        raise StudyError(f"{source}: axes.kernel_size is missing; expected a list of odd numbers{near}")
    return {name: _axis(name, values, family, source) for name, values in given.items()}


def _axis(name: str, values: object, family: KernelFamily, source: str) -> tuple[Value, ...]:
    where = f"{source}: axes.{name}"
    if not isinstance(values, list) or not values:
        raise StudyError(f"{where}: expected a list of values, got {values!r}")
    if name == "seed":
        raise StudyError(f"{where}: seeds are no axis; give their number as `seeds = 3`")
    home = axis_home(name)
    if home is not None:
        setting = SETTINGS[home][name]
        if setting.files:
            checked = tuple(replace(setting, files=()).checked(value, where) for value in values)
        else:
            checked = tuple(check_table(home, {name: value}, where)[name] for value in values)
    elif name in family.parameters:
        checked = tuple(_hyper({name: value}, family, where)[name] for value in values)
    else:
        known = [*({*SETTINGS["network"], *SETTINGS["training"]} - runtime_settings()), *family.parameters]
        hint = close_match(name, known) or f"; known: {', '.join(['kernel_size', *family.parameters])}"
        if hint.startswith("; did"):
            hint = hint.replace("'", "'axes.", 1)
        raise StudyError(f"{source}: unknown key axes.{name} for family {family.name!r}{hint}")
    if len(set(checked)) != len(checked):
        raise StudyError(f"{where}: the same value is given twice in {values!r}")
    return checked


def _definition(layers: Sequence[TomlTable], axes: Mapping[str, Any], source: str) -> tuple[TomlTable, Params]:
    """Settings that give a cell its meaning, and apart from them how it is computed."""
    definition: TomlTable = {}
    runtime: Params = {}
    for table in SETTINGS:
        merged: Params = {}
        for layer in layers:
            merged |= check_table(table, table_of(layer, table, source), source)
        # a hyper-parameter of the family may have the name of a setting of another table
        runtime |= {key: v for key, v in merged.items() if SETTINGS[table][key].runtime}
        definition[table] = {
            key: v
            for key, v in merged.items()
            if key not in runtime and (key not in axes or axis_home(key) != table) and not _left_out(table, key, v)
        }
    return definition, runtime


def _left_out(table: str, key: str, value: Value) -> bool:
    """Whether a setting has the value that holds where no study names it: digests of stored studies lack it."""
    default = SETTINGS[table][key].default
    return default is not None and value == default


def _given_hyper(layers: Sequence[TomlTable], family: KernelFamily, source: str) -> TomlTable:
    """Hyper-parameters that the study fixes for a family."""
    hyper: TomlTable = {}
    for layer in layers:
        tables = table_of(layer, "hyper", source)
        _warn_misspelt(tables, family, f"{source}: hyper")
        hyper |= table_of(tables, family.name, source)
    _warn_misspelt(spaces_named(layers, source), family, f"{source}: tuning.space")
    return hyper


def _kernel(
    family: KernelFamily,
    hyper: TomlTable,
    axes: Mapping[str, Any],
    tuning: Tuning | None,
    budget: Budget | None,
    source: str,
) -> TomlTable:
    """The family and those of its hyper-parameters that all cells share; what is drawn or solved for, if anything."""
    resolved = _hyper(hyper, family, f"{source}: hyper.{family.name}")
    drawn = set() if tuning is None else tuning.space.keys() - tuning.training.keys()
    solved = {} if budget is None else budget.solved
    own = {k for k in resolved if (k in axes and axis_home(k) is None) or k in drawn or k in solved}
    kernel: TomlTable = {"family": family.name, "hyper": {k: v for k, v in resolved.items() if k not in own}}
    if budget is not None:
        kernel["solved"] = budget.solved_json()
    return kernel if tuning is None else kernel | {"tuned": tuning.space_json(), "draws": tuning.draws}


def _hyper(given: TomlTable, family: KernelFamily, where: str) -> Params:
    try:
        return family.resolve(given)
    except KernbenchError as error:
        raise StudyError(f"{where}: {error}") from error


def _warn_misspelt(tables: Iterable[str], family: KernelFamily, where: str) -> None:
    # [hyper.siern] may also belong to a family in somebody's file, so it is no error
    for name in tables:
        if name not in installed().found and (hint := close_match(name, {family.name} - {name})):
            text = f"{where}.{name} belongs to no installed family and is ignored{hint}"
            warnings.warn(text, KernbenchWarning, stacklevel=2)
