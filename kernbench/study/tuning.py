"""What a study tunes: sampler, budget and the hyper-parameters that are drawn instead of fixed (no Optuna here)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from kernbench.errors import KernbenchError, StudyError, counted
from kernbench.kernels.family import KernelFamily
from kernbench.kernels.space import Choice, Float, Parameter
from kernbench.study.settings import SETTINGS, Setting, Value, axis_home
from kernbench.study.toml_tables import TomlTable, only, table_of

DRAW, SEED = "draw", "seed"  # what a cell of a tuned study has beside its axes
NONE, MEDIAN = "none", "median"
TPE, CMAES, RANDOM = "tpe", "cmaes", "random"
MAX_TRIALS = 1000

TUNING: dict[str, Setting] = {
    "sampler": Setting(str, "how draws are chosen", options=(TPE, CMAES, RANDOM)),
    "seed": Setting(int, "seed of the sampler", 0, 2**32 - 1),
    "trials": Setting(int, "draws per family, point of the axes and seed", 1, MAX_TRIALS),
    "pruner": Setting(str, "whether draws that fall behind end early", options=(NONE, MEDIAN)),
}
TRAINED = ("rate",)  # settings of [training] that [tuning.training] may draw, the same for every family
DEFAULTS: dict[str, Value] = {"sampler": TPE, "seed": 0, "trials": 40, "pruner": NONE}


@dataclass(frozen=True)
class Tuning:
    """The search of a study for one kernel family; one and the same at every point of the axes.

    Attributes:
        sampler: "tpe", "cmaes" or "random".
        seed: of the sampler.
        trials: draws allowed at each point and seed.
        pruner: "none" or "median".
        space: tuned hyper-parameter, or setting of the training, -> what it may be.
        training: those of them that are settings of the training.
        left: choices that stay at their default, because CMA-ES tunes numbers only.
    """

    sampler: str
    seed: int
    trials: int
    pruner: str
    space: Mapping[str, Parameter]
    training: Mapping[str, Float] = field(default_factory=dict)
    left: tuple[str, ...] = ()

    @property
    def settings(self) -> float:
        """Different settings that the space holds; 1 where nothing is tuned, infinity with a real number in it."""
        return math.prod(parameter.count for parameter in self.space.values())

    @property
    def draws(self) -> int:
        """Draws made at each point and seed: the budget, or every setting once where there are fewer."""
        return int(min(self.trials, self.settings))

    @property
    def defaults(self) -> dict[str, Value]:
        """The family's own setting, always draw 0."""
        return {name: parameter.start for name, parameter in self.space.items()}

    def as_json(self) -> TomlTable:
        """What all families of a study share, for its definition."""
        shared: TomlTable = {name: getattr(self, name) for name in TUNING}
        trained = {name: [parameter.low, parameter.high] for name, parameter in self.training.items()}
        return shared | ({"training": trained} if trained else {})  # without one, digests are what they were

    def space_json(self) -> TomlTable:
        """What is tuned for this family, for the definition of its cells."""
        return {name: parameter.as_json() for name, parameter in self.space.items()}

    def lines(self) -> list[str]:
        """What is tuned and how, for the terminal."""
        settings = "one setting" if self.settings == 1 else counted(self.draws, "draw")
        pruned = "none is ended early" if self.pruner == NONE else "those below the median end early"
        found = [f"tuned by {self.sampler}, seed {self.seed}: {settings} at each point and seed, {pruned}"]
        if self.draws < self.trials:
            found.append(
                f"  the study allows {counted(self.trials, 'draw')}; this family has {self.settings:.0f} to try"
            )
        found += [
            f"  {name}: {parameter.describe()}; draw 0 has {parameter.start}" for name, parameter in self.space.items()
        ]
        return found + [f"  {name} stays at its default: cmaes tunes numbers only" for name in self.left]


def read_tuning(
    layers: Sequence[TomlTable],
    family: KernelFamily,
    axes: Mapping[str, Any],
    fixed: Mapping[str, Any],
    training: Mapping[str, Value],
    source: str,
) -> Tuning | None:
    """The [tuning] table of a study, for one family; None without one.

    Args:
        layers: tables of profile and study, weakest first.
        family: whose hyper-parameters are tuned.
        axes: of the study; what is an axis is not tuned.
        fixed: hyper-parameters given under [hyper.FAMILY]; they are not tuned.
        training: settings of the training; draw 0 has them.
        source: file, for messages.

    Raises:
        StudyError: unknown key, wrong value, a name that cannot be tuned; each with file, key and what to do.
    """
    tables = [table_of(layer, "tuning", source) for layer in layers if "tuning" in layer]
    if not tables:
        return None
    values, asked = dict(DEFAULTS), None
    trained: dict[str, Float] = {}
    for table in tables:
        only(table, (*TUNING, "space", "training"), source, "tuning.")
        trained |= _trained(table_of(table, "training", source), axes, training, source)
        values |= {k: TUNING[k].checked(v, f"{source}: tuning.{k}") for k, v in table.items() if k in TUNING}
        space = table_of(table, "space", source)
        asked = table_of(space, family.name, source) if family.name in space else asked
    where = f"{source}: tuning.space.{family.name}"
    tuned = _open(family, axes, fixed, source) if asked is None else _chosen(asked, family, axes, fixed, where)
    left: list[str] = []
    if values["sampler"] == CMAES:
        left = [name for name, parameter in tuned.items() if isinstance(parameter, Choice)]
        if asked is not None and left:
            raise StudyError(f"{where}: sampler cmaes tunes numbers only, {left[0]} is a choice; leave it out")
        tuned = {name: parameter for name, parameter in tuned.items() if name not in left}
        _check_cmaes({**tuned, **trained}, family, source)
    # in one order, wherever it is read from: random numbers are drawn name by name
    drawn: dict[str, Parameter] = {**tuned, **trained}
    space = {name: drawn[name] for name in sorted(drawn)}
    return Tuning(space=space, training=trained, left=tuple(left), **values)  # type: ignore[arg-type]  # checked by their Setting


