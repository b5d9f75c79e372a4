"""What ran where: the environments of a comparison's cells, in what they differ, and what that means for its scores."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kernbench.engine.records import Run

# What changes numbers or says that something else was computed, in the words of the warning.
GRAVE = {
    "cpu": "processors",
    "gpu": "GPUs",
    "device": "devices",
    "packages.torch": "torch versions",
    "packages.kernbench": "kernbench versions",
    "git": "git states",
}
PLUGIN = "plugin of "  # and the family
NONE = "–"


@dataclass(frozen=True)
class Provenance:
    """The environments of a comparison.

    Attributes:
        environments: entry -> value, of each environment, the most frequent first.
        cells: cells that ran in each.
        differing: entries that are not the same in all -> value in each environment.
        unknown: cells without one: they failed before anything was stored, or were killed.
        plugins: plugins of each family, "siren: kernbench 0.1.0, source 0123456789ab".
    """

    environments: list[dict[str, str]]
    cells: list[int]
    differing: dict[str, list[str]]
    unknown: int
    plugins: list[str]

    @property
    def summary(self) -> str:
        """One line: where the cells ran, as far as it is the same for all."""
        if not self.cells:
            return "No cell says where it ran."
        known = sum(self.cells)
        places = "one environment" if len(self.cells) == 1 else f"{len(self.cells)} environments"
        share = "" if len(self.cells) == 1 else "; they share"
        facts = [text for text in self._facts() if text]
        more = f" {self.unknown} more say{'s' if self.unknown == 1 else ''} nothing." if self.unknown else ""
        return f"{_cells(known)} ran in {places}{share}: {', '.join(facts)}. Plugins: {'; '.join(self.plugins)}.{more}"

    @property
    def warnings(self) -> list[str]:
        """What is mixed that moves scores or times: "processors: A (3 cells), B (1 cell)"."""
        found = []
        for name, values in self.differing.items():
            words = f"versions of the {name}" if name.startswith(PLUGIN) else GRAVE.get(name)
            if words is not None:
                found.append(f"{words}: {', '.join(self._counted(values))}")
        return found

    def _counted(self, values: Sequence[str]) -> list[str]:
        met = {value: 0 for value in values if value != NONE}
        for value, cells in zip(values, self.cells, strict=True):
            if value in met:
                met[value] += cells
        return [f"{value} ({_cells(cells)})" for value, cells in met.items()]

    def _facts(self) -> list[str]:
        shared = {name: value for name, value in self.environments[0].items() if name not in self.differing}
        names = {"packages.torch": "torch", "packages.kernbench": "kernbench", "python": "Python", "git": "git"}
        threads = shared.get("threads")
        return [
            *(shared.get(name, "") for name in ("cpu", "gpu", "device")),
            "" if threads is None else f"{threads} thread{'' if threads == '1' else 's'}",
            *(f"{word} {shared[name]}" for name, word in names.items() if name in shared),
        ]


def provenance(runs: Iterable[Run]) -> Provenance:
    """Sort the cells of a comparison by the environment that they ran in.

    Args:
        runs: its cells, finished or not.
    """
    runs = list(runs)
    made = plugins(runs)
    groups: dict[tuple[tuple[str, str], ...], int] = {}
    unknown = 0
    for run in runs:
        if run.environment:
            key = tuple(sorted(_entries(run, made).items()))
            groups[key] = groups.get(key, 0) + 1
        else:
            unknown += 1
    ordered = sorted(groups.items(), key=lambda item: (-item[1], item[0]))
    environments = [dict(key) for key, _ in ordered]
    names = sorted({name for each in environments for name in each}, key=lambda name: (name not in GRAVE, name))
    values = {name: [each.get(name, NONE) for each in environments] for name in names}
    return Provenance(
        environments,
        [count for _, count in ordered],
        {name: met for name, met in values.items() if len(set(met)) > 1},
        unknown,
        [f"{family}: {' and '.join(each)}" for family, each in sorted(made.items())],
    )


def plugins(runs: Iterable[Run]) -> dict[str, list[str]]:
    """Distribution, version and digest of the source of the plugins that made each family's cells, sorted."""
    made: dict[str, set[str]] = {}
    for run in runs:
        if run.plugin:
            made.setdefault(run.family, set()).add(_plugin(run))
    return {family: sorted(each) for family, each in made.items()}


def flatten(content: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested JSON as dotted names and texts: {"packages": {"torch": "2.13"}} -> {"packages.torch": "2.13"}."""
    flat: dict[str, str] = {}
    for name, value in content.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        elif value is not None:
            flat[f"{prefix}{name}"] = str(value)
    return flat


def _entries(run: Run, made: dict[str, list[str]]) -> dict[str, str]:
    """Environment of a run; its plugin only where the family has several, or every family would be one of its own."""
    entries = flatten(run.environment) | {"device": run.device}
    if run.kernbench_version:
        entries["packages.kernbench"] = run.kernbench_version
    if len(made.get(run.family, [])) > 1:
        entries[f"{PLUGIN}{run.family}"] = _plugin(run)
    return entries


def _plugin(run: Run) -> str:
    return f"{run.plugin}, source {run.plugin_source}" if run.plugin_source else run.plugin


def _cells(count: int) -> str:
    return f"{count} cell{'' if count == 1 else 's'}"
