"""What keeps cells out of one mean: other lines, another protocol, another plugin or definition of one family.

Cells that differ in any of these measure different things. They become series of their own, named after what differs.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from functools import cached_property

from kernbench.kernels.bundled import BUNDLED_DISTRIBUTION, is_bundled
from kernbench.store.reading.records import OK, Run
from kernbench.study.settings import AXIS_LINES
from kernbench.ulm.line import without_rate


def plugin_of(run: Run) -> str:
    """Plugin and version of a cell's family; of a plugin of others its source, too, since an edit keeps the version.

    Version and source of a bundled family are those of all of kernbench, of which every release and every commit would
    count as another kernel.
    """
    if is_bundled(run.plugin):
        return BUNDLED_DISTRIBUTION
    return f"{run.plugin}, source {run.plugin_source}" if run.plugin_source else run.plugin


# What all cells of a comparison must share for a verdict, and what the cells of one family must share for a mean.
SHARED: dict[str, Callable[[Run], str]] = {
    "data": lambda run: without_rate(run.data_digest),  # the same lines at another rate are like those with other noise
    "delay": lambda run: str(run.definition.get("data", {}).get("delay", 0)),  # along an axis it is not there
    "compression": lambda run: str(run.definition.get("data", {}).get("compression", "none")),
    "task": lambda run: str(run.definition.get("task", "unknown")),
    "protocol": lambda run: str(run.definition.get("protocol", 1)),
}
OF_FAMILY: dict[str, Callable[[Run], str]] = {"plugin": plugin_of, "definition": lambda run: run.digest}
KINDS = SHARED | OF_FAMILY


def lines_named_by_axes(runs: Iterable[Run]) -> bool:
    """Whether cells have the same lines exactly where they have the same value of an axis that makes lines."""
    pairs = {
        (tuple((name, run.params[name]) for name in AXIS_LINES if name in run.params), KINDS["data"](run))
        for run in runs
        if run.status == OK
    }
    values, digests = ({pair[place] for pair in pairs} for place in (0, 1))
    return len(pairs) == len(values) == len(digests) > 1


class Worlds:
    """What differs among the finished cells of a comparison.

    Args:
        runs: all its cells; those without a result differ in nothing.
    """

    def __init__(self, runs: Iterable[Run]) -> None:
        runs = list(runs)
        self._named = lines_named_by_axes(runs)
        self._met: dict[tuple[str, str], Counter[str]] = {}  # family, kind -> value -> cells
        for run in runs:
            if run.status == OK:
                for kind, value in KINDS.items():
                    self._met.setdefault((run.family, kind), Counter())[value(run)] += 1

    @cached_property
    def mixed(self) -> dict[tuple[str, str], dict[str, int]]:
        """Family ("" for all of them) and kind -> value -> cells, of what has several values."""
        found: dict[tuple[str, str], Counter[str]] = {}
        for (family, kind), met in self._met.items():
            found.setdefault(("" if kind in SHARED else family, kind), Counter()).update(met)
        return {key: dict(sorted(met.items())) for key, met in found.items() if len(met) > 1}

    def parts(self, run: Run) -> list[str]:
        """What tells the series of a cell from others of its family: "protocol 1"; empty where nothing is mixed.

        A cell that ended without a result is put beside most others of its family. Lines that an axis names, such as
        those of a pulse, need no name of their own.
        """
        kinds = [kind for family, kind in self.mixed if family in ("", run.family)]
        return [f"{kind} {self._value(run, kind)}" for kind in kinds if not (kind == "data" and self._named)]

    def _value(self, run: Run, kind: str) -> str:
        own, met = KINDS[kind](run), self._met.get((run.family, kind))
        return own if met is None or own in met else met.most_common(1)[0][0]


def shared_world(run: Run) -> tuple[str, ...]:
    """What two cells must share to be compared."""
    return tuple(value(run) for value in SHARED.values())
