"""What ran where: the environments of a comparison's cells, in what they differ, and what that means for its scores."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kernbench.errors import counted
from kernbench.store.reading.records import Run

# What changes numbers or says that something else was computed, in the words of the warning.
GRAVE = {
    "cpu": "processors",
    "gpu": "GPUs",
    "device": "devices",
    "packages.torch": "torch versions",
    "packages.kernbench": "kernbench versions",
    "git": "git states",
}
NONE = "–"


@dataclass(frozen=True)
class Provenance:
    """The environments of a comparison.

    Attributes:
        environments: entry -> value, of each environment, the most frequent first.
        cells: cells that ran in each.
        differing: entries that are not the same in all -> value in each environment.
        unknown: cells without one: killed, or stored before it was kept.
        plugins: family -> plugin, "kernbench 0.1.0, source 0123456789ab" -> cells that it made.
    """

    environments: list[dict[str, str]]
    cells: list[int]
    differing: dict[str, list[str]]
    unknown: int
    plugins: dict[str, dict[str, int]]

    @property
    def summary(self) -> str:
        """One line: where the cells ran, as far as it is the same for all."""
        if not self.cells:
            return "No cell stored its environment."
        places = "one environment" if len(self.cells) == 1 else f"{len(self.cells)} environments, which share"
        made = "; ".join(f"{family}: {_listed(each, len(each) > 1)}" for family, each in sorted(self.plugins.items()))
        more = f" {self.unknown} more stored no environment." if self.unknown else ""
        ran = counted(sum(self.cells), "cell")
        return f"{ran} ran in {places}: {', '.join(self._shared())}. Plugins: {made}.{more}"

    @property
    def warnings(self) -> list[str]:
        """What is mixed that moves scores or times: "processors: A (3 cells), B (1 cell)"."""
        found = []
        for name, values in self.differing.items():
            if name in GRAVE:
                met: Counter[str] = Counter()
                for value, cells in zip(values, self.cells, strict=True):
                    met["none" if value == NONE else value] += cells
                found.append(f"{GRAVE[name]}: {_listed(met)}")
        return found + self.mixed_plugins

    @property
    def mixed_plugins(self) -> list[str]:
        """Families that several versions of a plugin have made."""
        several = {family: made for family, made in sorted(self.plugins.items()) if len(made) > 1}
        return [f"versions of the plugin of {family}: {_listed(made)}" for family, made in several.items()]

    def _shared(self) -> list[str]:
        shared = {name: value for name, value in self.environments[0].items() if name not in self.differing}
        words = {"cpu": "{}", "gpu": "{}", "device": "device {}", "threads": "threads {}", "packages.torch": "torch {}"}
        words |= {"packages.kernbench": "kernbench {}", "python": "Python {}", "git": "git {}"}
        return [text.format(shared[name]) for name, text in words.items() if name in shared]


def provenance(runs: Iterable[Run]) -> Provenance:
    """Sort the cells of a comparison by the environment that they ran in.

    Args:
        runs: its cells, finished or not.
    """
    runs = list(runs)
    ran = [run for run in runs if run.environment]
    alike = {_place(run): run for run in ran}  # thousands of cells in one or two places
    entries = {place: tuple(sorted(_entries(run).items())) for place, run in alike.items()}
    groups = Counter(entries[_place(run)] for run in ran)
    ordered = sorted(groups.items(), key=lambda item: (-item[1], item[0]))
    environments = [dict(key) for key, _ in ordered]
    names = sorted({name for each in environments for name in each}, key=lambda name: (name not in GRAVE, name))
    values = {name: [each.get(name, NONE) for each in environments] for name in names}
    plugins: dict[str, Counter[str]] = {}
    for run in runs:
        if run.plugin:
            plugin = f"{run.plugin}, source {run.plugin_source}" if run.plugin_source else run.plugin
            plugins.setdefault(run.family, Counter())[plugin] += 1
    return Provenance(
        environments,
        [count for _, count in ordered],
        {name: met for name, met in values.items() if len(set(met)) > 1},
        sum(not run.environment for run in runs),
        {family: dict(sorted(made.items())) for family, made in plugins.items()},
    )


def _flatten(content: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested JSON as dotted names and texts: {"packages": {"torch": "2.13"}} -> {"packages.torch": "2.13"}."""
    flat: dict[str, str] = {}
    for name, value in content.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{name}.")
        elif value is not None:
            flat[f"{prefix}{name}"] = str(value)
    return flat


def _place(run: Run) -> tuple[int, str, str]:
    """What `_entries` is a function of: cells that ran in one environment share its record."""
    return id(run.environment), run.device, run.kernbench_version


def _entries(run: Run) -> dict[str, str]:
    entries = _flatten(run.environment) | {"device": run.device}
    return entries | ({"packages.kernbench": run.kernbench_version} if run.kernbench_version else {})


def _listed(met: Mapping[str, int], with_cells: bool = True) -> str:
    return ", ".join(f"{value} ({counted(cells, 'cell')})" if with_cells else value for value, cells in met.items())