def stored_space(definition: TomlTable) -> TomlTable:
    """What [tuning.space.FAMILY] has to say for the space that a definition of a tuned study holds."""
    own = {k: v for k, v in definition["kernel"]["tuned"].items() if k not in definition["tuning"].get("training", {})}
    return {name: each.get("options", [each.get("low"), each.get("high")]) for name, each in own.items()}


def spaces_named(layers: Sequence[TomlTable], source: str) -> list[str]:
    """Families that have a table under [tuning.space]."""
    return [name for layer in layers for name in table_of(table_of(layer, "tuning", source), "space", source)]


def _open(family: KernelFamily, axes: Mapping[str, Any], fixed: Mapping[str, Any], source: str) -> dict[str, Parameter]:
    """Everything that the family declares and nothing fixes."""
    free = {name: p for name, p in family.parameters.items() if name not in axes and name not in fixed}
    for name in free:
        _check_name(name, family, f"{source}: tuning")
    return {name: parameter for name, parameter in free.items() if parameter.count > 1}


def _chosen(
    asked: TomlTable, family: KernelFamily, axes: Mapping[str, Any], fixed: Mapping[str, Any], where: str
) -> dict[str, Parameter]:
    """What [tuning.space.FAMILY] lists, and nothing else."""
    found = {}
    for name, given in asked.items():
        for kind, names in (("axes", axes), (f"hyper.{family.name}", fixed)):
            if name in names:
                raise StudyError(f"{where}.{name}: fixed by {kind}.{name}; leave one of the two out")
        _check_name(name, family, where)
        try:
            parameter = family.parameter(name)
            found[name] = parameter if given is True else parameter.narrowed(given)
        except KernbenchError as error:
            raise StudyError(f"{where}.{name}: {error}") from None
        if found[name].count == 1:
            raise StudyError(f"{where}.{name}: one value is no choice; fix it under [hyper.{family.name}]")
    return found


def _trained(asked: TomlTable, axes: Mapping[str, Any], training: Mapping[str, Value], source: str) -> dict[str, Float]:
    """What [tuning.training] lists; ranges are logarithmic."""
    only(asked, TRAINED, source, "tuning.training.")
    found = {}
    for name, given in asked.items():
        where = f"{source}: tuning.training.{name}"
        if name in axes:
            raise StudyError(f"{where}: fixed by axes.{name}; leave one of the two out")
        if not isinstance(given, list) or len(given) != 2:
            raise StudyError(f"{where}: expected [low, high], got {given!r}")
        setting = SETTINGS["training"][name]
        low, high = (float(setting.checked(each, where)) for each in given)
        if not low < high:
            raise StudyError(f"{where}: expected [low, high] with low < high, got {given!r}")
        start = float(training[name])
        if not low <= start <= high:
            raise StudyError(
                f"{where}: expected a range with training.{name} = {start:g}, which is draw 0; got {given!r}"
            )
        found[name] = Float(low, high, log=True, default=start, doc=setting.doc)
    return found


def _check_name(name: str, family: KernelFamily, where: str) -> None:
    """A cell holds drawn values beside axes, draw and seed, so each needs a name of its own."""
    if name in (DRAW, SEED) or axis_home(name) is not None:
        raise StudyError(
            f"{where}: hyper-parameter {name!r} of family {family.name!r} has the name of something else that a cell "
            f"holds and cannot be tuned; fix it under [hyper.{family.name}]"
        )


def _check_cmaes(tuned: Mapping[str, Parameter], family: KernelFamily, source: str) -> None:
    if len(tuned) == 1:
        raise StudyError(
            f"{source}: tuning.sampler: cmaes needs two numbers to tune, family {family.name!r} has "
            f"{', '.join(tuned)} alone; use tpe, or fix it under [hyper.{family.name}]"
        )
    if tuned and find_spec("cmaes") is None:
        raise StudyError(
            f"{source}: tuning.sampler: cmaes needs the package cmaes, which is not installed; "
            "install kernbench[tuning], or use tpe"
        )
