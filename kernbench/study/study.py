"""From a TOML study and a profile to cells and a digest; nothing here knows what a cell computes."""

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from kernbench.errors import StudyError
from kernbench.host.files import json_digest
from kernbench.kernels.family import MAX_NAME, KernelFamily
from kernbench.kernels.space import Parameter
from kernbench.registry import find_network
from kernbench.study.budget import Budget
from kernbench.study.reference import Reference
from kernbench.study.settings import SETTINGS, Setting, Value, axis_home
from kernbench.study.toml_tables import TomlTable
from kernbench.study.tuning import DRAW, SEED, Tuning

MAX_ID = 512  # of the columns that hold names of studies and cells

Params = dict[str, Value]


@dataclass(frozen=True)
class Study:
    """A study for one kernel family at one profile.

    Attributes:
        name: file name without `.toml`.
        version: raised in the file when the meaning of a cell changes.
        profile: scale.
        family: kernel family.
        source: file it was read from, for messages.
        question: what it answers, one line.
        axes: name -> values.
        seeds: seeds of initialization and batch order.
        definition: everything that gives a cell its meaning; axis values and seeds stay out.
        references: published numbers to compare the results with; not in the definition.
        note: what the report says of published results that have no number, text; not in the definition.
        runtime: how cells are computed; not in the definition, so a study goes on when they change.
        tuning: hyper-parameters that are drawn, and how; None for a grid.
        budget: parameters that every family is given, by hyper-parameters solved for them; None without.
    """

    name: str
    version: int
    profile: str
    family: KernelFamily
    source: str
    question: str
    axes: dict[str, tuple[Value, ...]]
    seeds: tuple[int, ...]
    definition: TomlTable
    references: tuple[Reference, ...] = ()
    note: str = ""
    runtime: Params = field(default_factory=dict)
    tuning: Tuning | None = None
    budget: Budget | None = None

    @property
    def tuned(self) -> Mapping[str, Parameter]:
        """Hyper-parameters that are drawn, empty for a grid."""
        return {} if self.tuning is None else self.tuning.space

    @property
    def base(self) -> str:
        """Name shared by all families: `k_sweep.v1.quick`."""
        return f"{self.name}.v{self.version}.{self.profile}"

    @property
    def tolerance(self) -> int:
        """Headline tolerance [samples]."""
        return int(self.definition["evaluation"]["tolerance"])

    @property
    def key(self) -> str:
        """Name of the Optuna study: `k_sweep.v1.quick/siren`."""
        return f"{self.base}/{self.family.name}"

    @property
    def digest(self) -> str:
        """First 12 hex digits of the SHA-256 of the canonical definition."""
        return json_digest(self.definition)

    @property
    def sizes_networks(self) -> bool:
        """Whether sizes of its networks are worked out for each, rather than the same for all, or axes."""
        field = "field" in self.axes or "field" in self.definition.get("network", {})
        return field or "networks" in self.definition or (self.budget is not None and bool(self.budget.channels))

    def __post_init__(self) -> None:
        """Refuse names that a database cannot hold, a terminal cannot show, or that two cells share.

        Raises:
            StudyError: see above.
        """
        if not re.fullmatch(rf"[\w-]{{1,{MAX_NAME}}}", self.profile):
            got = self.profile[: MAX_NAME + 1]
            raise StudyError(
                f"{self.source}: profile {got!r}: expected at most {MAX_NAME} letters, digits, _ and -; rename it"
            )
        cells = self.cells()
        for name in (self.key, *cells):
            if len(name) > MAX_ID or not name.isprintable():
                raise StudyError(
                    f"{self.source}: {name[:MAX_NAME]!r} cannot name a cell: expected at most {MAX_ID} printable "
                    f"characters, got {len(name)}; take shorter values"
                )
        draws = 1 if self.tuning is None else self.tuning.draws
        if len(cells) != draws * len(self.seeds) * math.prod(map(len, self.axes.values())):
            raise StudyError(f"{self.source}: two cells have the same name; take axis values without commas")

    def axis_space(self, name: str) -> Setting | Parameter:
        """Declared space of an axis: of a setting, or of a hyper-parameter of the family."""
        home = axis_home(name)
        return SETTINGS[home][name].space() if home else self.family.parameters[name]

    def network_files(self) -> tuple[str, ...]:
        """Networks from local files, FILE.py:NAME as they were given; workers need to be given them, too."""
        names = self.axes.get("name", (self.definition.get("network", {}).get("name", ""),))
        return tuple(find_network(str(name)).source for name in names if "@" in str(name))

    def cells(self) -> dict[str, Params]:
        """Cell id -> parameters, axes in file order, seeds innermost; tuned, one draw of every point after another."""
        return dict(self._cells)

    @cached_property
    def _cells(self) -> dict[str, Params]:
        # thousands of cells, and asked for again with every one of them
        names = [*self.axes, SEED]
        points = itertools.product(*self.axes.values(), self.seeds)
        params: list[Params] = [dict(zip(names, point, strict=True)) for point in points]
        if self.tuning is not None:
            params = [{**point, DRAW: draw} for draw in range(self.tuning.draws) for point in params]
        return {cell_id(point): point for point in params}


def cell_id(params: Mapping[str, Value]) -> str:
    """Sorted `name=value` pairs, `kernel_size=65,seed=0`."""
    return ",".join(f"{name}={params[name]}" for name in sorted(params))


def differences(stored: TomlTable, new: TomlTable, prefix: str = "") -> list[str]:
    """Settings that differ, as `training.rate: 0.001 (stored) -> 0.01 (now)`."""
    lines: list[str] = []
    for key in sorted({*stored, *new}):
        old, now, name = stored.get(key), new.get(key), f"{prefix}{key}"
        if isinstance(old, dict) and isinstance(now, dict):
            lines += differences(old, now, f"{name}.")
        elif old != now:
            lines.append(f"{name}: {old!r} (stored) -> {now!r} (now)")
    return lines
