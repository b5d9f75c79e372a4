"""The [budget] table of a study: how large every family is made, by hyper-parameters that are solved for it."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from kernbench.errors import PluginError, StudyError
from kernbench.kernels.budget import PARAMETERS, PERCENT, QUANTITIES, budget_integers
from kernbench.kernels.family import KernelFamily
from kernbench.kernels.space import Int
from kernbench.registry import find_family
from kernbench.study.settings import Setting
from kernbench.study.toml_tables import TomlTable, only, table_of

BUDGET = {
    "like": Setting(str, "kernel family, at its defaults, whose network gives the count at each point of the axes"),
    "total": Setting(int, "the count itself, the same at each point; in place of `like`", 1),
    "quantity": Setting(
        str, "what is counted: trainable numbers of the network, or operations to make its kernels", options=QUANTITIES
    ),
    "channels": Setting(
        str,
        "kernel family, at its defaults, for which the channels of each network are chosen, so that it comes nearest "
        "to `total`; every other family gets as many parameters as it has there",
    ),
}
_COUNTS = {"like", "total"}


@dataclass(frozen=True)
class Budget:
    """What every family of a study is given.

    Attributes:
        quantity: "parameters" of the whole network, or "operations" that make its kernels once.
        like: family whose network sets the count; empty where `total` does.
        total: the count; 0 where `like` sets it.
        solved: hyper-parameters of this family that are chosen for it.
        channels: family whose networks get the channels that bring it nearest to `total`; empty where channels are
            given.
    """

    quantity: str
    like: str
    total: int
    solved: Mapping[str, Int] = dataclasses.field(hash=False)
    channels: str = ""

    @property
    def reference(self) -> str:
        """Family whose count at the channels of a network every other one is given; empty where it is `total`."""
        return self.like or self.channels

    def as_json(self) -> TomlTable:
        """What all families of a study share, for its definition; as its file says it."""
        count = {"like": self.like} if self.like else {"total": self.total}
        return {"quantity": self.quantity} | count | ({"channels": self.channels} if self.channels else {})

    def solved_json(self) -> TomlTable:
        """What is solved for in this family, for the definition of its cells."""
        return {name: parameter.as_json() for name, parameter in self.solved.items()}

    @property
    def line(self) -> str:
        """What is solved for and how, for the terminal."""
        wanted = f"as many {self.quantity} as {self.reference}" if self.reference else f"{self.total:,} {self.quantity}"
        by = f"by {', '.join(self.solved) or 'nothing: its size is fixed'}"
        return f"budget: {wanted} within {PERCENT} %, {by}{self._widths}"

    @property
    def _widths(self) -> str:
        return f"; channels for which {self.channels} comes nearest to {self.total:,}" if self.channels else ""


def read_budget(
    layers: Sequence[TomlTable], family: KernelFamily, fixed: Collection[str], source: str
) -> Budget | None:
    """The [budget] table of a study, for one family; None without one.

    Args:
        layers: tables of profile and study, weakest first.
        family: whose size is solved for.
        fixed: names of axes and of hyper-parameters under [hyper.FAMILY]; they keep their values.
        source: file, for messages.

    Raises:
        StudyError: unknown key, wrong value, neither or both of `like` and `total`, a family that is not installed,
            a study with [tuning]; each with file, key and what to do.
    """
    tables = [table_of(layer, "budget", source) for layer in layers if "budget" in layer]
    if not tables:
        return None
    values: TomlTable = {"quantity": PARAMETERS, "like": "", "total": 0, "channels": ""}
    for table in tables:
        only(table, tuple(BUDGET), source, "budget.")
        if _COUNTS & table.keys():  # a profile may say the other one of the two
            values |= {"like": "", "total": 0}
        values |= {key: BUDGET[key].checked(value, f"{source}: budget.{key}") for key, value in table.items()}
    if bool(values["like"]) == bool(values["total"]):
        got = "both" if values["like"] else "neither"
        raise StudyError(f'{source}: budget: expected like = "FAMILY" or total = NUMBER, got {got}; keep one')
    if any("tuning" in layer for layer in layers):
        raise StudyError(f"{source}: budget: cannot be combined with [tuning], which draws sizes; leave one out")
    if values["channels"] and (values["like"] or values["quantity"] != PARAMETERS):
        raise StudyError(f"{source}: budget.channels: expected total = NUMBER of parameters with it; leave out one")
    for key in ("like", "channels"):
        if values[key]:
            _check_family(values[key], f"{source}: budget.{key}")
    return Budget(solved=budget_integers(family, dict.fromkeys(fixed)), **values)


def _check_family(name: str, where: str) -> None:
    # the name of a file would let a database say which code to run
    if ".py" in name:
        raise StudyError(f"{where}: expected the name of an installed family, got the file {name!r}")
    try:
        find_family(name)
    except PluginError as error:
        raise StudyError(f"{where}: {error}") from error
